import { expect, test } from "vitest";
import { useGuardedService } from "../support/callers.ts";
import { client } from "../support/client.ts";
import { makerFor } from "../support/make.ts";
import { sessionsWait, whileHeld } from "./calls.ts";

const guarded = useGuardedService();
const { service, key } = guarded;
const make = makerFor(service);

const schedule = { name: "The report", eventType: "report.due", cron: "0 6 * * *" };
const at = (scheduleId: string, rest = "") => `/v1/schedules/${scheduleId}${rest}`;

test("a schedule is its maker's team's: 403 to any other team's operator, and to one without a team", async () => {
  const { status, body } = await service.post("/v1/schedules", schedule, key("operator"));
  expect({ status, ownerTeam: body.ownerTeam }).toEqual({ status: 201, ownerTeam: "sales" });
  const { principalId } = await make.principal({ role: "operator" });
  const teamless = { "x-cams-key": (await make.key(principalId)).key };
  const refused = { status: 403, body: { code: "forbidden" } };
  expect(await service.post("/v1/schedules", schedule, teamless)).toMatchObject(refused);
  const { scheduleId: noTeams } = await make.schedule();
  for (const headers of [key("foreignOperator"), teamless]) {
    for (const id of [body.scheduleId, noTeams]) {
      for (const path of [at(id), at(id, "/runs")]) expect(await service.get(path, headers)).toMatchObject(refused);
      expect(await service.put(at(id), { enabled: false }, headers)).toMatchObject(refused);
      expect(await service.post(at(id, "/run"), undefined, headers)).toMatchObject(refused);
      expect(await service.delete(at(id), headers)).toMatchObject(refused);
    }
    expect((await service.get("/v1/schedules", headers)).body.items).toEqual([]);
  }
  expect((await service.get("/v1/schedules", key("operator"))).body.items).toEqual([body]);
  expect((await service.get("/v1/schedules")).body.items).toHaveLength(2);
});

test("what is wrong with its times is told by field, all at once", async () => {
  const faultsOf = async (fields: object) => {
    const { cron: _, ...rest } = schedule;
    const { status, body } = await service.post("/v1/schedules", { ...rest, ...fields });
    expect(status).toBe(400);
    return body.errors.map(({ pointer }: { pointer: string }) => pointer);
  };
  expect(await faultsOf({})).toEqual([""]);
  expect(await faultsOf({ cron: "0 6 * * *", runAt: "2999-01-01T00:00:00Z" })).toEqual([""]);
  expect(await faultsOf({ cron: "0 6 31 2 *", timeZone: "Nowhere" })).toEqual(["/cron", "/timeZone"]);
  expect(await faultsOf({ runAt: "2026-01-01T00:00:00Z" })).toEqual(["/runAt"]);
  expect(await faultsOf({ runAt: "2999-01-01T00:00:00Z", timeZone: "Europe/Berlin" })).toEqual(["/timeZone"]);
});

test("any JSON goes from a schedule into its event as it is, and the schedule into the audit", async () => {
  const payload = '{"nul":"\\u0000","half":"\\ud800","big":1e300,"id":12345678901234567890,"tiny":[0.10]}';
  const text = JSON.stringify(schedule).replace("{", `{"payload":${payload},`);
  const json = { "content-type": "application/json" };
  const { status, body } = await service.raw("POST", "/v1/schedules", text, json);
  expect(status).toBe(201);
  await service.sql("update cams.schedules set next_run_at = now() - interval '1 s'");
  const tick = await client(service.url, await guarded.systemToken()).post("/v1/schedules/tick");
  expect(tick.body).toMatchObject({ fired: 1, failed: 0 });
  const [event] = await service.sql<{ data: string }>("select data::text from cams.events where type = 'report.due'");
  expect(event?.data).toBe(payload.replace("1e300", "1e+300").replace("0.10", "0.1"));
  const { items } = (await service.get("/v1/audit?resourceType=schedule")).body;
  expect(items).toMatchObject([{ action: "created", resourceId: body.scheduleId }]);
  expect((await service.get("/v1/audit/verify")).body.valid).toBe(true);
});

test("404 to a run while it is being deleted, and no event of it", async () => {
  const { scheduleId } = await make.schedule();
  await whileHeld(service, "delete from cams.schedules where schedule_id = $1", [scheduleId], async (release) => {
    const run = service.post(at(scheduleId, "/run"));
    await sessionsWait(service, 1);
    await release();
    expect(await run).toMatchObject({ status: 404, body: { code: "schedule_not_found" } });
  });
  expect(await service.sql("select from cams.events")).toEqual([]);
});

test("the audit names who made, changed and deleted it, whether or not the call may be repeated", async () => {
  const made = async (headers: Record<string, string>) =>
    (await service.post("/v1/schedules", schedule, { ...key("operator"), ...headers })).body.scheduleId as string;
  const [plain] = [await made({}), await made({ "idempotency-key": "once" })];
  await service.put(at(plain), { name: "another" });
  await service.delete(at(plain), key("operator"));
  const { items } = (await service.get("/v1/audit?resourceType=schedule")).body;
  expect(items.map(({ action, actor }: { action: string; actor: string }) => `${action} by ${actor}`)).toEqual([
    "deleted by operator",
    "updated by admin",
    "created by operator",
    "created by operator",
  ]);
});
