import { getTestServer } from "@google-cloud/functions-framework/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endpoints } from "../../../functions/index.ts";
import { listen } from "../../../scripts/listen.ts";
import { type Call, casesOf, kitFor, pathOf } from "../../support/cases/index.ts";
import { textOf } from "../../support/client.ts";
import { useService } from "../../support/service.ts";

const service = useService();
const kit = kitFor(service);

/** The same functions, on a server that was not taken over: through the framework's Express app. */
let express: { url: string; close(): unknown };
beforeAll(async () => {
  const server = getTestServer("cams");
  express = { url: await listen(server, "127.0.0.1", 0), close: () => server.close() };
});
afterAll(() => express.close());

const named = endpoints.map((endpoint) => [endpoint.name, endpoint] as const);
const json = { "content-type": "application/json" };
const told = ["content-type", "location", "etag", "allow", "retry-after", "cache-control", "idempotent-replayed"];

interface Ask {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: RequestInit["body"] | undefined;
}

/** An answer without what differs from one call to the next. */
async function answerOf(url: string, { method, path, headers = {}, body }: Ask) {
  const init = { method, headers: { "x-request-id": "same", ...headers }, duplex: "half", ...(body && { body }) };
  const answer = await fetch(url + path, init as RequestInit);
  const names = [...told, "x-request-id", "x-powered-by"];
  const said = names.map((name) => [name, answer.headers.get(name)?.replace(VARYING, "…")]);
  const text = (await textOf(answer)).replace(VARYING, "…");
  return { status: answer.status, ...Object.fromEntries(said), text };
}

const VARYING =
  /\d{13}-\d+-\d+|cams_[\w-]{80}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z|(agent|principal|team)-[0-9a-f]{8}|"contentHash":"[0-9a-f]{64}"|whsec_[\w+/=]+|(?<="(?:milliseconds|durationSeconds)":)[\d.]+/g;

const asked = ({ method, path }: { method: string; path: string }, call: Call): Ask => ({
  method,
  path,
  headers: { ...(call.body && json), ...call.headers },
  body: call.body && JSON.stringify(call.body),
});

describe.each(named)("%s", (_, endpoint) => {
  test("answers the same whether the server was taken over or not", async () => {
    const { success, errors } = casesOf(endpoint);
    for (const prepare of [success, ...Object.values(errors)]) {
      const answers = [];
      let call: Call | undefined;
      for (const url of [service.url, express.url]) {
        await service.sql("delete from cams.message_keys");
        if (!call || endpoint.method !== "GET") call = await prepare(kit);
        answers.push(await answerOf(url, asked({ method: endpoint.method, path: pathOf(endpoint, call) }, call)));
      }
      const [ours, theirs] = answers;
      // Metrics say which way they were asked for.
      if (endpoint.name === "system-metrics") expect(theirs).toMatchObject({ ...ours, text: expect.any(String) });
      else expect(theirs).toEqual(ours);
    }
  });
});

const register = (body: Ask["body"], headers: Record<string, string> = json): Ask => ({
  method: "POST",
  path: "/v1/agent-inboxes",
  headers,
  body,
});
const good = JSON.stringify({ aiAgentAddress: "both@corp.example", inboxDestinationType: "PULL_QUEUE" });
const chunks = (text: string) => new Blob([text]).stream();

test.each<[string, () => Ask]>([
  ["a body in chunks", () => register(chunks(good))],
  ["a body in chunks that are none", () => register(chunks(""))],
  ["a body with its charset", () => register(good, { "content-type": "application/json; charset=utf-8" })],
  ["a body that is not UTF-8 by its own words", () => register(good, { "content-type": "text/plain" })],
  ["a form", () => register("a=1", { "content-type": "application/x-www-form-urlencoded" })],
  ["bytes", () => register(new Uint8Array([0, 255]), { "content-type": "application/octet-stream" })],
  ["a CloudEvent", () => register(good, { "content-type": "application/cloudevents+json" })],
  ["no content type", () => register(new Uint8Array(Buffer.from(good)), {})],
  ["a body of more than 1 MiB", () => register(`{"a":"${"x".repeat(1024 * 1024)}"}`)],
  ["a number that no double keeps", () => register('{"a":12345678901234567890}')],
  ["wrong fields", () => register('{"a":1,"aiAgentAddress":7}')],
  ["an array", () => register("[]")],
  ["no body", () => register(undefined)],
  ["an empty body", () => register("", json)],
  ["an idempotency key", () => register(good, { ...json, "idempotency-key": "k" })],
  ["an idempotency key that cannot be used", () => register(good, { ...json, "idempotency-key": "x".repeat(256) })],
  ["a path there is not", () => ({ method: "GET", path: "/nowhere" })],
  ["a method there is not", () => ({ method: "PATCH", path: "/v1/agent-inboxes" })],
  ["a query there is not", () => ({ method: "GET", path: "/v1/agent-inboxes?x[y]=1&x=2" })],
  ["HEAD", () => ({ method: "HEAD", path: "/docs" })],
  ["OPTIONS", () => ({ method: "OPTIONS", path: "/v1/agent-inboxes" })],
])("the same answer both ways to %s", async (_, ask) => {
  const answers = [];
  for (const url of [service.url, express.url]) {
    // Without triggers: one that is known to have been deleted goes on counting its revisions.
    await service.sql(`begin; set local session_replication_role = replica;
      delete from cams.agent_inboxes; delete from cams.idempotency_keys; commit`);
    answers.push(await answerOf(url, ask()));
  }
  expect(answers[1]).toEqual(answers[0]);
});

test("the framework alone answers malformed JSON by itself: why requests are taken over", async () => {
  const theirs = await answerOf(express.url, register("{"));
  expect(theirs).toMatchObject({ status: 400, "content-type": "text/html; charset=utf-8" });
  expect(await answerOf(service.url, register("{"))).toMatchObject({
    status: 400,
    "content-type": "application/problem+json",
  });
});
