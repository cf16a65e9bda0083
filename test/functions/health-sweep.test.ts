import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";
import { nothing } from "./rows.ts";

const service = useService();
const calls = callsFor(service);
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
      attempts: [
        { number: 1, outcome: "FAILED", detail: "once" },
        { number: 2, outcome: "INTERRUPTED", detail: "missed 4 reports" },
      ],
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
    expect(await calls.messageOf(messageId)).toMatchObject({
      status: "QUEUED",
      attempt: 0,
      attempts: [{ number: 1, outcome: "INTERRUPTED" }],
    });
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
