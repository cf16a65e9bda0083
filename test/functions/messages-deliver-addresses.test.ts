import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type NameServer, startNameServer } from "../support/name-server.ts";
import { type Service, startService } from "../support/service.ts";
import { callsFor } from "./calls.ts";

let dns: NameServer;
let service: Service;
beforeAll(async () => {
  dns = await startNameServer();
  service = await startService({ ALLOW_INSECURE_DESTINATIONS: "false", DNS_SERVERS: dns.address });
});
afterAll(async () => {
  await service.close();
  dns.close();
});

const notPublic = [{ pointer: "/inboxName", message: "must lead to a public address" }];

/** Hosts that lead into a private network, in every way of writing them that a URL takes. */
const hosts = [
  ["loopback", "127.0.0.1", "127.1", "127.8.9.10", "[::1]", "localhost", "LOCALHOST", "localhost.", "a.localhost"],
  ["this network", "0.0.0.0", "0", "[::]"],
  [
    "private",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "[fc00::1]",
    "[fd12:3456::1]",
  ],
  ["carrier-grade NAT", "100.64.0.1", "100.127.255.255"],
  ["link-local", "169.254.0.1", "[fe80::1]", "[febf::1]"],
  ["metadata", "169.254.169.254", "metadata.google.internal", "metadata", "[fd00:ec2::254]"],
  ["mapped", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[::ffff:0:10.0.0.1]"],
  ["translated", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]"],
  ["decimal", "2130706433", "2852039166", "3232235521"],
  ["octal", "0177.0.0.1", "012.0.0.1", "0300.0250.0.1"],
  ["hexadecimal", "0x7f.0.0.1", "0x7f000001", "0xa9fea9fe"],
  ["percent-encoded", "%31%32%37.0.0.1", "%6c%6f%63alhost"],
  ["full width", "１２７.０.０.１", "①②⑦.⓪.⓪.①"],
  ["multicast and reserved", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "[ff02::1]"],
  ["for documents and tests", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "[2001:db8::1]", "[3fff::1]"],
  ["one's own", "printer", "nas.local", "gateway.home.arpa", "db.prod.internal"],
].flatMap(([kind, ...written]) => written.map((host) => [kind as string, host] as const));

/** Names whose addresses a name server tells. */
const names: Record<string, string[]> = {
  "loop.corp.example": ["127.0.0.1"],
  "private.corp.example": ["10.1.2.3"],
  "metadata.corp.example": ["169.254.169.254"],
  "six.corp.example": ["::1"],
  "mapped.corp.example": ["::ffff:10.0.0.1"],
  "unique-local.corp.example": ["fd00::1"],
  "mixed.corp.example": ["8.8.8.8", "10.0.0.1"],
  "mixed-six.corp.example": ["8.8.8.8", "fe80::1"],
};

/** What a delivery to a URL comes to, whatever was checked when it was written down. */
async function receiptOf(url: string) {
  await service.sql("delete from cams.messages; delete from cams.agent_inboxes");
  const { messageOf, deliver, sendTo } = callsFor(service);
  const { aiAgentAddress } = (await register("https://agents.corp.example/inbox")).body;
  await service.sql("update cams.agent_inboxes set inbox_name = $1", [url]);
  const messageId = await sendTo(aiAgentAddress);
  await deliver();
  return (await messageOf(messageId)).attempts[0];
}

const register = (inboxName: string) =>
  service.post("/v1/agent-inboxes", {
    aiAgentAddress: callsFor(service).address(),
    inboxDestinationType: "HTTP_ENDPOINT",
    inboxName,
  });

describe.each(hosts)("%s: %s", (_, host) => {
  test("is refused at registration and at delivery", async () => {
    const url = `https://${host}/inbox`;
    expect(await register(url)).toMatchObject({ status: 400, body: { errors: notPublic } });
    expect(await receiptOf(url)).toMatchObject({
      outcome: "FAILED",
      detail: "refused: the URL must lead to a public address",
    });
  });
});

describe.each(Object.entries(names))("%s at %s", (name, addresses) => {
  test("is refused at registration and at delivery", async () => {
    dns.names.set(name, addresses);
    const url = `https://${name}/inbox`;
    expect(await register(url)).toMatchObject({ status: 400, body: { errors: notPublic } });
    expect(await receiptOf(url)).toMatchObject({
      outcome: "FAILED",
      detail: "refused: the name leads to an address that is not public",
    });
  });
});

test("a name that was public at registration and leads inside at delivery is refused then", async () => {
  const { messageOf, deliver, sendTo } = callsFor(service);
  dns.names.set("rebinding.corp.example", ["8.8.8.8"]);
  const { status, body } = await register("https://rebinding.corp.example/inbox");
  expect(status).toBe(201);
  dns.names.set("rebinding.corp.example", ["127.0.0.1"]);
  const messageId = await sendTo(body.aiAgentAddress);
  await deliver();
  expect((await messageOf(messageId)).attempts).toMatchObject([
    { outcome: "FAILED", detail: "refused: the name leads to an address that is not public" },
  ]);
});

test("a name that does not resolve is taken at registration, and fails at delivery", async () => {
  const url = "https://later.corp.example/inbox";
  expect((await register(url)).status).toBe(201);
  expect(await receiptOf(url)).toMatchObject({ outcome: "FAILED", detail: "the name does not resolve" });
});

test.each([
  ["http://agents.corp.example/inbox", "must be an https URL"],
  ["https://user:password@agents.corp.example/", "must not carry credentials"],
  ["https://agents.corp.example:444/", "must use port 443 or 8443"],
  ["https://agents.corp.example:22/", "must use port 443 or 8443"],
  ["https://", "must be an https URL"],
  ["https://256.256.256.256/", "must be an https URL"],
])("%s: %s", async (url, message) => {
  expect(await register(url)).toMatchObject({ status: 400, body: { errors: [{ pointer: "/inboxName", message }] } });
});

test.each([
  "https://8.8.8.8/",
  "https://[2606:4700::1111]:8443/",
  "https://agents.corp.example:443/",
  "https://172.32.0.1/",
])("%s is taken", async (url) => {
  expect((await register(url)).status).toBe(201);
});

describe("an update", () => {
  const { address } = { address: () => callsFor(service).address() };
  const put = (to: string, body: object) => service.put(`/v1/agent-inboxes/${to}`, body);
  const pulled = async (inboxName: string) => {
    const aiAgentAddress = address();
    await service.post("/v1/agent-inboxes", { aiAgentAddress, inboxDestinationType: "PULL_QUEUE", inboxName });
    return aiAgentAddress;
  };

  test("is refused when it brings a private address, and nothing has changed", async () => {
    const { body } = await register("https://agents.corp.example/inbox");
    dns.names.set("loop.corp.example", ["127.0.0.1"]);
    for (const host of ["10.0.0.1", "loop.corp.example"]) {
      const answer = await put(body.aiAgentAddress, { inboxName: `https://${host}/` });
      expect(answer).toMatchObject({ status: 400, body: { errors: notPublic } });
    }
    const now = await service.get(`/v1/agent-inboxes/${body.aiAgentAddress}`);
    expect(now.body).toMatchObject({ inboxName: "https://agents.corp.example/inbox", revision: 1 });
  });

  test("is refused when it makes a webhook of a private address that was only a name before", async () => {
    const to = await pulled("https://10.0.0.1/");
    const answer = await put(to, { inboxDestinationType: "HTTP_ENDPOINT" });
    expect(answer).toMatchObject({ status: 400, body: { errors: notPublic } });
    expect((await service.get(`/v1/agent-inboxes/${to}`)).body).toMatchObject({ inboxDestinationType: "PULL_QUEUE" });
  });

  test("does not mind what a pull queue is called", async () => {
    expect((await put(await pulled("a"), { inboxName: "https://10.0.0.1/" })).status).toBe(200);
  });
});

test("a silent name server delays a registration by seconds, and no other request", async () => {
  dns.silent = true;
  try {
    const start = performance.now();
    const registration = register("https://slow.corp.example/inbox");
    await service.get("/health/ready");
    expect(performance.now() - start).toBeLessThan(1_000);
    expect((await registration).status).toBe(201);
    expect(performance.now() - start).toBeLessThan(9_000);
  } finally {
    dns.silent = false;
  }
});
