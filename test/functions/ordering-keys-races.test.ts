import { afterEach, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);
const KEYS = 5;
const ROUNDS = 10;

interface Line {
  address: string;
  key: string;
  send(): Promise<string>;
  pull(): Promise<{ messageId: string; leaseToken: string }>;
}

/** Runs `race` again and again on several lines at once, each in an inbox of its own. */
async function onLines(race: (line: Line) => Promise<void>): Promise<void> {
  await atOnce(KEYS, async (n) => {
    const { aiAgentAddress: address } = await calls.inbox();
    const key = `key-${n}`;
    const send = async () => (await calls.message({ recipientAddress: address, orderingKey: key })).messageId;
    const pull = async () => {
      const pulled = await calls.pull(address, { maxMessages: 100 });
      expect(pulled).toHaveLength(1);
      return pulled[0];
    };
    for (let round = 0; round < ROUNDS; round++) await race({ address, key, send, pull });
  });
}

afterEach(async () => {
  // A deadlock would be retried and not be seen in any answer.
  expect(await calls.failedStatements()).toEqual([]);
});

test("the last of a key leaves while the next arrives: the next is free", async () => {
  await onLines(async ({ address, send, pull }) => {
    await send();
    const head = await pull();
    const [next] = await Promise.all([send(), calls.ack(address, head.leaseToken)]);
    const { messageId, leaseToken } = await pull();
    expect(messageId).toBe(next);
    await calls.ack(address, leaseToken);
  });
});

test("the first and the second leave at once: the third is free", async () => {
  await onLines(async ({ address, send, pull }) => {
    await send();
    const second = await send();
    const third = await send();
    const head = await pull();
    const [acked, cancelled] = await Promise.all([calls.ack(address, head.leaseToken), calls.cancel(second)]);
    expect(acked.body.acknowledged).toEqual([head.messageId]);
    expect(cancelled.status).toBe(200);
    const { messageId, leaseToken } = await pull();
    expect(messageId).toBe(third);
    await calls.ack(address, leaseToken);
  });
});

test("a whole line is cancelled from all ends while its first is acknowledged and another arrives", async () => {
  await onLines(async ({ address, send, pull }) => {
    const ids = [await send(), await send(), await send(), await send()];
    const head = await pull();
    const [last] = await Promise.all([
      send(),
      calls.ack(address, head.leaseToken),
      ...ids.slice(1).reverse().map(calls.cancel),
    ]);
    const { messageId, leaseToken } = await pull();
    expect(messageId).toBe(last);
    await calls.ack(address, leaseToken);
  });
});

test("several sweeps and pulls clear ended lines at once", async () => {
  const { aiAgentAddress: address } = await calls.inbox();
  for (let round = 0; round < 10; round++) {
    await atOnce(40, (n) => calls.message({ recipientAddress: address, orderingKey: `k${n % 8}` }));
    await calls.expire();
    const live = await atOnce(8, (n) => calls.message({ recipientAddress: address, orderingKey: `k${n}` }));
    const pull = () => calls.pull(address, { maxMessages: 100 });
    const [pulled] = await Promise.all([atOnce(3, pull), atOnce(3, () => calls.sweep())]);
    const all = [...pulled.flat(), ...(await pull())];
    expect(all.map(({ messageId }) => messageId).sort()).toEqual(live.map(({ messageId }) => messageId).sort());
    await calls.ack(address, ...all.map(({ leaseToken }) => leaseToken));
  }
  expect(await service.sql("select from cams.message_archive where status = 'EXPIRED'")).toHaveLength(400);
});
