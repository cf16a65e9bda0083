import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { allPages, atOnce, callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);

type Fields = Record<string, unknown>;
const live = () => service.sql("select message_id from cams.messages");
const numbered = (count: number, fields: (n: number) => Fields): Fields[] =>
  Array.from({ length: count }, (_, n) => ({ payload: { n }, ...fields(n) }));

/** The results of a batch that was taken. */
async function resultsOf(messages: Fields[]) {
  const { status, body } = await calls.sendBatch(messages);
  expect(status, JSON.stringify(body)).toBe(200);
  expect(body.results).toHaveLength(messages.length);
  return body.results;
}

/** What became of each: its problem's code, or whether it is a first answer again, or new. */
async function outcomesOf(messages: Fields[]): Promise<string[]> {
  const results: { problem?: { code: string }; replayed?: boolean }[] = await resultsOf(messages);
  return results.map(({ problem, replayed }) => problem?.code ?? (replayed ? "replayed" : "new"));
}

describe("messages-send-batch", () => {
  test("200, and each message is what the same send makes alone", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const whole = {
      recipientAddress: aiAgentAddress.toUpperCase(),
      messageType: "order.placed",
      payload: { text: "Grüße 🎉 \\ \" ' $1 \u2028", nested: { list: [1, 2.5, null, true, "x"], empty: {} } },
      metadata: { trace: "'; drop table cams.messages; -- \\ \"", "a key": "", "😀": "\u2028" },
      priority: "HIGH",
      timeToLiveSeconds: 3600,
      orderingKey: 'key "7" \\n {a,b} \u{1d11e}',
      correlationId: "conversation\\u0000",
      inReplyTo: "0199d9a0-0000-7000-8000-000000000001",
      replyToAddress: "replies@corp.example",
    };
    const delayed = { recipientAddress: aiAgentAddress, deliverAfter: "2099-01-01T00:00:00+01:00", priority: "LOW" };
    const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (const fields of [whole, delayed, { recipientAddress: aiAgentAddress }]) {
      const alone = await calls.send({ ...fields, senderMessageId: "alone" }, { traceparent: trace });
      const batch = await calls.sendBatch([{ ...fields, senderMessageId: "batch" }], { traceparent: trace });
      const [accepted] = batch.body.results;
      expect(Object.keys(accepted).sort()).toEqual(Object.keys(alone.body).sort());
      const rows = await service.sql(`
        select to_jsonb(m) - '{message_id,seq,sender_message_id,traceparent,accepted_at,rank_at,available_at,expires_at,
            ends_at,blocked}'::text[] || jsonb_build_object(
          'trace', left(traceparent, 35), 'lives', expires_at - accepted_at, 'ranks', rank_at - available_at,
          'waits', case when available_at > accepted_at then available_at end) as row
        from cams.messages m order by seq`);
      expect(rows).toHaveLength(2);
      expect(rows[1]).toEqual(rows[0]);
      expect(await calls.messageOf(accepted.messageId)).toMatchObject({ ...accepted, senderMessageId: "batch" });
      await service.sql("delete from cams.messages");
      await service.sql("delete from cams.message_keys");
    }
  });

  test("500 at once, handed out and listed in the order given, in well under 500 ms", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const messages = numbered(500, () => ({ recipientAddress: aiAgentAddress, timeToLiveSeconds: 600 }));
    await resultsOf(messages.slice(0, 100));
    await service.sql("delete from cams.messages");
    const start = performance.now();
    const results = await resultsOf(messages);
    expect(performance.now() - start).toBeLessThan(500);

    const ids = results.map(({ messageId }: { messageId: string }) => messageId);
    const bySeq = await service.sql("select message_id, (payload->>'n')::integer as n from cams.messages order by seq");
    expect(bySeq).toEqual(ids.map((message_id: string, n: number) => ({ message_id, n })));
    const listed = await allPages(service, `/v1/messages?recipientAddress=${aiAgentAddress}&pageSize=99`);
    expect(listed.map(({ messageId }) => messageId)).toEqual(ids.toReversed());
    const pulled = await calls.pull(aiAgentAddress, { maxMessages: 100 });
    expect(pulled.map(({ messageId }: { messageId: string }) => messageId)).toEqual(ids.slice(0, 100));
  });

  test("400 naming the faults of all, for 501, for none, and nothing is sent", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const good = { recipientAddress: aiAgentAddress };
    const pointers = async (messages: Fields[]) => {
      const { status, body } = await calls.sendBatch(messages);
      expect(status).toBe(400);
      return body.errors.map(({ pointer }: { pointer: string }) => pointer).sort();
    };
    expect(await pointers([good, { ...good, payload: [] }, good, { ...good, colour: "red", priority: "X" }])).toEqual([
      "/messages/1/payload",
      "/messages/3/colour",
      "/messages/3/priority",
    ]);
    expect(await pointers(Array(501).fill(good))).toEqual(["/messages"]);
    expect(await pointers([])).toEqual(["/messages"]);
    expect(await live()).toEqual([]);
  });

  test("each has its own outcome, as sent alone", async () => {
    const { aiAgentAddress: active } = await calls.inbox();
    const { aiAgentAddress: inactive } = await calls.inbox();
    const { aiAgentAddress: quarantined } = await calls.inbox();
    const { aiAgentAddress: unhealthy } = await calls.inbox();
    await calls.update(inactive, { status: "INACTIVE" });
    await calls.quarantine(quarantined);
    await calls.report(unhealthy, "UNHEALTHY");
    await calls.message({ recipientAddress: active, senderMessageId: "known" });
    const messages = [
      { recipientAddress: active },
      { recipientAddress: "nobody@corp.example" },
      { recipientAddress: inactive, senderMessageId: "refused" },
      { recipientAddress: quarantined },
      { recipientAddress: unhealthy },
      { recipientAddress: unhealthy, ifInactive: "reject" },
      { recipientAddress: active, senderMessageId: "known" },
      { recipientAddress: active },
    ];
    const results = await resultsOf(messages);
    expect(results.map((result: { problem?: { code: string } }) => result.problem?.code)).toEqual([
      undefined,
      "inbox_not_found",
      "inbox_inactive",
      "inbox_inactive",
      undefined,
      "inbox_inactive",
      "message_id_reused",
      undefined,
    ]);
    for (const [n, fields] of messages.entries()) {
      const alone = await calls.send(fields);
      if (alone.status === 202) continue;
      const { type: _, requestId: __, ...item } = alone.body;
      expect(results[n]).toEqual({ problem: item });
    }
    const ids = await service.sql("select from cams.message_keys where sender_message_id = 'refused'");
    expect(ids).toEqual([]);
  });

  test("wakes whoever waits, in each inbox that got something", async () => {
    const addresses = await atOnce(3, async () => (await calls.inbox()).aiAgentAddress as string);
    const waiting = addresses.slice(0, 2).map((address) => calls.pulled(address, { waitSeconds: 20 }));
    await expect.poll(calls.waiting, { interval: 5 }).toBe(2);
    const start = performance.now();
    await resultsOf(addresses.map((recipientAddress) => ({ recipientAddress })));
    for (const answer of await Promise.all(waiting)) expect(answer.body.messages).toHaveLength(1);
    expect(performance.now() - start).toBeLessThan(500);
  });

  test("counts as accepted what is new", async () => {
    const { aiAgentAddress: recipientAddress } = await calls.inbox();
    const accepted = async () =>
      Number(/^cams_messages_total\{status="ACCEPTED"\} (\d+)/m.exec((await service.get("/metrics")).body)?.[1] ?? 0);
    const before = await accepted();
    const once = { recipientAddress, senderMessageId: "once" };
    await resultsOf([once, once, { recipientAddress }, { recipientAddress: "nobody@corp.example" }]);
    expect(await accepted()).toBe(before + 2);
  });
});

describe("senderMessageId in a batch", () => {
  test("the first answers come again to a whole batch, and to each of it alone", async () => {
    const { aiAgentAddress: recipientAddress } = await calls.inbox();
    const messages = numbered(50, (n) => ({ recipientAddress, senderMessageId: `m-${n}` }));
    const first = await resultsOf(messages);
    const again = await resultsOf(messages.toReversed());
    expect(again.toReversed()).toEqual(first.map((result: object) => ({ ...result, replayed: true })));
    const alone = await calls.send(messages[7] as Fields);
    expect(alone.body).toEqual(first[7]);
    expect(alone.headers.get("idempotent-replayed")).toBe("true");
    expect(await live()).toHaveLength(50);
    await service.delete(`/v1/agent-inboxes/${recipientAddress}`);
    expect(await resultsOf(messages)).toEqual(first.map((result: object) => ({ ...result, replayed: true })));
    expect(await live()).toEqual([]);
  });

  test("twice in one batch the second is the first's answer, or 409 if it differs; another sender's is another's", async () => {
    const { aiAgentAddress: recipientAddress } = await calls.inbox();
    const once = { recipientAddress, senderMessageId: "once" };
    const results = await resultsOf([
      once,
      { ...once, senderAddress: "other@corp.example" },
      once,
      { ...once, payload: { other: 1 } },
      { ...once, recipientAddress: "nobody@corp.example" },
    ]);
    const [first, other] = results;
    const reused = { problem: { code: "message_id_reused", detail: expect.stringContaining(first.messageId) } };
    expect(other.messageId).not.toBe(first.messageId);
    expect(results).toMatchObject([first, other, { ...first, replayed: true }, reused, reused]);
    expect(first).not.toHaveProperty("replayed");
    expect(await live()).toHaveLength(2);
  });

  test("what was refused leaves the id to the next of the batch", async () => {
    const { aiAgentAddress: recipientAddress } = await calls.inbox();
    const { aiAgentAddress: inactive } = await calls.inbox();
    await calls.update(inactive, { status: "INACTIVE" });
    const once = { recipientAddress, senderMessageId: "once" };
    const batch = [{ ...once, recipientAddress: "nobody" }, { ...once, recipientAddress: inactive }, once, once];
    expect(await outcomesOf(batch)).toEqual(["inbox_not_found", "inbox_inactive", "new", "replayed"]);
    expect(await outcomesOf(batch)).toEqual(["message_id_reused", "message_id_reused", "replayed", "replayed"]);
  });

  test("after 14 days it makes a new message", async () => {
    const { aiAgentAddress: recipientAddress } = await calls.inbox();
    const once = { recipientAddress, senderMessageId: "once" };
    const [first] = await resultsOf([once]);
    await service.sql("update cams.message_keys set kept_until = now()");
    const [second, third] = await resultsOf([once, once]);
    expect(second.messageId).not.toBe(first.messageId);
    expect(third).toEqual({ ...second, replayed: true });
  });

  test("two equal batches at once make one set of messages, again and again", async () => {
    const { aiAgentAddress: recipientAddress } = await calls.inbox();
    for (let round = 0; round < 10; round++) {
      const messages = numbered(50, (n) => ({ recipientAddress, senderMessageId: `m-${round}-${n}` }));
      const [one, two] = await Promise.all([resultsOf(messages), resultsOf(messages)]);
      const bare = (results: Fields[]) => results.map(({ replayed: _, ...accepted }) => accepted);
      expect(bare(one)).toEqual(bare(two));
      expect([...one, ...two].filter(({ replayed }) => replayed)).toHaveLength(50);
      expect(await live()).toHaveLength(50 * (round + 1));
    }
  });

  test("an Idempotency-Key beside it: the whole answer again, and one set of messages when 10 come at once", async () => {
    const { aiAgentAddress: recipientAddress } = await calls.inbox();
    const messages = numbered(20, (n) => ({ recipientAddress, ...(n % 2 && { senderMessageId: `m-${n}` }) }));
    const answers = await atOnce(10, () => calls.sendBatch(messages, { "idempotency-key": "key-1" }));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get("idempotent-replayed") === "true")).toHaveLength(9);
    expect(await live()).toHaveLength(20);
  });
});
