import { afterEach, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor, sessionsWait, whileHeld } from "./calls.ts";

const service = useService();
const calls = callsFor(service);

type Fields = Record<string, unknown>;

function shuffled<T>(items: T[]): T[] {
  return items
    .map((item) => [Math.random(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item);
}

async function send(messages: Fields[]) {
  const { status, body } = await calls.sendBatch(messages);
  expect(status, JSON.stringify(body)).toBe(200);
  return body.results;
}

afterEach(async () => {
  // A deadlock would be retried and not be seen in any answer.
  expect(await calls.failedStatements()).toEqual([]);
});

const lineLock = "select cams.lock_message_line($1, $2)";

test("20 at once with the same recipients and ids in other orders: one set of messages", async () => {
  const addresses = await atOnce(20, async () => (await calls.inbox()).aiAgentAddress as string);
  const messages = Array.from({ length: 200 }, (_, n) => ({
    recipientAddress: addresses[n % 20],
    senderMessageId: `m-${n}`,
    orderingKey: `k-${n % 7}`,
    payload: { n },
  }));
  const answers = await atOnce(20, () => send(shuffled(messages)));
  const ids = answers.map((results) => results.map(({ messageId }: Fields) => messageId).sort());
  expect(new Set(ids.map(String)).size).toBe(1);
  expect(answers.flat().filter(({ replayed }) => !replayed)).toHaveLength(200);
  expect(await service.sql("select from cams.messages")).toHaveLength(200);
});

test("20 at once over 100 ordering keys in other orders: each arrives whole, in the order given", async () => {
  const { aiAgentAddress: recipientAddress } = await calls.inbox();
  const keys = Array.from({ length: 100 }, (_, n) => `k-${n}`);
  await atOnce(20, (batch) => {
    const orderingKeys = shuffled([...keys, ...keys, ...keys]);
    return send(orderingKeys.map((orderingKey, n) => ({ recipientAddress, orderingKey, payload: { batch, n } })));
  });
  const rows = await service.sql<{ key: string; batch: number; n: number; blocked: boolean }>(`
    select ordering_key as key, (payload->>'batch')::integer as batch, (payload->>'n')::integer as n, blocked
    from cams.messages order by ordering_key, seq`);
  for (const [key, line] of Map.groupBy(rows, ({ key }) => key)) {
    expect(
      line.map(({ blocked }) => blocked),
      key,
    ).toEqual([false, ...Array(59).fill(true)]);
    const runs = line.filter(({ batch }, i) => batch !== line[i - 1]?.batch);
    expect(runs, key).toHaveLength(20);
    for (const [i, { batch, n }] of line.entries())
      if (line[i - 1]?.batch === batch) expect(n, key).toBeGreaterThan(line[i - 1]?.n ?? 0);
  }
});

test("batches over many keys while others acknowledge, fail and sweep several keys: all end, in their order", async () => {
  const { aiAgentAddress: address } = await calls.inbox({ maxDeliveryAttempts: 1 });
  const keys = Array.from({ length: 30 }, (_, n) => `k-${n}`);
  const total = 20 * 60;
  const ended: { key: string; batch: number; n: number }[] = [];
  let sending = true;
  const work = async (end: (tokens: string[]) => Promise<unknown>) => {
    while (sending || (await service.sql("select from cams.messages limit 1")).length > 0) {
      const messages = await calls.pull(address, { maxMessages: 100 });
      for (const { orderingKey, payload } of messages) ended.push({ key: orderingKey, ...payload });
      if (messages.length > 0) await end(shuffled(messages.map((message: Fields) => message.leaseToken)));
    }
  };
  const batches = atOnce(5, async (lane) => {
    for (let round = 0; round < 4; round++) {
      const orderingKeys = shuffled([...keys, ...keys]);
      await send(
        orderingKeys.map((orderingKey, n) => ({
          recipientAddress: address,
          orderingKey,
          payload: { batch: lane * 4 + round, n },
          timeToLiveSeconds: n % 20 === 0 ? 1 : 600,
        })),
      );
    }
  }).finally(() => {
    sending = false;
  });
  const sweeps = async () => {
    while (sending || (await service.sql("select from cams.messages limit 1")).length > 0) await calls.sweep();
  };
  await Promise.all([
    batches,
    ...Array.from({ length: 3 }, () => work((tokens) => calls.ack(address, ...tokens))),
    work((tokens) => calls.nack(address, tokens)),
    sweeps(),
    sweeps(),
  ]);
  const archived = await service.sql("select from cams.message_archive");
  expect(archived).toHaveLength(total);
  expect(ended.length).toBeGreaterThan(total / 2);
  for (const { key, batch, n } of ended) {
    const later = ended.slice(ended.findIndex((one) => one.key === key && one.batch === batch && one.n === n) + 1);
    expect(later.filter((one) => one.key === key && one.batch === batch && one.n < n)).toEqual([]);
  }
});

test("a batch that waits for the first of its lines holds none of the others, whatever the order given", async () => {
  const { aiAgentAddress: recipientAddress } = await calls.inbox();
  const batch = ["c", "b", "a"].map((orderingKey) => ({ recipientAddress, orderingKey }));
  await whileHeld(service, lineLock, [recipientAddress, "a"], async (release) => {
    const waiting = send(batch);
    await sessionsWait(service, 1);
    for (const orderingKey of ["b", "c"]) await calls.message({ recipientAddress, orderingKey });
    await release();
    expect(await waiting).toHaveLength(3);
  });
});

test.each(["ack", "nack", "sweep"])(
  "an end of several lines (%s) that waits for the first holds none of the others",
  async (way) => {
    const { aiAgentAddress: recipientAddress } = await calls.inbox({ maxDeliveryAttempts: 1 });
    await send(["c", "b", "a"].map((orderingKey) => ({ recipientAddress, orderingKey })));
    const tokens: string[] = [];
    if (way === "sweep") await calls.expire();
    else for (const { leaseToken } of await calls.pull(recipientAddress)) tokens.push(leaseToken);
    await whileHeld(service, lineLock, [recipientAddress, "a"], async (release) => {
      const ends = {
        ack: () => calls.ack(recipientAddress, ...tokens),
        nack: () => calls.nack(recipientAddress, tokens),
      };
      const waiting = way === "sweep" ? calls.sweep() : ends[way as "ack"]();
      await sessionsWait(service, 1);
      for (const orderingKey of ["b", "c"]) await calls.message({ recipientAddress, orderingKey });
      await release();
      expect((await waiting).status).toBe(200);
    });
    expect(await service.sql("select from cams.message_archive")).toHaveLength(3);
    expect(await service.sql("select from cams.messages where not blocked")).toHaveLength(2);
  },
);

test("a batch that waits for the first of its ids holds none of the others", async () => {
  const { aiAgentAddress: recipientAddress } = await calls.inbox();
  const insert = `
    insert into cams.message_keys values ('sender@corp.example', $1, cams.uuid7(now()), '', 'x', now(), now(), now())`;
  await whileHeld(service, insert, ["a"], async (release) => {
    const waiting = send(["c", "b", "a"].map((senderMessageId) => ({ recipientAddress, senderMessageId })));
    await sessionsWait(service, 1);
    for (const senderMessageId of ["b", "c"])
      expect((await calls.send({ recipientAddress, senderMessageId })).status).toBe(202);
    await release();
    expect((await waiting).map(({ replayed }: Fields) => replayed)).toEqual([true, true, undefined]);
  });
});

test("a batch that waits for the first of its inboxes holds none of the others", async () => {
  await atOnce(3, (n) => calls.inbox({ aiAgentAddress: "abc"[n] }));
  const hold = "delete from cams.agent_inboxes where ai_agent_address = $1";
  await whileHeld(service, hold, ["a"], async (release) => {
    const waiting = send(["c", "b", "a"].map((recipientAddress) => ({ recipientAddress })));
    await sessionsWait(service, 1);
    for (const address of ["b", "c"]) expect((await service.delete(`/v1/agent-inboxes/${address}`)).status).toBe(204);
    await release();
    const code = "inbox_not_found";
    expect(await waiting).toMatchObject([{ problem: { code } }, { problem: { code } }, { problem: { code } }]);
  });
});

test("a batch against the deletion of one of its inboxes: what is in it is all taken and ended, or all refused", async () => {
  for (let round = 0; round < 15; round++) {
    const { aiAgentAddress: kept } = await calls.inbox();
    const { aiAgentAddress: gone } = await calls.inbox();
    const batch = Array.from({ length: 60 }, (_, n) => ({
      recipientAddress: n % 2 ? gone : kept,
      orderingKey: `k-${n % 5}`,
    }));
    const [results, deleted] = await Promise.all([send(batch), service.delete(`/v1/agent-inboxes/${gone}`)]);
    expect(deleted.status).toBe(204);
    const refused = results.filter(({ problem }: { problem?: { code: string } }) => problem);
    expect([0, 30]).toContain(refused.length);
    const ofGone = "from cams.messages where recipient_address = $1";
    expect(await service.sql(`select ${ofGone}`, [gone])).toEqual([]);
    const dead = "select from cams.message_archive where recipient_address = $1 and status = 'DEAD_LETTERED'";
    expect(await service.sql(dead, [gone])).toHaveLength(30 - refused.length);
    expect(await service.sql(`select ${ofGone}`, [kept])).toHaveLength(30);
  }
});
