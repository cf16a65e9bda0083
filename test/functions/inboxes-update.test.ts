import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);

const whole = {
  aiAgentAddress: "sales@corp.example",
  inboxDestinationType: "HTTP_ENDPOINT",
  inboxName: "https://sales.corp.example/inbox",
  description: "first\nand second line",
  ownerTeam: "sales",
  heartbeatIntervalSeconds: 30,
  maxDeliveryAttempts: 7,
};

describe("a partial update", () => {
  const table: [string, Record<string, unknown>, Record<string, unknown>?][] = [
    ["the type", { inboxDestinationType: "PULL_QUEUE" }],
    ["the name", { inboxName: "https://new.corp.example" }],
    ["type and name", { inboxDestinationType: "GCP_PUBSUB_TOPIC", inboxName: "projects/p/topics/t" }],
    ["the description", { description: "other" }],
    ["the team", { ownerTeam: "support" }],
    ["the heartbeat interval", { heartbeatIntervalSeconds: 5 }],
    ["the attempts", { maxDeliveryAttempts: 1 }],
    [
      "the admin status",
      { status: "INACTIVE" },
      { status: "INACTIVE", adminStatus: "INACTIVE", statusReason: "admin status set to INACTIVE by local" },
    ],
    [
      "nothing but the revision when the address is repeated",
      { aiAgentAddress: "SALES@corp.example", ownerTeam: "sales" },
      {},
    ],
  ];
  test.each(table)("changes %s and nothing else", async (_, given, changed = given) => {
    await calls.inbox(whole);
    await service.sql("update cams.agent_inboxes set updated_by = 'somebody', last_updated_timestamp = '2026-01-01'");
    const before = await calls.inboxOf(whole.aiAgentAddress);
    const answer = await calls.update(whole.aiAgentAddress, given);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("etag")).toBe('"2"');
    const { pendingMessages, ...after } = await calls.inboxOf(whole.aiAgentAddress);
    expect(after).toEqual(answer.body);
    const { lastUpdatedTimestamp } = after;
    expect({ ...after, pendingMessages }).toEqual({
      ...before,
      ...changed,
      revision: 2,
      updatedBy: "local",
      lastUpdatedTimestamp,
    });
    expect(lastUpdatedTimestamp > "2026-11").toBe(true);
  });

  test("null clears what is optional", async () => {
    await calls.inbox(whole);
    const { body } = await calls.update(whole.aiAgentAddress, { description: null, ownerTeam: null });
    expect(body).not.toHaveProperty("description");
    expect(body).not.toHaveProperty("ownerTeam");
    expect(body.inboxName).toBe(whole.inboxName);
  });

  test("400 without a field, with another address, with null for what must be", async () => {
    await calls.inbox(whole);
    for (const body of [{}, { aiAgentAddress: whole.aiAgentAddress }, { inboxName: null }, { status: null }])
      expect((await calls.update(whole.aiAgentAddress, body)).status, JSON.stringify(body)).toBe(400);
    const other = await calls.update(whole.aiAgentAddress, { aiAgentAddress: "other", description: "x" });
    expect(other).toMatchObject({ status: 400, body: { errors: [{ pointer: "/aiAgentAddress" }] } });
    expect(await calls.inboxOf(whole.aiAgentAddress)).toMatchObject({ revision: 1 });
  });

  test("404 when nothing is registered at the address", async () => {
    const answer = await calls.update("nobody", { description: "x" });
    expect(answer).toMatchObject({ status: 404, body: { code: "inbox_not_found" } });
  });
});

test.each([
  ["the type alone, when the stored name does not fit it", { inboxDestinationType: "GCP_PUBSUB_TOPIC" }],
  ["the name alone, when it does not fit the stored type", { inboxName: "projects/p/topics/t" }],
  [
    "both, when they do not fit each other",
    { inboxDestinationType: "GCP_PUBSUB_TOPIC", inboxName: "https://x.example" },
  ],
])("400 naming the name for %s", async (_, given) => {
  await calls.inbox(whole);
  const answer = await calls.update(whole.aiAgentAddress, given);
  expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request", errors: [{ pointer: "/inboxName" }] } });
  expect(await calls.inboxOf(whole.aiAgentAddress)).toMatchObject({ revision: 1, inboxName: whole.inboxName });
});

describe("If-Match", () => {
  test("one 200 and 49 times 412 when 50 change the same revision at once", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const answers = await atOnce(50, (n) =>
      calls.update(aiAgentAddress, { description: `${n}` }, { "if-match": '"1"' }),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status, body }) => status === 412 && body.code === "revision_mismatch")).toHaveLength(49);
    const won = answers.find(({ status }) => status === 200)?.body;
    expect(await calls.inboxOf(aiAgentAddress)).toMatchObject({ revision: 2, description: won.description });
  });

  test.each([
    ['"1"', 412],
    ['"2"', 200],
    ['"1", "2"', 200],
    ["*", 200],
    ['W/"2"', 412],
    ["nonsense", 412],
  ])("%s at revision 2 answers %i", async (ifMatch, expected) => {
    const { aiAgentAddress } = await calls.inbox();
    await calls.update(aiAgentAddress, { description: "second" });
    expect((await calls.update(aiAgentAddress, { description: "x" }, { "if-match": ifMatch })).status).toBe(expected);
  });

  test("404, not 412, when the inbox is gone", async () => {
    expect((await calls.update("nobody", { description: "x" }, { "if-match": '"1"' })).status).toBe(404);
  });
});

describe("a changed heartbeat interval", () => {
  test("shorter: the sweep finds the silence in the new time", async () => {
    const { aiAgentAddress } = await calls.inbox({ heartbeatIntervalSeconds: 86_400 });
    await calls.report(aiAgentAddress);
    await calls.update(aiAgentAddress, { heartbeatIntervalSeconds: 10 });
    // As if the report had come ten seconds ago by the old interval's reckoning: the first report missed is the old one.
    await service.sql("update cams.agent_inboxes set expected_by = now() - interval '11 s'");
    expect((await calls.sweep()).body).toMatchObject({ suspected: 1, offline: 0 });
    await calls.silence(20);
    expect((await calls.sweep()).body).toMatchObject({ suspected: 0, offline: 1 });
  });

  test("shorter, and nothing missed: the sweep only sets its own time anew", async () => {
    const { aiAgentAddress } = await calls.inbox({ heartbeatIntervalSeconds: 3600 });
    await calls.report(aiAgentAddress);
    await calls.update(aiAgentAddress, { heartbeatIntervalSeconds: 60 });
    expect((await calls.sweep()).body).toMatchObject({ suspected: 0, offline: 0 });
    const [row] = await service.sql(
      "select sweep_after = expected_by + interval '60 s' as anew, health_status from cams.agent_inboxes",
    );
    expect(row).toEqual({ anew: true, health_status: "HEALTHY" });
  });

  test("of an inbox that never reported: it stays unwatched", async () => {
    const { aiAgentAddress } = await calls.inbox();
    expect((await calls.update(aiAgentAddress, { heartbeatIntervalSeconds: 5 })).status).toBe(200);
    expect(await service.sql("select from cams.agent_inboxes where sweep_after is not null")).toHaveLength(0);
    expect((await calls.sweep()).body).toMatchObject({ suspected: 0, offline: 0 });
  });

  test("of an inbox that is offline: it is not counted offline again", async () => {
    const { aiAgentAddress } = await calls.inbox();
    await calls.report(aiAgentAddress);
    await calls.silence(300);
    expect((await calls.sweep()).body).toMatchObject({ offline: 1 });
    await calls.update(aiAgentAddress, { heartbeatIntervalSeconds: 5 });
    expect((await calls.sweep()).body).toMatchObject({ offline: 0 });
  });
});
