import { describe, expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { ask } from "./wire.ts";

const service = useService();
const make = makerFor(service);

describe("paths", () => {
  test.each([
    ["/v1/agent-inboxes/", 404],
    ["//v1/agent-inboxes", 404],
    ["/v1//agent-inboxes", 404],
    ["/v1/agent-inboxes//messages/pull", 404],
    ["/V1/agent-inboxes", 404],
    ["/v1/agent-inboxes/%", 400],
    ["/v1/agent-inboxes/%zz", 400],
    ["/v1/agent-inboxes/%00", 400],
    ["/v1/agent-inboxes/%C0%80", 400],
    ["/v1/agent-inboxes/%c0%ae%c0%ae", 400],
    ["/v1/agent-inboxes/%ED%A0%80", 400],
    ["/v1/agent-inboxes/..", 400],
    ["/v1/agent-inboxes/%2e%2e", 400],
    ["/v1/agent-inboxes/a%2Fb", 400],
    ["/v1/agent-inboxes/../../health/live", 404],
    ["/v1/agent-inboxes/none%40corp.example", 404],
    ["/v1/agent-inboxes?pageSize=1&pageSize=2", 400],
    ["/v1/agent-inboxes?pageSize=1&pageSize=1", 400],
    ["/v1/agent-inboxes?pageSize=%zz", 400],
    ["/v1/agent-inboxes?%", 400],
    ["/v1/agent-inboxes?pageSize[]=1", 400],
    ["/v1/agent-inboxes?pageSize=1;DROP", 400],
    ["/v1/agent-inboxes?", 200],
    ["/v1/agent-inboxes?&&", 200],
    ["/v1/agent-inboxes#fragment", 404],
    ["*", 404],
    ["http://test/health/live", 200],
    ["HTTP://test:80/v1/agent-inboxes?pageSize=1", 200],
    ["http://test", 404],
  ])("%s is answered with %i", async (path, status) => {
    const answer = await ask(service.url, "GET", path);
    expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  });
});

describe("headers", () => {
  test("odd ones do no harm", async () => {
    for (const [name, value] of [
      ["X-Request-Id", "x".repeat(10_000)],
      ["X-Request-Id", "a b"],
      ["X-Request-Id", "\u00e4"],
      ["traceparent", "00-0-0-0"],
      ["traceparent", "00-00000000000000000000000000000000-0000000000000000-01"],
      ["traceparent", "x".repeat(10_000)],
      ["tracestate", "=,=,="],
      ["If-Match", '"'.repeat(5_000)],
      ["If-Match", ",".repeat(10_000)],
      ["Accept", "text/html"],
      ["Accept-Encoding", "gzip, br"],
      ["Connection", "Upgrade"],
      ["Upgrade", "websocket"],
      ["Cookie", "a=b; __proto__=c"],
      ["X-HTTP-Method-Override", "DELETE"],
      ["Range", "bytes=0-1"],
      ["__proto__", "x"],
      ["Content-Type", ";;;"],
    ] as const) {
      const { aiAgentAddress } = await make.inbox();
      const answer = await ask(service.url, "GET", `/v1/agent-inboxes/${aiAgentAddress}`, { [name]: value });
      expect(answer, name).toMatchObject({ status: 200, body: { aiAgentAddress } });
    }
  });
});
