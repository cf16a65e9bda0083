import { afterEach, expect, test, vi } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";
import { insertInboxes, nothing, reportedAt } from "./rows.ts";

const service = useService();
const calls = callsFor(service);
afterEach(() => vi.restoreAllMocks());

/** Inboxes that report every minute, of which `stale` have been silent for five. */
const inboxes = (total: number, stale: number) =>
  insertInboxes(service, total, reportedAt(`(now() - case when n <= ${stale} then interval '5 min' else '10 s' end)`));
const states = async () =>
  Object.fromEntries(
    (
      await service.sql<{ health: string; n: number }>(
        "select health_status as health, count(*)::integer as n from cams.agent_inboxes group by 1",
      )
    ).map(({ health, n }) => [health, n]),
  );

test.each([
  [20, 11, true],
  [20, 10, false],
  [20, 20, true],
  [19, 19, false],
  [19, 10, false],
  [21, 11, true],
  [22, 11, false],
  [1, 1, false],
  [3000, 1501, true],
  [3000, 1500, false],
])("of %i watched %i going offline: frozen is %s", async (total, stale, frozen) => {
  await inboxes(total, stale);
  const alerts = vi.spyOn(service.app.log, "alert").mockImplementation(() => {});
  expect((await calls.sweep()).body).toEqual({ ...nothing, frozen, offline: frozen ? 0 : stale });
  expect(await states()).toEqual(
    Object.fromEntries(
      Object.entries({ HEALTHY: frozen ? total : total - stale, OFFLINE: frozen ? 0 : stale }).filter(([, n]) => n > 0),
    ),
  );
  expect(alerts).toHaveBeenCalledTimes(frozen ? 1 : 0);
  if (frozen) expect(alerts.mock.calls[0]?.[1]).toMatchObject({ goingOffline: stale });
});

test("frozen: not even those that are only suspect change, but messages that ended are archived", async () => {
  await inboxes(20, 11);
  await service.sql(
    `update cams.agent_inboxes set expected_by = now() - interval '61 s', sweep_after = now() - interval '1 s'
     where ai_agent_address = 'a20'`,
  );
  await calls.message({ recipientAddress: "a20" });
  await calls.expire();
  vi.spyOn(service.app.log, "alert").mockImplementation(() => {});
  expect((await calls.sweep()).body).toEqual({ ...nothing, frozen: true, expired: 1 });
  expect(await states()).toEqual({ HEALTHY: 20 });
  expect(await service.sql("select from cams.health_transitions")).toHaveLength(0);
});

test("`force` overrides it, and what is offline already does not count the next time", async () => {
  await inboxes(40, 21);
  vi.spyOn(service.app.log, "alert").mockImplementation(() => {});
  expect((await calls.sweep()).body.frozen).toBe(true);
  expect((await calls.sweep("?force=false")).body.frozen).toBe(true);
  expect((await calls.sweep("?force=true")).body).toEqual({ ...nothing, offline: 21 });
  expect((await calls.sweep()).body).toEqual(nothing);
  expect((await calls.sweep("?force=yes")).status).toBe(400);
});

test("the alert is a line of severity ALERT that says how many", async () => {
  await inboxes(20, 20);
  const written = vi.spyOn(process.stdout, "write").mockImplementation(() => true);
  await calls.sweep();
  const lines = written.mock.calls.map(([line]) => String(line)).filter((line) => line.includes("sweep frozen"));
  written.mockRestore();
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] as string)).toMatchObject({ severity: "ALERT", goingOffline: 20, watched: 20 });
});

test("two sweeps at once count each inbox once", async () => {
  await inboxes(5000, 2200);
  const answers = await atOnce(4, () => calls.sweep());
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(answers.reduce((sum, { body }) => sum + body.offline, 0)).toBe(2200);
  expect(await states()).toEqual({ HEALTHY: 2800, OFFLINE: 2200 });
  expect(await service.sql("select from cams.health_transitions")).toHaveLength(2200);
  expect(await calls.failedStatements()).toEqual([]);
});
