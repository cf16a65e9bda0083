import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";
import { insertMessages } from "./rows.ts";

const service = useService();
const calls = callsFor(service);

interface Pulled {
  messageId: string;
  leaseToken: string;
  payload: { n: number };
}

/** Sends `count` messages of one key to a new inbox, more urgent the later they come; answers the address and the ids. */
async function line(count: number, inbox = {}, fields: Record<string, unknown> = {}) {
  const { aiAgentAddress: address } = await calls.inbox(inbox);
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const priority = ["LOW", "NORMAL", "HIGH", "CRITICAL"][Math.min(n, 3)];
    const sent = await calls.message({
      recipientAddress: address,
      orderingKey: "k",
      priority,
      payload: { n },
      ...fields,
    });
    ids.push(sent.messageId);
  }
  return { address, ids };
}

/** What a pull hands out now, by number; the first token beside it. */
async function handedOut(address: string) {
  const pulled: Pulled[] = await calls.pull(address, { maxMessages: 100 });
  return { numbers: pulled.map(({ payload }) => payload.n), token: pulled[0]?.leaseToken ?? "" };
}

/** Every ordering key with live messages has exactly one that is free to be handed out, and it is the first. */
async function expectLinesSound(): Promise<void> {
  const broken = await service.sql(`
    select recipient_address, ordering_key from cams.messages where ordering_key is not null
    group by 1, 2 having count(*) filter (where not blocked) <> 1 or min(seq) <> min(seq) filter (where not blocked)`);
  expect(broken).toEqual([]);
}

describe("messages of one ordering key", () => {
  test("are handed out one after another in order of arrival, whatever their priority", async () => {
    const { address, ids } = await line(5);
    for (let n = 0; n < 5; n++) {
      const { numbers, token } = await handedOut(address);
      expect(numbers).toEqual([n]);
      expect((await handedOut(address)).numbers).toEqual([]);
      expect((await calls.ack(address, token)).body.acknowledged).toEqual([ids[n]]);
    }
  });

  test("keep no other key and no keyless message waiting", async () => {
    const { address } = await line(3);
    await calls.message({ recipientAddress: address, orderingKey: "other", payload: { n: 10 } });
    await calls.message({ recipientAddress: address, payload: { n: 20 } });
    await calls.message({ recipientAddress: (await line(2)).address, orderingKey: "k", payload: { n: 30 } });
    expect((await handedOut(address)).numbers.sort()).toEqual([0, 10, 20]);
  });

  test("wait while the first is leased, backs off, or is delayed", async () => {
    const { address } = await line(3, {}, {});
    const first = await handedOut(address);
    expect((await handedOut(address)).numbers).toEqual([]);
    await calls.nack(address, [first.token], { retryAfterSeconds: 3600 });
    expect((await handedOut(address)).numbers).toEqual([]);
    await calls.becomeDue();
    expect((await handedOut(address)).numbers).toEqual([0]);
    await calls.lapse();
    expect((await handedOut(address)).numbers).toEqual([0]);

    const { aiAgentAddress: delayed } = await calls.inbox();
    const later = new Date(Date.now() + 3_600_000).toISOString();
    await calls.message({ recipientAddress: delayed, orderingKey: "k", deliverAfter: later, payload: { n: 0 } });
    await calls.message({ recipientAddress: delayed, orderingKey: "k", priority: "CRITICAL", payload: { n: 1 } });
    expect((await handedOut(delayed)).numbers).toEqual([]);
    await service.sql("update cams.messages set available_at = now(), rank_at = now() where recipient_address = $1", [
      delayed,
    ]);
    expect((await handedOut(delayed)).numbers).toEqual([0]);
  });

  test("a delayed one waits for its time though it is next", async () => {
    const { address } = await line(1);
    const later = new Date(Date.now() + 3_600_000).toISOString();
    await calls.message({ recipientAddress: address, orderingKey: "k", deliverAfter: later, payload: { n: 1 } });
    await calls.ack(address, (await handedOut(address)).token);
    expect((await handedOut(address)).numbers).toEqual([]);
  });

  test("100 sent at once have a defined order: that of their arrival numbers", async () => {
    const { aiAgentAddress: address } = await calls.inbox();
    const sent = await atOnce(100, (n) =>
      calls.message({ recipientAddress: address, orderingKey: "k", payload: { n } }),
    );
    const rows = await service.sql<{ message_id: string; seq: string }>(
      "select message_id, seq from cams.messages order by seq",
    );
    expect(new Set(rows.map(({ seq }) => seq)).size).toBe(100);
    expect(new Set(rows.map(({ message_id }) => message_id))).toEqual(new Set(sent.map(({ messageId }) => messageId)));
    await expectLinesSound();
    for (const { message_id } of rows) {
      const [pulled, ...more] = await calls.pull(address, { maxMessages: 100 });
      expect(pulled.messageId).toBe(message_id);
      expect(more).toEqual([]);
      await calls.ack(address, pulled.leaseToken);
    }
  });
});

describe("the next of a key is free at once", () => {
  const ends: [string, (address: string, ids: string[]) => Promise<unknown>, inbox?: Record<string, unknown>][] = [
    ["the first is acknowledged", async (address) => calls.ack(address, (await handedOut(address)).token)],
    ["the first is cancelled", (_, ids) => calls.cancel(ids[0] as string)],
    [
      "the first is cancelled while leased",
      async (address, ids) => {
        await handedOut(address);
        await calls.cancel(ids[0] as string);
      },
    ],
    [
      "the first is dead",
      async (address) => calls.nack(address, [(await handedOut(address)).token]),
      { maxDeliveryAttempts: 1 },
    ],
    ["the first has expired", (_, ids) => calls.expire(ids[0])],
    [
      "the first expired while it was leased, and its lease lapsed",
      async (address, ids) => {
        await handedOut(address);
        await calls.expire(ids[0]);
        await calls.lapse();
      },
    ],
    [
      "the last attempt of the first has lapsed",
      async (address) => {
        await handedOut(address);
        await calls.lapse();
      },
      { maxDeliveryAttempts: 1 },
    ],
  ];

  test.each(ends)("when %s", async (_, end, inbox = {}) => {
    const { address, ids } = await line(4, inbox);
    await end(address, ids);
    // Not three in a row by luck: the middle one has left before its turn.
    await calls.cancel(ids[1] as string);
    const next = await handedOut(address);
    expect(next.numbers).toEqual([2]);
    await expectLinesSound();
    await calls.ack(address, next.token);
    expect((await handedOut(address)).numbers).toEqual([3]);
  });

  test.each([30, 1500])("when %i in a row have expired, and keyless ones too, without a sweep", async (count) => {
    const { aiAgentAddress: address } = await calls.inbox();
    await insertMessages(service, address, 2 * count, {
      ordering_key: "case when n % 2 = 0 then 'k' end",
      expires_at: "now() - interval '1 h' + make_interval(secs => n)",
    });
    await calls.message({ recipientAddress: address, orderingKey: "k", payload: { n: 1 } });
    await calls.message({ recipientAddress: address, orderingKey: "k2", payload: { n: 2 } });
    expect((await handedOut(address)).numbers).toEqual([1, 2]);
    await expectLinesSound();
  });

  test("for a heartbeat too: `hasMessages` looks past a first one that has ended", async () => {
    const { address, ids } = await line(2);
    await calls.expire(ids[0]);
    expect((await calls.report(address)).body.inbox.hasMessages).toBe(true);
  });

  test("for a request that waits, as soon as the first is acknowledged", async () => {
    const { address } = await line(2);
    const { token } = await handedOut(address);
    const waiting = calls.pulled(address, { waitSeconds: 20 });
    await expect.poll(calls.waiting, { interval: 5 }).toBe(1);
    const start = performance.now();
    await calls.ack(address, token);
    expect((await waiting).body.messages).toHaveLength(1);
    expect(performance.now() - start).toBeLessThan(500);
  });
});
