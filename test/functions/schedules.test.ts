import { describe, expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { allPages } from "./calls.ts";

const service = useService();
const make = makerFor(service);
const get = async (id: string, query = "") => (await service.get(`/v1/schedules/${id}${query}`)).body;
const put = (id: string, body: object) => service.put(`/v1/schedules/${id}`, body);
const soon = () => new Date(Date.now() + 3_600_000).toISOString();

describe("a schedule is refused, and nothing made,", () => {
  test.each([
    ["a cron of six fields", { cron: "0 0 * * * *" }, ["/cron"]],
    ["a cron that never fires", { cron: "0 0 30 2 *" }, ["/cron"]],
    ["an unknown zone beside a wrong cron", { cron: "x", timeZone: "Mars/Olympus" }, ["/cron", "/timeZone"]],
    ["an offset for a zone", { cron: "0 6 * * *", timeZone: "+02:00" }, ["/timeZone"]],
    ["neither cron nor time", {}, [""]],
    ["both", { cron: "0 6 * * *", runAt: soon() }, [""]],
    ["a time once beside a zone", { runAt: soon(), timeZone: "Europe/Berlin" }, ["/timeZone"]],
    ["a time that is over", { runAt: "2020-01-01T00:00:00Z" }, ["/runAt"]],
    [
      "a cron that is only in the hour that a zone leaves out",
      { cron: "*/15 2 29 3 +SUN", timeZone: "Europe/Berlin" },
      ["/cron"],
    ],
  ])("with %s", async (_, fields, pointers) => {
    const { status, body } = await service.post("/v1/schedules", { name: "s", eventType: "a.b", ...fields });
    expect([status, body.errors?.map(({ pointer }: { pointer: string }) => pointer)]).toEqual([400, pointers]);
    expect((await service.get("/v1/schedules")).body.items).toEqual([]);
  });
});

test("the next times are told, in the zone of the schedule", async () => {
  const { scheduleId, nextRunAt } = await make.schedule({ cron: "30 2 * * *", timeZone: "Asia/Kolkata" });
  const { preview } = await get(scheduleId, "?preview=3");
  expect(preview[0]).toBe(nextRunAt);
  expect(preview.every((time: string) => time.endsWith("T21:00:00.000Z"))).toBe(true);
  expect(preview).toHaveLength(3);
  const once = await make.schedule({ runAt: soon() });
  expect((await get(once.scheduleId, "?preview=3")).preview).toEqual([once.runAt]);
  await service.sql("update cams.schedules set run_at = '2026-01-01', next_run_at = null where run_at is not null");
  expect((await get(once.scheduleId, "?preview=3")).preview).toEqual([]);
});

test("a list has what is asked for, newest first, page by page; so have the records of one schedule, its own", async () => {
  const made = [];
  for (const eventType of ["a.b", "a.c", "a.b"]) made.unshift(await make.schedule({ eventType }));
  const [newest, other, oldest] = made.map(({ scheduleId }) => scheduleId as string);
  await put(oldest as string, { enabled: false });
  const idsOf = async (query: string) =>
    (await allPages(service, `/v1/schedules${query}`)).map(({ scheduleId }) => scheduleId);
  expect(await idsOf("?pageSize=1")).toEqual([newest, other, oldest]);
  expect(await idsOf("?eventType=a.b")).toEqual([newest, oldest]);
  expect(await idsOf("?enabled=false")).toEqual([oldest]);
  const runIds = [];
  for (let n = 0; n < 3; n++) runIds.unshift((await service.post(`/v1/schedules/${other}/run`)).body.runId);
  await service.post(`/v1/schedules/${newest}/run`);
  const runs = await allPages(service, `/v1/schedules/${other}/runs?pageSize=1`);
  expect(runs.map(({ runId }) => runId)).toEqual(runIds);
});

describe("an update", () => {
  test("changes each field, whose it is as well; of two on the same revision one", async () => {
    const { scheduleId } = await make.schedule({});
    const given = { name: "b", eventType: "b.c", payload: { n: 2 }, priority: "LOW", enabled: false, misfire: "all" };
    await service.sql("update cams.schedules set updated_by = 'x', updated_at = '2026-01-01'");
    const { body } = await put(scheduleId, given);
    expect(body).toMatchObject({ ...given, updatedBy: "local" });
    expect(Date.parse(body.updatedAt)).toBeGreaterThan(Date.now() - 60_000);
    const path = `/v1/schedules/${scheduleId}`;
    const both = await Promise.all([1, 2].map((n) => service.put(path, { name: `n${n}` }, { "if-match": '"2"' })));
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 412]);
    expect((await service.delete(path, { "if-match": '"2"' })).status).toBe(412);
    expect((await service.delete(path, { "if-match": '"3"' })).status).toBe(204);
    expect((await service.get(path)).status).toBe(404);
  });

  test("changes what is given; what is not enabled is not due, and nothing was missed when it is enabled again", async () => {
    const { scheduleId } = await make.schedule({ payload: { n: 1 }, cron: "* * * * *" });
    expect((await put(scheduleId, { enabled: false, name: "other" })).body).toMatchObject({
      name: "other",
      revision: 2,
    });
    expect(await make.schedule({ enabled: false })).not.toHaveProperty("nextRunAt");
    const rest = await get(scheduleId);
    expect(rest).not.toHaveProperty("nextRunAt");
    expect(rest).toMatchObject({ payload: { n: 1 }, cron: "* * * * *" });
    const { body } = await put(scheduleId, { enabled: true, misfire: "all" });
    expect(Date.parse(body.nextRunAt)).toBeGreaterThan(Date.now() - 1000);
  });

  test("that gives the times it has leaves what is due: no time is lost", async () => {
    const times = { cron: "0 6 * * *", timeZone: "Europe/Berlin" };
    const { scheduleId } = await make.schedule(times);
    const due = "2026-01-01T05:00:00.000Z";
    await service.sql("update cams.schedules set next_run_at = $1", [due]);
    const given = { ...times, enabled: true, payload: {} };
    expect((await put(scheduleId, given)).body).toMatchObject({ nextRunAt: due, revision: 2 });
    const { body } = await put(scheduleId, { ...times, timeZone: "Europe/Paris" });
    expect(Date.parse(body.nextRunAt)).toBeGreaterThan(Date.now() - 1000);
  });

  test("gives it other times: a time in place of a cron, and the other way round", async () => {
    const { scheduleId } = await make.schedule({ cron: "0 6 * * *", timeZone: "Europe/Berlin" });
    const runAt = soon();
    const once = (await put(scheduleId, { runAt })).body;
    expect(once).toMatchObject({ runAt, nextRunAt: runAt });
    for (const gone of ["cron", "timeZone"]) expect(once).not.toHaveProperty(gone);
    const zoned = (await put(scheduleId, { timeZone: "Europe/Berlin" })).body;
    expect(zoned.errors).toEqual([{ pointer: "/timeZone", message: "goes with cron: runAt has its offset in itself" }]);
    const again = (await put(scheduleId, { cron: "0 7 * * *" })).body;
    expect(again).toMatchObject({ cron: "0 7 * * *", timeZone: "UTC" });
    expect(again).not.toHaveProperty("runAt");
    expect((await put(scheduleId, { timeZone: "Nowhere" })).body.errors).toMatchObject([{ pointer: "/timeZone" }]);
    await put(scheduleId, { runAt });
    expect((await put(scheduleId, { timeZone: "Europe/Berlin" })).body.errors).toMatchObject([
      { pointer: "/timeZone" },
    ]);
  });
});

test("a run by hand publishes its event at once, is recorded, and leaves its times as they are", async () => {
  const { scheduleId, nextRunAt } = await make.schedule({ eventType: "report.due", payload: [1] });
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const { status, body } = await service.post(`/v1/schedules/${scheduleId}/run`, {}, { traceparent });
  expect(status).toBe(202);
  const { event } = (await service.get(`/v1/events/${body.eventId}`)).body;
  expect(event).toMatchObject({
    type: "report.due",
    data: [1],
    traceparent: expect.stringContaining("0af7651916cd43dd"),
  });
  expect(event.id).not.toBe(event.time);
  const { items } = (await service.get(`/v1/schedules/${scheduleId}/runs`)).body;
  expect(items).toEqual([
    expect.objectContaining({
      runId: body.runId,
      eventId: body.eventId,
      outcome: "FIRED",
      manual: true,
      late: false,
      actor: "local",
    }),
  ]);
  expect(await get(scheduleId)).toMatchObject({ nextRunAt, revision: 1 });
  expect((await service.delete(`/v1/schedules/${scheduleId}`)).status).toBe(204);
  expect((await service.get(`/v1/events/${body.eventId}`)).status).toBe(200);
});
