import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { allPages, callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);

interface Listed {
  messageId: string;
  acceptedAt: string;
  status: string;
}

/** One message of every fate, none of them archived by a sweep yet; answers their ids by status. */
async function everyFate(): Promise<Record<string, string[]>> {
  const { aiAgentAddress: address } = await calls.inbox({ aiAgentAddress: "fates", maxDeliveryAttempts: 2 });
  const send = async (fields = {}) => (await calls.message({ recipientAddress: address, ...fields })).messageId;
  const pullOne = async () => (await calls.pull(address, { maxMessages: 1 }))[0];

  const acknowledged = await send();
  await calls.ack(address, (await pullOne()).leaseToken);
  const cancelled = await send();
  await calls.cancel(cancelled);
  const exhausted = await send();
  await pullOne();
  await calls.lapse();
  await pullOne();
  await calls.lapse();
  const nacked = await send();
  await calls.nack(address, [(await pullOne()).leaseToken], { retryAfterSeconds: 0 });
  await calls.nack(address, [(await pullOne()).leaseToken]);
  const lapsed = await send();
  await pullOne();
  await calls.lapse();
  const leasedAndLapsed = await send();
  // The lapsed one is handed out first: leased again it would not be lapsed.
  await service.sql("update cams.messages set rank_at = rank_at + interval '1 h' where message_id = $1", [lapsed]);
  await pullOne();
  await calls.lapse();
  await service.sql("update cams.messages set rank_at = rank_at + interval '1 h' where message_id = $1", [
    leasedAndLapsed,
  ]);
  const leased = await send();
  await pullOne();
  const leasedPastItsTime = await send();
  await pullOne();
  const queued = await send();
  const expired = await send();
  for (const id of [expired, leasedAndLapsed, leasedPastItsTime]) await calls.expire(id);
  return {
    ACKNOWLEDGED: [acknowledged],
    CANCELLED: [cancelled],
    DEAD_LETTERED: [exhausted, nacked],
    EXPIRED: [expired, leasedAndLapsed],
    LEASED: [leased, leasedPastItsTime],
    QUEUED: [lapsed, queued],
    DELIVERED: [],
  };
}

describe("the effective status", () => {
  test("is the same looked up, listed and filtered, before the sweep and after it", async () => {
    const fates = await everyFate();
    const seen: unknown[] = [];
    for (const sweep of [false, true]) {
      if (sweep) expect((await calls.sweep()).body).toMatchObject({ expired: 2, deadLettered: 1 });
      const { body } = await service.get("/v1/messages?recipientAddress=fates");
      expect(body.items).toHaveLength(Object.values(fates).flat().length);
      for (const [status, ids] of Object.entries(fates)) {
        const filtered = await service.get(`/v1/messages?recipientAddress=fates&status=${status}`);
        expect(filtered.body.items.map(({ messageId }: Listed) => messageId).sort(), status).toEqual(ids.sort());
        for (const id of ids) {
          const message = await calls.messageOf(id);
          expect(message.status).toBe(status);
          expect(body.items.find(({ messageId }: Listed) => messageId === id)).toEqual(message);
          expect("finishedAt" in message).toBe(!["QUEUED", "LEASED"].includes(status));
        }
      }
      // When it was archived is not when it ended.
      seen.push(body.items.map(({ finishedAt: _, ...message }: Listed & { finishedAt?: string }) => message));
    }
    expect(seen[1]).toEqual(seen[0]);
    const left = await service.sql<{ message_id: string }>("select message_id from cams.messages");
    expect(left.map(({ message_id }) => message_id).sort()).toEqual(
      [...(fates.LEASED ?? []), ...(fates.QUEUED ?? [])].sort(),
    );
  });

  test("what ended is not pending, not counted, not handed out", async () => {
    await everyFate();
    expect(await calls.inboxOf("fates")).toMatchObject({ pendingMessages: 4 });
    await service.sql("update cams.messages set rank_at = accepted_at");
    const { body } = await calls.pulled("fates");
    expect(body.messages).toHaveLength(2);
    expect(body.remaining).toBe(0);
  });
});

describe("messages-list", () => {
  test("newest first, live and finished in one, over pages, each once", async () => {
    const { aiAgentAddress: address } = await calls.inbox();
    const sent: string[] = [];
    for (let n = 0; n < 23; n++) {
      const { messageId } = await calls.message({ recipientAddress: address });
      sent.unshift(messageId);
      if (n % 3 === 0) await calls.cancel(messageId);
    }
    const items: Listed[] = await allPages(service, `/v1/messages?recipientAddress=${address}&pageSize=4`, () =>
      // New ones come before the first page, and old ones move to the archive: neither shifts what follows.
      Promise.all([calls.message({ recipientAddress: address }), calls.cancel(sent[20] as string)]),
    );
    expect(items.map(({ messageId }) => messageId).sort()).toEqual([...sent].sort());
    const times = items.map(({ acceptedAt }) => acceptedAt);
    expect(times).toEqual(times.toSorted().reverse());
  });

  test("each filter keeps what it names", async () => {
    const { aiAgentAddress: one } = await calls.inbox();
    const { aiAgentAddress: two } = await calls.inbox();
    const a = await calls.message({
      recipientAddress: one,
      senderAddress: "x",
      messageType: "t1",
      correlationId: "c1",
    });
    const b = await calls.message({ recipientAddress: one, senderAddress: "y", correlationId: "c1" });
    const c = await calls.message({ recipientAddress: two, senderAddress: "x", messageType: "t1" });
    await calls.cancel(b.messageId);
    await service.sql(`
      update cams.messages set accepted_at = '2026-01-01T10:00:00Z' where message_id = '${a.messageId}';
      update cams.message_archive set accepted_at = '2026-01-02T10:00:00Z';
      update cams.messages set accepted_at = '2026-01-03T10:00:00Z' where message_id = '${c.messageId}'`);
    const table: [string, unknown[]][] = [
      [`recipientAddress=${one}`, [a, b]],
      [`recipientAddress=${one.toUpperCase()}`, [a, b]],
      ["senderAddress=x", [a, c]],
      ["senderAddress=x&messageType=t1", [a, c]],
      ["messageType=message", [b]],
      ["correlationId=c1", [a, b]],
      ["correlationId=c1&status=QUEUED", [a]],
      [`recipientAddress=${one}&senderAddress=x`, [a]],
      ["after=2026-01-02T10:00:00Z", [b, c]],
      ["after=2026-01-02T11:00:00%2B01:00", [b, c]],
      ["before=2026-01-02T10:00:00Z", [a]],
      ["after=2026-01-02T00:00:00Z&before=2026-01-03T00:00:00Z", [b]],
      ["recipientAddress=nobody", []],
    ];
    for (const [query, expected] of table) {
      const { body } = await service.get(`/v1/messages?${query}`);
      const ids = body.items.map(({ messageId }: Listed) => messageId).sort();
      expect(ids, query).toEqual(expected.map((sent) => (sent as Listed).messageId).sort());
    }
  });

  test("no message is missed or shown twice while it moves to the archive", async () => {
    const { aiAgentAddress: address } = await calls.inbox();
    const ids: string[] = [];
    for (let n = 0; n < 40; n++) ids.push((await calls.message({ recipientAddress: address })).messageId);
    let done = false;
    const read = async () => {
      let reads = 0;
      for (; !done; reads++) {
        const { body } = await service.get(`/v1/messages?recipientAddress=${address}&pageSize=100`);
        expect(new Set(body.items.map(({ messageId }: Listed) => messageId)).size).toBe(40);
        expect(body.items).toHaveLength(40);
        expect((await service.get(`/v1/messages/${ids[reads % 40]}`)).status).toBe(200);
      }
      return reads;
    };
    const move = async () => {
      for (const id of ids) await calls.cancel(id);
      done = true;
    };
    const [, ...reads] = await Promise.all([move(), read(), read()]);
    expect(Math.min(...reads)).toBeGreaterThan(3);
  });
});
