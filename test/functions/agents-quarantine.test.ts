import { describe, expect, test } from "vitest";
import { startReceiver } from "../support/receiver.ts";
import { useService } from "../support/service.ts";
import { agentsFor } from "./agents.ts";
import { atOnce, sessionsWait, whileHeld } from "./calls.ts";

const service = useService();
const calls = agentsFor(service);
const { agent, running, tell, agentOf, inboxOf, toldTo, task, send, sendTo, pull, pulled, ack, report, deliver } =
  calls;
const { webhook, messageOf, update, waiting } = calls;

const order = { reason: "incident 7" };
const isolate = (id: string) => tell(id, "quarantine", order);
const release = (id: string, reason = "looked at") => tell(id, "release", { reason });

describe("a quarantine", () => {
  test("shows on agent and inbox since when, by whom and why; the agent's own row is not touched", async () => {
    const { id, aiAgentAddress } = await running();
    const answer = await isolate(id);
    expect(answer.status).toBe(200);
    const quarantine = { since: expect.stringMatching(/^20.*Z$/), by: "local", reason: "incident 7" };
    expect(answer.body).toMatchObject({ state: "RUNNING", revision: 2, quarantine });
    expect(await inboxOf(aiAgentAddress)).toMatchObject({
      quarantined: true,
      status: "INACTIVE",
      statusReason: "quarantined by local: incident 7",
      revision: 2,
    });
    await report(aiAgentAddress, "HEALTHY", { details: "all fine" });
    expect((await inboxOf(aiAgentAddress)).statusReason).toBe("quarantined by local: incident 7");
  });

  test("refuses sends and pulls, takes back what was pulled, and refuses its tokens", async () => {
    const { id, aiAgentAddress } = await agent();
    const messageId = await sendTo(aiAgentAddress);
    const [{ leaseToken }] = await pull(aiAgentAddress);
    await isolate(id);
    const inactive = { status: 409, body: { code: "inbox_inactive" } };
    expect(await send({ recipientAddress: aiAgentAddress })).toMatchObject(inactive);
    expect(await pulled(aiAgentAddress)).toMatchObject(inactive);
    expect((await ack(aiAgentAddress, leaseToken)).body).toMatchObject({
      acknowledged: [],
      refused: [{ code: "lease_expired" }],
    });
    const attempts = [{ outcome: "INTERRUPTED", detail: "quarantined by local: incident 7" }];
    expect(await messageOf(messageId)).toMatchObject({ status: "QUEUED", attempt: 0, attempts });
    await release(id);
    const types = (await pull(aiAgentAddress)).map(({ messageType }: { messageType: string }) => messageType);
    expect(types.toSorted()).toEqual(["agent.release", "message"]);
  });

  test("takes back its tasks: its own wait for it, those of a pool for anybody, none counts an attempt", async () => {
    const { id } = await running();
    const own = await task(id);
    const other = await task((await running()).id);
    await isolate(id);
    const rows = await service.sql("select task_id, attempt, lease_token is null as free, attempts from cams.tasks");
    const receipts = [{ outcome: "INTERRUPTED", detail: "quarantined by local: incident 7", agentId: id }];
    expect(rows.find(({ task_id }) => task_id === own)).toMatchObject({ attempt: 0, free: true, attempts: receipts });
    expect(rows.find(({ task_id }) => task_id === other)).toMatchObject({ attempt: 1, free: false });
    expect((await agentOf(id)).workingTasks).toBe(0);
  });

  test("has back what a claim in flight leases before it lets the inbox go", async () => {
    const { id, aiAgentAddress } = await running();
    const messageId = await sendTo(aiAgentAddress);
    const taskId = await task(id, {});
    const claim = `
      with i as materialized (select from cams.agent_inboxes where ai_agent_address = $1 for share), t as (
        update cams.tasks set lease_token = gen_random_uuid(), lease_seconds = 60, leased_at = now(), attempt = 1,
          lease_until = now() + interval '60 s', deadline_at = now() + interval '60 s', available_at = now() + interval '60 s'
        from i where task_id = $2)
      update cams.messages set lease_token = gen_random_uuid(), leased_at = now(), attempt = 1,
        available_at = now() + interval '60 s'
      from i where message_id = $3`;
    await whileHeld(service, claim, [aiAgentAddress, taskId, messageId], async (commit) => {
      const answer = isolate(id);
      await sessionsWait(service, 1);
      await commit();
      expect((await answer).status).toBe(200);
    });
    expect(await messageOf(messageId)).toMatchObject({ status: "QUEUED", attempts: [{ outcome: "INTERRUPTED" }] });
    expect(await service.sql("select from cams.tasks where lease_token is not null")).toEqual([]);
  });

  test("keeps the first reason when it is said again, and a release of what is not quarantined does nothing", async () => {
    const { id, aiAgentAddress } = await agent();
    expect((await release(id)).body).toEqual(
      await agentOf(id).then(({ workingTasks: _, waitingTasks: __, ...shown }) => shown),
    );
    expect((await inboxOf(aiAgentAddress)).revision).toBe(1);
    const first = (await isolate(id)).body;
    expect((await tell(id, "quarantine", { reason: "another" })).body).toEqual(first);
    expect((await inboxOf(aiAgentAddress)).revision).toBe(2);
    expect(await toldTo(aiAgentAddress)).toEqual([]);
  });

  test("and its release are audited with their reasons", async () => {
    const { id, aiAgentAddress } = await agent({ ownerTeam: "sales" });
    await isolate(id);
    await release(id);
    const { items } = (await service.get(`/v1/audit?resourceType=inbox&resourceId=${aiAgentAddress}`)).body;
    const quarantined = { quarantineReason: "incident 7", quarantinedBy: "local", quarantinedAt: expect.any(String) };
    expect(items.slice(0, 2)).toMatchObject([
      { source: "agents-release", reason: "looked at", before: quarantined },
      { source: "agents-quarantine", reason: "incident 7", after: quarantined },
    ]);
    for (const state of [items[0].after, items[1].before]) expect(state).not.toHaveProperty("quarantinedAt");
    expect((await service.get("/v1/audit/verify")).body.valid).toBe(true);
  });

  test("of ten at once quarantines once", async () => {
    const { id, aiAgentAddress } = await agent();
    const answers = await atOnce(10, () => isolate(id));
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.quarantine.since}`)).size).toBe(1);
    expect((await inboxOf(aiAgentAddress)).revision).toBe(2);
  });

  test.each([{}, { reason: "" }, { reason: "x".repeat(1001) }])("400 without a good reason: %j", async (body) => {
    const { id } = await agent();
    for (const verb of ["quarantine", "release"]) expect((await tell(id, verb, body)).status).toBe(400);
  });
});

describe("a release", () => {
  test("makes the agent go on as it was, tells it, and wakes who waits for messages", async () => {
    const { id, aiAgentAddress } = await agent();
    await isolate(id);
    await release(id);
    const payload = { agentId: id, state: "CREATED", reason: "looked at" };
    expect(await toldTo(aiAgentAddress)).toEqual([{ type: "agent.release", payload }]);
    expect(await agentOf(id)).not.toHaveProperty("quarantine");
    expect(await inboxOf(aiAgentAddress)).toMatchObject({ status: "ACTIVE", quarantined: false, revision: 3 });
    expect(await inboxOf(aiAgentAddress)).not.toHaveProperty("statusReason");
  });

  test.each([
    ["its admin status is INACTIVE", (address: string) => update(address, { status: "INACTIVE" })],
    ["it is UNHEALTHY", (address: string) => report(address, "UNHEALTHY", { details: "ill" })],
  ])("says what else keeps it inactive: %s", async (why, change) => {
    const { id, aiAgentAddress } = await agent();
    await change(aiAgentAddress);
    await isolate(id);
    await release(id);
    expect(await inboxOf(aiAgentAddress)).toMatchObject({
      status: "INACTIVE",
      statusReason: `released by local: looked at; ${why}`,
    });
  });
});

describe("a webhook that is called when its agent is quarantined", () => {
  /** Its answer waits for the quarantine, which `before` may come before. */
  async function interrupted(before: () => Promise<unknown> = async () => {}) {
    let id = "";
    let first = true;
    const { url, received } = await startReceiver(async (_, res) => {
      if (first) {
        first = false;
        await before();
        expect((await isolate(id)).status).toBe(200);
      }
      res.writeHead(204).end();
    });
    const { aiAgentAddress } = await webhook(url);
    id = (await agent({ aiAgentAddress })).id;
    const messageId = await sendTo(aiAgentAddress);
    expect(await deliver()).toMatchObject({ delivered: 0 });
    return { id, messageId, received };
  }

  test("is not delivered to though it answers well: that attempt is interrupted, and repeated after the release", async () => {
    const { id, messageId, received } = await interrupted();
    const attempts = [{ outcome: "INTERRUPTED", detail: "quarantined by local: incident 7" }];
    expect(await messageOf(messageId)).toMatchObject({ status: "QUEUED", attempt: 0, attempts });
    expect(await deliver()).toMatchObject({ delivered: 0 });
    expect(received).toHaveLength(1);
    await release(id);
    expect(await deliver()).toMatchObject({ delivered: 2 });
    expect(await messageOf(messageId)).toMatchObject({
      status: "DELIVERED",
      attempt: 1,
      attempts: [{ outcome: "INTERRUPTED" }, { outcome: "DELIVERED" }],
    });
    expect(received.map(({ event }) => event.id).filter((one) => one === messageId)).toHaveLength(2);
  });

  test("nor when the lease had run out before, and nobody else had the message", async () => {
    const { messageId } = await interrupted(async () => {
      // Or the dispatcher, which still looks, might lease it again before the quarantine comes.
      await service.sql("update cams.agent_inboxes set delivery_paused_until = now() + interval '1 h'");
      await calls.lapse();
    });
    const attempts = [{ outcome: "LEASE_EXPIRED" }];
    expect(await messageOf(messageId)).toMatchObject({ status: "QUEUED", attempt: 1, attempts });
  });
});

test("who waits for a message when the quarantine comes gets none, whatever is sent after", async () => {
  const { id, aiAgentAddress } = await agent();
  const call = pulled(aiAgentAddress, { waitSeconds: 3 });
  await expect.poll(waiting).toBe(1);
  await isolate(id);
  await send({ recipientAddress: aiAgentAddress });
  expect((await call).body).toMatchObject({ code: "inbox_inactive" });
});

test("under load no lease is granted and no ack counts after the answer", async () => {
  const { id, aiAgentAddress } = await running();
  for (let n = 0; n < 60; n++) await sendTo(aiAgentAddress);
  let over = false;
  const late: unknown[] = [];
  const consume = async () => {
    for (let n = 0; n < 40; n++) {
      const begun = over;
      const { status, body } = await pulled(aiAgentAddress, { maxMessages: 1 });
      if (status !== 200 || body.messages.length === 0) return;
      if (begun) late.push(body);
      const known = over;
      const acked = await ack(aiAgentAddress, body.messages[0].leaseToken);
      if (known && acked.body.acknowledged.length > 0) late.push(acked.body);
    }
  };
  const consumers = atOnce(4, consume);
  await expect.poll(() => service.sql("select from cams.message_archive")).not.toHaveLength(0);
  expect((await isolate(id)).status).toBe(200);
  over = true;
  await consumers;
  expect(late).toEqual([]);
  expect(await service.sql("select from cams.messages where lease_token is not null")).toEqual([]);
  expect((await service.sql("select from cams.messages")).length).toBeGreaterThan(0);
});
