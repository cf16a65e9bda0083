import { expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { allPages, callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);

interface Listed {
  aiAgentAddress: string;
}
const addresses = (items: Listed[]) => items.map(({ aiAgentAddress }) => aiAgentAddress);

test("newest first, each with all its fields", async () => {
  for (const name of ["a", "b", "c"]) {
    await calls.inbox({ aiAgentAddress: name, description: `the ${name}` });
    await service.sql("update cams.agent_inboxes set registration_timestamp = registration_timestamp - interval '1 s'");
  }
  const { status, body } = await service.get("/v1/agent-inboxes");
  expect(status).toBe(200);
  expect(addresses(body.items)).toEqual(["c", "b", "a"]);
  const { pendingMessages: _, ...alone } = await calls.inboxOf("a");
  expect(body.items[2]).toEqual(alone);
  expect(body).not.toHaveProperty("nextPageToken");
});

test("each filter keeps what it names, and several are combined with and", async () => {
  await calls.inbox({ aiAgentAddress: "plain" });
  await calls.inbox({ aiAgentAddress: "team", ownerTeam: "red" });
  await calls.inbox({ aiAgentAddress: "off", ownerTeam: "red" });
  await calls.update("off", { status: "INACTIVE" });
  await calls.inbox({ aiAgentAddress: "ill" });
  await calls.report("ill", "UNHEALTHY");
  await calls.inbox({ aiAgentAddress: "well", ownerTeam: "blue" });
  await calls.report("well");
  const topic = { inboxDestinationType: "GCP_PUBSUB_TOPIC", inboxName: "projects/p/topics/t" };
  await calls.inbox({ aiAgentAddress: "topic", ...topic });
  await calls.inbox({ aiAgentAddress: "bad" });
  await calls.quarantine("bad");
  const table: [string, string[]][] = [
    ["", ["plain", "team", "off", "ill", "well", "topic", "bad"]],
    ["status=ACTIVE", ["plain", "team", "well", "topic"]],
    ["status=INACTIVE", ["off", "ill", "bad"]],
    ["adminStatus=INACTIVE", ["off"]],
    ["adminStatus=ACTIVE", ["plain", "team", "ill", "well", "topic", "bad"]],
    ["healthStatus=UNKNOWN", ["plain", "team", "off", "topic", "bad"]],
    ["healthStatus=HEALTHY", ["well"]],
    ["healthStatus=UNHEALTHY", ["ill"]],
    ["healthStatus=SUSPECT", []],
    ["inboxDestinationType=GCP_PUBSUB_TOPIC", ["topic"]],
    ["inboxDestinationType=HTTP_ENDPOINT", []],
    ["ownerTeam=red", ["team", "off"]],
    ["ownerTeam=red&status=ACTIVE", ["team"]],
    ["status=INACTIVE&healthStatus=UNKNOWN&adminStatus=ACTIVE", ["bad"]],
  ];
  for (const [query, expected] of table) {
    const { body } = await service.get(`/v1/agent-inboxes?${query}`);
    expect(addresses(body.items).sort(), query).toEqual(expected.sort());
  }
});

test("pages hold every inbox once, however many are registered meanwhile", async () => {
  // All in the same millisecond: the address decides.
  await service.sql(`
    insert into cams.agent_inboxes (ai_agent_address, inbox_destination_type, inbox_name, registration_timestamp,
      last_updated_timestamp, updated_by)
    select 'same-' || n, 'PULL_QUEUE', 'same', '2026-01-01', '2026-01-01', 'test' from generate_series(1, 25) n`);
  for (let n = 0; n < 5; n++) await calls.inbox();
  const before = new Set(addresses((await service.get("/v1/agent-inboxes?pageSize=1000")).body.items));
  const seen = addresses(await allPages(service, "/v1/agent-inboxes?pageSize=7", () => calls.inbox()));
  expect(seen).toHaveLength(30);
  expect(new Set(seen)).toEqual(before);
});

test("the last full page says that it is the last", async () => {
  for (let n = 0; n < 4; n++) await calls.inbox();
  const first = await service.get("/v1/agent-inboxes?pageSize=2");
  expect(first.body.nextPageToken).toBeDefined();
  const second = await service.get(`/v1/agent-inboxes?pageSize=2&pageToken=${first.body.nextPageToken}`);
  expect(second.body.items).toHaveLength(2);
  expect(second.body).not.toHaveProperty("nextPageToken");
});

test("400 for a token of another list, a page too large, an unknown filter, all faults at once", async () => {
  const foreign = Buffer.from('["x"]').toString("base64url");
  for (const token of ["nonsense", foreign]) {
    const answer = await service.get(`/v1/agent-inboxes?pageToken=${token}`);
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer: "/pageToken" }] } });
  }
  const { status, body } = await service.get("/v1/agent-inboxes?pageSize=1001&status=ASLEEP&colour=red");
  expect(status).toBe(400);
  expect(body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual([
    "/colour",
    "/pageSize",
    "/status",
  ]);
});
