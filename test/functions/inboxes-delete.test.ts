import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { allPages, atOnce, callsFor, sessionsWait, whileHeld } from "./calls.ts";
import { insertMessages } from "./rows.ts";

const service = useService();
const calls = callsFor(service);
const remove = (address: string, headers?: Record<string, string>) =>
  service.delete(`/v1/agent-inboxes/${address}`, headers);

describe("inboxes-delete", () => {
  test("204, then 404 for every use of the address", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const answer = await remove(aiAgentAddress);
    expect(answer).toMatchObject({ status: 204, body: "" });
    const refused = { status: 404, body: { code: "inbox_not_found" } };
    expect(await remove(aiAgentAddress)).toMatchObject(refused);
    expect(await service.get(`/v1/agent-inboxes/${aiAgentAddress}`)).toMatchObject(refused);
    expect(await calls.send({ recipientAddress: aiAgentAddress })).toMatchObject(refused);
    expect(await calls.pulled(aiAgentAddress)).toMatchObject(refused);
    expect(await calls.ack(aiAgentAddress, "x")).toMatchObject(refused);
    expect(await calls.report(aiAgentAddress)).toMatchObject(refused);
  });

  test("412 at another revision, and nothing is touched", async () => {
    const { messageId, recipientAddress } = await calls.message();
    const answer = await remove(recipientAddress, { "if-match": '"7"' });
    expect(answer).toMatchObject({ status: 412, body: { code: "revision_mismatch" } });
    expect(await calls.messageOf(messageId)).toMatchObject({ status: "QUEUED" });
    expect((await remove(recipientAddress, { "if-match": '"1"' })).status).toBe(204);
  });

  test("one 204 and 19 times 404 when 20 delete at once", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const answers = await atOnce(20, () => remove(aiAgentAddress));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, ...Array(19).fill(404)]);
  });

  test("queued, delayed, keyed and leased messages end as dead letters; what ended before keeps its end", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const send = (fields = {}) => calls.message({ recipientAddress: aiAgentAddress, ...fields });
    const done = await send();
    const [pulled] = await calls.pull(aiAgentAddress);
    await calls.ack(aiAgentAddress, pulled.leaseToken);
    const expired = await send({ timeToLiveSeconds: 1 });
    await calls.expire(expired.messageId);
    const leased = await send();
    await calls.pull(aiAgentAddress);
    const open = [
      await send(),
      await send({ deliverAfter: "2099-01-01T00:00:00Z" }),
      await send({ orderingKey: "k" }),
      await send({ orderingKey: "k" }),
    ];
    const other = await calls.message();

    expect((await remove(aiAgentAddress)).status).toBe(204);

    for (const { messageId } of open) {
      const message = await calls.messageOf(messageId);
      expect(message).toMatchObject({ status: "DEAD_LETTERED", deadLetterReason: "inbox_deleted", attempts: [] });
      expect(message.finishedAt).toBeDefined();
    }
    expect(await calls.messageOf(leased.messageId)).toMatchObject({
      status: "DEAD_LETTERED",
      deadLetterReason: "inbox_deleted",
      attempts: [{ number: 1, outcome: "FAILED" }],
    });
    expect(await calls.messageOf(done.messageId)).toMatchObject({ status: "ACKNOWLEDGED" });
    const ended = await calls.messageOf(expired.messageId);
    expect(ended.status).toBe("EXPIRED");
    expect(ended).not.toHaveProperty("deadLetterReason");
    expect(await calls.messageOf(other.messageId)).toMatchObject({ status: "QUEUED" });
    const history = await allPages(service, `/v1/messages?recipientAddress=${aiAgentAddress}&pageSize=3`);
    expect(history).toHaveLength(7);
  });

  test("registering the address again starts clean", async () => {
    const fields = { aiAgentAddress: "again", description: "first", maxDeliveryAttempts: 1 };
    await calls.inbox(fields);
    await calls.report("again", "UNHEALTHY");
    await calls.message({ recipientAddress: "again" });
    const [pulled] = await calls.pull("again");
    await calls.message({ recipientAddress: "again", orderingKey: "k" });
    await remove("again");

    const fresh = await calls.inbox({ aiAgentAddress: "again" });
    expect(fresh).toMatchObject({ revision: 2, healthStatus: "UNKNOWN", status: "ACTIVE", maxDeliveryAttempts: 20 });
    expect(fresh).not.toHaveProperty("description");
    expect(await calls.inboxOf("again")).toMatchObject({ pendingMessages: 0 });
    expect(await calls.ack("again", pulled.leaseToken)).toMatchObject({ body: { acknowledged: [] } });
    const { messageId } = await calls.message({ recipientAddress: "again", orderingKey: "k" });
    expect(await calls.pull("again")).toMatchObject([{ messageId, attempt: 1 }]);
  });

  test.each([
    ["10,000 messages of one ordering key", 10_000, "'k'"],
    ["20,000 messages, each with an ordering key of its own", 20_000, "n::text"],
  ])("%s go in one call", async (_, count, key) => {
    const { aiAgentAddress } = await calls.inbox();
    // Each insert of a key locks it until the end of its transaction: in portions, as sends would.
    for (let from = 0; from < count; from += 5000)
      await insertMessages(service, aiAgentAddress, 5000, { ordering_key: key }, from);
    expect((await remove(aiAgentAddress)).status).toBe(204);
    const rows = await service.sql(
      "select dead_letter_reason as why, count(*)::integer as n from cams.message_archive group by 1",
    );
    expect(rows).toEqual([{ why: "inbox_deleted", n: count }]);
  });
});

describe("a send racing a deletion", () => {
  test("that began first: the deletion waits for it and takes its message along", async () => {
    const { aiAgentAddress } = await calls.inbox();
    await whileHeld(service, "select cams.lock_message_line($1, 'k')", [aiAgentAddress], async (release) => {
      const send = calls.send({ recipientAddress: aiAgentAddress, orderingKey: "k" });
      await sessionsWait(service, 1);
      const deletion = remove(aiAgentAddress);
      await sessionsWait(service, 2);
      await release();
      expect((await deletion).status).toBe(204);
      const sent = await send;
      expect(sent.status).toBe(202);
      expect(await calls.messageOf(sent.body.messageId)).toMatchObject({
        status: "DEAD_LETTERED",
        deadLetterReason: "inbox_deleted",
      });
    });
  });

  test("that came between its begin and its end: the message is found, though it is younger", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const held = "select from cams.agent_inboxes where ai_agent_address = $1 for key share";
    await whileHeld(service, held, [aiAgentAddress], async (release) => {
      const deletion = remove(aiAgentAddress);
      await sessionsWait(service, 1);
      const sent = await calls.send({ recipientAddress: aiAgentAddress });
      expect(sent.status).toBe(202);
      await release();
      expect((await deletion).status).toBe(204);
      expect(await calls.messageOf(sent.body.messageId)).toMatchObject({ status: "DEAD_LETTERED" });
    });
  });

  test("every accepted message ends as a dead letter or waits in the new inbox, none is left over", async () => {
    const accepted: string[] = [];
    let registered = 1;
    await calls.inbox({ aiAgentAddress: "contended" });
    for (let round = 0; round < 25; round++) {
      const send = async (n: number) => {
        const fields = n % 3 === 0 ? { orderingKey: "k" } : n % 3 === 1 ? { senderMessageId: `${round}-${n}` } : {};
        const { status, body } = await calls.send({ recipientAddress: "contended", ...fields });
        expect([202, 404]).toContain(status);
        if (status === 202) accepted.push(body.messageId);
      };
      const replace = async () => {
        expect((await remove("contended")).status).toBe(204);
        await calls.inbox({ aiAgentAddress: "contended" });
        registered++;
      };
      await Promise.all([atOnce(9, send), replace()]);
    }
    expect(registered).toBe(26);
    for (const id of accepted) {
      const { status, body } = await service.get(`/v1/messages/${id}`);
      expect(status).toBe(200);
      if (body.status !== "QUEUED")
        expect(body).toMatchObject({ status: "DEAD_LETTERED", deadLetterReason: "inbox_deleted" });
    }
    expect((await remove("contended")).status).toBe(204);
    expect(await service.sql("select from cams.messages")).toHaveLength(0);
    expect(await service.sql("select distinct message_id from cams.message_archive")).toHaveLength(accepted.length);
  });
});
