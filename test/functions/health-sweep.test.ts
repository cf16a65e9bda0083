import { afterEach, describe, expect, test, vi } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);
const nothing = {
  suspected: 0,
  offline: 0,
  expired: 0,
  deadLettered: 0,
  locksReleased: 0,
  tasksReturned: 0,
  frozen: false,
};

async function watched(status = "HEALTHY"): Promise<string> {
  const { aiAgentAddress } = await calls.inbox();
  await calls.report(aiAgentAddress, status);
  return aiAgentAddress;
}
const healthOf = async (address: string) => (await calls.inboxOf(address)).healthStatus;

describe("silence", () => {
  test.each([
    [119, "HEALTHY", "ACTIVE", nothing],
    [121, "SUSPECT", "ACTIVE", { ...nothing, suspected: 1 }],
    [239, "SUSPECT", "ACTIVE", { ...nothing, suspected: 1 }],
    [241, "OFFLINE", "INACTIVE", { ...nothing, offline: 1 }],
  ])("of %i s with an interval of 60 s: %s, %s", async (seconds, healthStatus, status, swept) => {
    const address = await watched();
    await calls.silence(seconds);
    expect((await calls.sweep()).body).toEqual(swept);
    expect(await calls.inboxOf(address)).toMatchObject({ healthStatus, status, adminStatus: "ACTIVE", revision: 1 });
    expect((await calls.sweep()).body).toEqual(nothing);
  });

  test("goes on from SUSPECT to OFFLINE", async () => {
    const address = await watched();
    await calls.silence(121);
    expect((await calls.sweep()).body.suspected).toBe(1);
    await calls.silence(60);
    expect((await calls.sweep()).body).toEqual(nothing);
    await calls.silence(60);
    expect((await calls.sweep()).body).toEqual({ ...nothing, offline: 1 });
    expect(await healthOf(address)).toBe("OFFLINE");
  });

  test("of one that never reported means nothing", async () => {
    const { aiAgentAddress } = await calls.inbox();
    await service.sql("update cams.agent_inboxes set registration_timestamp = now() - interval '30 days'");
    expect((await calls.sweep()).body).toEqual(nothing);
    expect(await calls.inboxOf(aiAgentAddress)).toMatchObject({ healthStatus: "UNKNOWN", status: "ACTIVE" });
  });

  test("never makes an UNHEALTHY one SUSPECT, which would be routable again, but OFFLINE in the end", async () => {
    const address = await watched("UNHEALTHY");
    await calls.silence(130);
    expect((await calls.sweep()).body).toEqual(nothing);
    expect(await calls.inboxOf(address)).toMatchObject({ healthStatus: "UNHEALTHY", status: "INACTIVE" });
    await calls.silence(120);
    expect((await calls.sweep()).body).toEqual({ ...nothing, offline: 1 });
    expect(await healthOf(address)).toBe("OFFLINE");
  });

  test("a HEALTHY report brings it back, watched anew, and what was held is handed out", async () => {
    const address = await watched();
    await calls.silence(300);
    await calls.sweep();
    const { messageId } = await calls.message({ recipientAddress: address });
    expect((await calls.report(address)).body.inbox).toMatchObject({ status: "ACTIVE", hasMessages: true });
    expect(await calls.pull(address)).toMatchObject([{ messageId }]);
    await calls.silence(130);
    expect((await calls.sweep()).body).toEqual({ ...nothing, suspected: 1 });
  });

  test("a report between the sweep's look and its decision is not overruled", async () => {
    const address = await watched();
    await calls.silence(300);
    await Promise.all([calls.report(address), calls.sweep(), calls.sweep(), calls.report(address)]);
    expect((await calls.report(address)).body.inbox.healthStatus).toBe("HEALTHY");
    expect((await calls.sweep()).body).toEqual(nothing);
    expect(await healthOf(address)).toBe("HEALTHY");
  });
});

describe("leases of an inbox that goes offline", () => {
  test("return at once and are no attempts; its other messages and other inboxes' leases stay", async () => {
    const address = await watched();
    const other = await calls.leased();
    const first = await calls.leased({ recipientAddress: address });
    await calls.nack(address, [first.leaseToken], { retryAfterSeconds: 0, reason: "once" });
    const [second] = await calls.pull(address);
    const keyed = await calls.leased({ recipientAddress: address, orderingKey: "k" });
    await calls.message({ recipientAddress: address, orderingKey: "k" });
    const queued = await calls.message({ recipientAddress: address, deliverAfter: "2099-01-01T00:00:00Z" });
    await calls.silence(300, address);

    expect((await calls.sweep()).body).toEqual({ ...nothing, offline: 1 });

    expect(await calls.messageOf(second.messageId)).toMatchObject({
      status: "QUEUED",
      attempt: 1,
      attempts: [{ number: 1, outcome: "FAILED", detail: "once" }],
    });
    expect(await calls.messageOf(queued.messageId)).toMatchObject({ status: "QUEUED", attempt: 0 });
    expect(await calls.messageOf(other.messageId)).toMatchObject({ status: "LEASED", attempt: 1 });
    expect((await calls.ack(address, second.leaseToken, keyed.leaseToken)).body.acknowledged).toEqual([]);
    const again = await calls.pull(address);
    expect(again.map(({ messageId }: { messageId: string }) => messageId)).toEqual([second.messageId, keyed.messageId]);
    expect(again).toMatchObject([{ attempt: 2 }, { attempt: 1 }]);
  });

  test("a last attempt in progress is not the end of the message", async () => {
    const { aiAgentAddress: address } = await calls.inbox({ maxDeliveryAttempts: 1 });
    await calls.report(address);
    const { messageId } = await calls.leased({ recipientAddress: address });
    await calls.silence(300);
    await calls.sweep();
    expect(await calls.messageOf(messageId)).toMatchObject({ status: "QUEUED", attempt: 0, attempts: [] });
    const [again] = await calls.pull(address);
    expect((await calls.ack(address, again.leaseToken)).body.acknowledged).toEqual([messageId]);
  });

  test("an ack against the sweep: what was acknowledged stays so, the rest is queued, nothing deadlocks", async () => {
    for (let round = 0; round < 15; round++) {
      const address = await watched();
      await atOnce(5, () => calls.message({ recipientAddress: address }));
      const pulled: { messageId: string; leaseToken: string }[] = await calls.pull(address);
      await calls.silence(300, address);
      const tokens = pulled.map(({ leaseToken }) => leaseToken).reverse();
      const [acked] = await Promise.all([
        calls.ack(address, ...tokens),
        calls.sweep("?force=true"),
        calls.sweep("?force=true"),
      ]);
      for (const { messageId } of pulled) {
        const expected = acked.body.acknowledged.includes(messageId) ? "ACKNOWLEDGED" : "QUEUED";
        expect(await calls.messageOf(messageId)).toMatchObject({ status: expected });
      }
    }
    expect(await calls.failedStatements()).toEqual([]);
  });
});

describe("the brake", () => {
  const alert = vi.hoisted(() => ({ said: [] as unknown[] }));
  afterEach(() => vi.restoreAllMocks());

  /** Inboxes that report every minute, of which `stale` have been silent for five. */
  async function inboxes(total: number, stale: number, state = "HEALTHY"): Promise<void> {
    const silent = "now() - case when n <= $2::integer then interval '5 min' else interval '10 s' end";
    await service.sql(
      `insert into cams.agent_inboxes (ai_agent_address, inbox_destination_type, inbox_name, registration_timestamp,
         last_updated_timestamp, updated_by, health_status, last_health_check_timestamp, expected_by, sweep_after)
       select 'a' || n, 'PULL_QUEUE', 'a', now(), now(), 'test', $3, ${silent}, ${silent} + interval '60 s',
         ${silent} + interval '120 s'
       from generate_series(1, $1::integer) n`,
      [total, stale, state],
    );
  }
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
    const alerts = vi.spyOn(service.app.log, "alert").mockImplementation((...line) => void alert.said.push(line));
    expect((await calls.sweep()).body).toEqual({ ...nothing, frozen, offline: frozen ? 0 : stale });
    expect(await states()).toEqual(
      Object.fromEntries(
        Object.entries({ HEALTHY: frozen ? total : total - stale, OFFLINE: frozen ? 0 : stale }).filter(
          ([, n]) => n > 0,
        ),
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
});

describe("messages that ended", () => {
  /** Rows as sends and pulls leave them: `expired` past their time, `exhausted` in a lapsed last attempt. */
  async function ended(expired: number, exhausted: number): Promise<string> {
    const { aiAgentAddress } = await calls.inbox();
    await service.sql(
      `insert into cams.messages (message_id, recipient_address, sender_address, message_type, payload, priority,
         time_to_live_seconds, accepted_at, rank_at, available_at, expires_at, attempt, last_attempt, lease_token, leased_at)
       select cams.uuid7(now() - interval '2 h'), $1, 's', 'm', '{}', 3, 3600, now() - interval '2 h', now(),
         now() - interval '2 h', now() - interval '1 h', 0, false, null, null from generate_series(1, $2::integer)
       union all
       select cams.uuid7(now()), $1, 's', 'm', '{}', 3, 3600, now(), now(), now() - interval '1 min',
         now() + interval '1 h', 20, true, gen_random_uuid(), now() - interval '2 min' from generate_series(1, $3::integer)`,
      [aiAgentAddress, expired, exhausted],
    );
    return aiAgentAddress;
  }

  test("are archived by the sweep, all of them, with what they ended as", async () => {
    const address = await ended(2300, 1200);
    const live = await calls.message({ recipientAddress: address });
    expect((await calls.sweep()).body).toEqual({ ...nothing, expired: 2300, deadLettered: 1200 });
    expect((await calls.sweep()).body).toEqual(nothing);
    expect(await service.sql("select message_id from cams.messages")).toEqual([{ message_id: live.messageId }]);
    const { body } = await service.get("/v1/messages?status=DEAD_LETTERED&pageSize=1");
    expect(body.items).toMatchObject([
      { deadLetterReason: "attempts_exhausted", attempts: [{ number: 20, outcome: "LEASE_EXPIRED" }] },
    ]);
  });

  test("are archived in bounded batches", async () => {
    await ended(250, 0);
    const archive = () => service.app.repo.messages.archiveEnded(100);
    expect(await archive()).toEqual({ expired: 100, deadLettered: 0, more: true });
    expect(await archive()).toEqual({ expired: 100, deadLettered: 0, more: true });
    expect(await archive()).toEqual({ expired: 50, deadLettered: 0, more: false });
    expect(await archive()).toEqual({ expired: 0, deadLettered: 0, more: false });
  });

  test("are counted once by sweeps that overlap", async () => {
    await ended(3000, 500);
    const answers = await atOnce(4, () => calls.sweep());
    const sum = (name: string) => answers.reduce((total, { body }) => total + body[name], 0);
    expect([sum("expired"), sum("deadLettered")]).toEqual([3000, 500]);
    expect(await service.sql("select from cams.message_archive")).toHaveLength(3500);
  });
});
