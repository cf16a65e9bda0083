import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor, sessionsWait, whileHeld } from "./calls.ts";
import { insertMessages } from "./rows.ts";

const service = useService();
const calls = callsFor(service);

interface Pulled {
  messageId: string;
  payload: { n: number };
}
const ids = (messages: Pulled[]) => messages.map(({ messageId }) => messageId);

describe("messages-pull", () => {
  test("20 pullers at once over 500 messages: each message once", async () => {
    const { aiAgentAddress } = await calls.inbox();
    await insertMessages(service, aiAgentAddress, 500);
    const sent = await service.sql<{ id: string }>("select message_id as id from cams.messages");
    const pulled = await atOnce(20, async () => {
      const mine: Pulled[] = [];
      for (;;) {
        const messages = await calls.pull(aiAgentAddress, { maxMessages: 7 });
        if (messages.length === 0) return mine;
        mine.push(...messages);
      }
    });
    const all = ids(pulled.flat());
    expect(all).toHaveLength(500);
    expect(new Set(all)).toEqual(new Set(sent.map(({ id }) => id)));
    expect(pulled.filter((mine) => mine.length > 0).length).toBeGreaterThan(1);
  });

  test("most urgent first, and among equals in order of arrival", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const order = ["LOW", "NORMAL", "HIGH", "CRITICAL", "LOW", "NORMAL", "HIGH", "CRITICAL"];
    for (const [n, priority] of order.entries())
      await calls.message({ recipientAddress: aiAgentAddress, priority, payload: { n } });
    const pulled = await calls.pull(aiAgentAddress);
    expect(pulled.map(({ payload }: Pulled) => payload.n)).toEqual([3, 7, 2, 6, 1, 5, 0, 4]);
  });

  test("those accepted within one millisecond come in order of arrival", async () => {
    const { aiAgentAddress } = await calls.inbox();
    for (let n = 0; n < 10; n++) await calls.message({ recipientAddress: aiAgentAddress, payload: { n } });
    await service.sql("update cams.messages set rank_at = date_trunc('second', now() - interval '1 s')");
    const pulled = await calls.pull(aiAgentAddress, { maxMessages: 10 });
    expect(pulled.map(({ payload }: Pulled) => payload.n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test.each([
    ["LOW", 181, "CRITICAL", true],
    ["LOW", 179, "CRITICAL", false],
    ["NORMAL", 121, "CRITICAL", true],
    ["NORMAL", 59, "HIGH", false],
    ["LOW", 61, "NORMAL", true],
  ])("a %s that has waited %i s against a new %s: first is %s", async (waiting, seconds, fresh, first) => {
    const { aiAgentAddress } = await calls.inbox();
    const old = await calls.message({ recipientAddress: aiAgentAddress, priority: waiting });
    await service.sql(
      `update cams.messages set accepted_at = accepted_at - make_interval(secs => $1),
         rank_at = rank_at - make_interval(secs => $1), available_at = available_at - make_interval(secs => $1)`,
      [seconds],
    );
    const young = await calls.message({ recipientAddress: aiAgentAddress, priority: fresh });
    const [pulled] = await calls.pull(aiAgentAddress, { maxMessages: 1 });
    expect(pulled.messageId).toBe(first ? old.messageId : young.messageId);
  });

  test("one given back keeps its place before younger ones", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const first = await calls.message({ recipientAddress: aiAgentAddress });
    const second = await calls.message({ recipientAddress: aiAgentAddress });
    const [pulled] = await calls.pull(aiAgentAddress, { maxMessages: 1 });
    await calls.nack(aiAgentAddress, [pulled.leaseToken], { retryAfterSeconds: 0 });
    expect(ids(await calls.pull(aiAgentAddress))).toEqual([first.messageId, second.messageId]);
  });

  test("the lease lasts as long as asked for, and nobody else gets the message meanwhile", async () => {
    const { recipientAddress } = await calls.message();
    const [pulled] = await calls.pull(recipientAddress, { leaseSeconds: 5 });
    const lasts = Date.parse(pulled.leaseExpiresAt) - Date.parse(pulled.firstLeasedAt);
    expect(lasts).toBe(5000);
    expect(await calls.pull(recipientAddress)).toEqual([]);
  });

  test("a lease that ran out: handed out again, the lapsed attempt is told, the old token is worth nothing", async () => {
    const { recipientAddress } = await calls.message();
    const [first] = await calls.pull(recipientAddress);
    await calls.lapse();
    const [second] = await calls.pull(recipientAddress);
    expect(second).toMatchObject({
      messageId: first.messageId,
      attempt: 2,
      firstLeasedAt: first.firstLeasedAt,
      attempts: [
        { number: 1, at: first.firstLeasedAt, outcome: "LEASE_EXPIRED" },
        { number: 2, outcome: "LEASED" },
      ],
    });
    expect(second.leaseToken).not.toBe(first.leaseToken);
    const refused = [{ leaseToken: first.leaseToken, code: "lease_expired" }];
    expect((await calls.ack(recipientAddress, first.leaseToken)).body).toEqual({ acknowledged: [], refused });
    expect((await calls.nack(recipientAddress, [first.leaseToken])).body).toMatchObject({ returned: [], refused });
    expect((await calls.extend(recipientAddress, [first.leaseToken])).body).toEqual({ extended: [], refused });
    expect((await calls.ack(recipientAddress, second.leaseToken)).body.acknowledged).toEqual([second.messageId]);
  });

  test("`remaining` counts what could be pulled now, to 100", async () => {
    const { aiAgentAddress } = await calls.inbox();
    await atOnce(5, () => calls.message({ recipientAddress: aiAgentAddress }));
    await calls.message({ recipientAddress: aiAgentAddress, deliverAfter: "2099-01-01T00:00:00Z" });
    await calls.message({ recipientAddress: aiAgentAddress, orderingKey: "k" });
    await calls.message({ recipientAddress: aiAgentAddress, orderingKey: "k" });
    expect((await calls.pulled(aiAgentAddress, { maxMessages: 2 })).body.remaining).toBe(4);
    expect((await calls.pulled(aiAgentAddress, { maxMessages: 100 })).body.remaining).toBe(0);
    const { aiAgentAddress: full } = await calls.inbox();
    await insertMessages(service, full, 150);
    expect((await calls.pulled(full, { maxMessages: 20 })).body.remaining).toBe(100);
    expect((await calls.pulled(full, { maxMessages: 100 })).body.remaining).toBe(30);
  });

  test("a message that is being decided about keeps no pull waiting", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const first = await calls.message({ recipientAddress: aiAgentAddress });
    const second = await calls.message({ recipientAddress: aiAgentAddress });
    const held = "select from cams.messages where message_id = $1 for update";
    await whileHeld(service, held, [first.messageId], async () => {
      expect(ids(await calls.pull(aiAgentAddress))).toEqual([second.messageId]);
    });
    expect(ids(await calls.pull(aiAgentAddress))).toEqual([first.messageId]);
  });

  test("only the inbox asked for is pulled from", async () => {
    const one = await calls.message();
    const two = await calls.message();
    expect(ids(await calls.pull(one.recipientAddress))).toEqual([one.messageId]);
    expect(ids(await calls.pull(two.recipientAddress))).toEqual([two.messageId]);
  });
});

describe("who may pull", () => {
  test("409 when an operator set the inbox INACTIVE, or it is quarantined, with messages or without", async () => {
    const { recipientAddress } = await calls.message();
    const inactive = { status: 409, body: { code: "inbox_inactive" } };
    await calls.update(recipientAddress, { status: "INACTIVE" });
    expect(await calls.pulled(recipientAddress)).toMatchObject(inactive);
    await calls.update(recipientAddress, { status: "ACTIVE" });
    await calls.quarantine(recipientAddress);
    const quarantined = { ...inactive.body, detail: `The inbox ${recipientAddress} is quarantined.` };
    expect(await calls.pulled(recipientAddress)).toMatchObject({ ...inactive, body: quarantined });
    await service.sql("delete from cams.messages");
    expect(await calls.pulled(recipientAddress)).toMatchObject(inactive);
  });

  test.each(["admin_status = 'INACTIVE'", "quarantined_at = now()"])(
    "nothing is leased once %s is decided, though the decision was not yet committed when the pull came",
    async (decision) => {
      const { messageId, recipientAddress } = await calls.message();
      const held = `update cams.agent_inboxes set ${decision} where ai_agent_address = $1`;
      await whileHeld(service, held, [recipientAddress], async (release) => {
        const pull = calls.pulled(recipientAddress);
        await sessionsWait(service, 1);
        await release();
        expect((await pull).body.messages ?? []).toEqual([]);
      });
      expect(await calls.messageOf(messageId)).toMatchObject({ status: "QUEUED", attempt: 0 });
    },
  );

  test("a request that waits is refused when its inbox becomes inactive", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const waiting = calls.pulled(aiAgentAddress, { waitSeconds: 10 });
    await expect.poll(calls.waiting, { interval: 5 }).toBe(1);
    await calls.update(aiAgentAddress, { status: "INACTIVE" });
    expect(await waiting).toMatchObject({ status: 409, body: { code: "inbox_inactive" } });
  });

  test.each(["UNHEALTHY", "OFFLINE"])(
    "health never refuses: one that is %s pulls, which is no report",
    async (health) => {
      const { recipientAddress } = await calls.message();
      await calls.report(recipientAddress);
      await service.sql("update cams.agent_inboxes set health_status = $1", [health]);
      expect(await calls.pull(recipientAddress)).toHaveLength(1);
      expect(await calls.inboxOf(recipientAddress)).toMatchObject({ healthStatus: health, status: "INACTIVE" });
    },
  );

  test.each([
    ["GCP_PUBSUB_TOPIC", "projects/p/topics/t"],
    ["HTTP_ENDPOINT", "https://corp.example/inbox"],
  ])("409 for a %s", async (inboxDestinationType, inboxName) => {
    const { aiAgentAddress } = await calls.inbox({ inboxDestinationType, inboxName });
    await calls.message({ recipientAddress: aiAgentAddress });
    expect(await calls.pulled(aiAgentAddress)).toMatchObject({ status: 409, body: { code: "inbox_not_pulled" } });
  });

  test("undelivered messages follow a changed destination", async () => {
    const { aiAgentAddress } = await calls.inbox({
      inboxDestinationType: "GCP_PUBSUB_TOPIC",
      inboxName: "projects/p/topics/t",
    });
    const { messageId } = await calls.message({ recipientAddress: aiAgentAddress });
    await calls.update(aiAgentAddress, { inboxDestinationType: "PULL_QUEUE" });
    expect(ids(await calls.pull(aiAgentAddress))).toEqual([messageId]);
  });

  test("404 for an unknown address, waiting or not", async () => {
    const unknown = { status: 404, body: { code: "inbox_not_found" } };
    expect(await calls.pulled("nobody")).toMatchObject(unknown);
    expect(await calls.pulled("nobody", { waitSeconds: 30 })).toMatchObject(unknown);
  });
});
