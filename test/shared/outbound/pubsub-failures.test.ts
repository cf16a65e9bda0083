import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { createPubsub } from "../../../shared/outbound/pubsub.ts";
import { many, messageOf } from "../../support/outgoing.ts";
import { type FakePubsub, googleError, startPubsub } from "../../support/pubsub.ts";

const TOPIC = "projects/corp/topics/orders";
const never = new AbortController().signal;
const publisherTo = (fake: FakePubsub) => createPubsub({ endpoint: "http://unused.invalid", emulatorHost: fake.host });

afterEach(() => void vi.restoreAllMocks());

/** Runs the limits of time so many times faster. */
function hurry(factor: number) {
  const timeout = AbortSignal.timeout;
  vi.spyOn(AbortSignal, "timeout").mockImplementation((milliseconds) => timeout(milliseconds / factor));
}

test("no topic is a failure of all the messages, said once by Pub/Sub", async () => {
  const fake = await startPubsub();
  const messages = Array.from({ length: 100 }, (_, index) => messageOf({ orderingKey: `k${index}` }));
  const outcomes = await publisherTo(fake).publish(TOPIC, messages, never);
  const failure = {
    delivered: false,
    statusCode: 404,
    detail: `404 NOT_FOUND: Resource not found (resource=${TOPIC}).`,
  };
  expect(outcomes).toEqual(messages.map(() => failure));
  expect(fake.requests.length).toBeLessThanOrEqual(8);
});

test("a failure of all leaves the messages published before it delivered", async () => {
  const fake = await startPubsub(TOPIC);
  const messages = many(2001);
  fake.pass(1);
  fake.answer(1, 503, googleError(503, "UNAVAILABLE", "Try again."));
  const outcomes = await publisherTo(fake).publish(TOPIC, messages, never);
  expect(outcomes.map(({ delivered }) => delivered)).toEqual(messages.map((_, index) => index < 1000));
  expect(fake.requests).toHaveLength(2);
});

test.each([
  [403, "PERMISSION_DENIED", undefined, undefined],
  [429, "RESOURCE_EXHAUSTED", "30", 30],
  [503, "UNAVAILABLE", new Date(Date.now() + 172_800_000).toUTCString(), 86_400],
  [503, "UNAVAILABLE", "soon", undefined],
  [500, "INTERNAL", undefined, undefined],
  [400, "FAILED_PRECONDITION", undefined, undefined],
])("%i %s with Retry-After %j is a failure that asks for %j s", async (status, word, header, seconds) => {
  const fake = await startPubsub(TOPIC);
  fake.answer(1, status, googleError(status, word, "Not now."), header ? { "retry-after": header } : {});
  const outcomes = await publisherTo(fake).publish(TOPIC, many(2), never);
  const failure = { delivered: false, statusCode: status, detail: `${status} ${word}: Not now.` };
  expect(outcomes[0]).toEqual(seconds === undefined ? failure : { ...failure, retryAfterSeconds: seconds });
  expect(outcomes[1]).toEqual(outcomes[0]);
  expect(fake.requests).toHaveLength(1);
});

test.each([
  [200, "200: the answer is not JSON", "<html>"],
  [200, "200: the answer is not JSON", ""],
  [200, "200: the answer has not one id for each of 2 messages", "null"],
  [200, "200: the answer has not one id for each of 2 messages", '{"messageIds":["1"]}'],
  [200, "200: the answer has not one id for each of 2 messages", '{"messageIds":["1","2","3"]}'],
  [200, "200: the answer is not JSON", `{"messageIds":["1","${"2".repeat(1_048_576)}"]}`],
  [502, "502 Bad Gateway", "<html>Bad gateway"],
  [503, "503 Service Unavailable", "null"],
  [500, "500 Internal Server Error", '{"error":"odd"}'],
  [302, "302 Found", ""],
])("an answer %i is the failure %j", async (status, detail, body) => {
  const fake = await startPubsub(TOPIC);
  fake.answer(1, status, body, { location: fake.url });
  const outcomes = await publisherTo(fake).publish(TOPIC, many(2), never);
  expect(outcomes[0]).toEqual({ delivered: false, statusCode: status, detail });
  expect(fake.requests).toHaveLength(1);
});

test("a detail is one line of at most 500 characters", async () => {
  const fake = await startPubsub(TOPIC);
  fake.answer(1, 403, googleError(403, "PERMISSION_DENIED", `a\nb\u001b[31m\u0000${"x".repeat(1000)}`));
  const [{ detail = "" } = {}] = await publisherTo(fake).publish(TOPIC, [messageOf()], never);
  expect(detail).toMatch(/^403 PERMISSION_DENIED: a b \[31m x+$/);
  expect(detail).toHaveLength(500);
  for (const before of ["", "."]) {
    fake.answer(1, 403, googleError(403, "PERMISSION_DENIED", before + "👋".repeat(500)));
    const [outcome] = await publisherTo(fake).publish(TOPIC, [messageOf()], never);
    expect(outcome?.detail?.isWellFormed()).toBe(true);
  }
});

test("a refused connection is a failure by its name", async () => {
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const host = `127.0.0.1:${(free.address() as AddressInfo).port}`;
  await new Promise((resolve) => free.close(resolve));
  const pubsub = createPubsub({ endpoint: "http://unused.invalid", emulatorHost: host });
  expect(await pubsub.publish(TOPIC, [messageOf()], never)).toEqual([
    { delivered: false, detail: `ECONNREFUSED: connect ECONNREFUSED ${host}` },
  ]);
});

test("an answer that breaks off is a failure", async () => {
  const fake = await startPubsub(TOPIC);
  fake.breakOff(1);
  const [outcome] = await publisherTo(fake).publish(TOPIC, [messageOf()], never);
  expect(outcome).toEqual({ delivered: false, detail: expect.stringMatching(/^(UND_ERR_SOCKET|ECONNRESET)/) });
});

test("what is not begun within the 20 s of a call is no attempt, and never outlasts its lease", async () => {
  const fake = await startPubsub(TOPIC);
  hurry(20);
  fake.pass(8);
  void fake.hang(8);
  // Each key is a publish of its own, eight at a time: the second eight wait until the time is up.
  const messages = Array.from({ length: 100 }, (_, index) => messageOf({ orderingKey: `k${index}` }));
  const start = performance.now();
  const outcomes = await publisherTo(fake).publish(TOPIC, messages, never);
  expect(performance.now() - start).toBeLessThan(4_000);
  const told = Map.groupBy(outcomes, ({ delivered, interrupted, detail }) =>
    delivered ? "delivered" : interrupted ? "interrupted" : detail,
  );
  expect(Object.fromEntries([...told].map(([what, all]) => [what, all.length]))).toEqual({
    delivered: 8,
    "no answer within 20 s": 8,
    interrupted: 84,
  });
  expect(fake.requests).toHaveLength(16);
});

test("a publish without an answer ends after 20 s", async () => {
  const fake = await startPubsub(TOPIC);
  void fake.hang(1);
  hurry(100);
  const start = performance.now();
  const outcomes = await publisherTo(fake).publish(TOPIC, many(2), never);
  expect(outcomes[1]).toEqual({ delivered: false, detail: "no answer within 20 s" });
  expect(performance.now() - start).toBeGreaterThan(190);
});

test.each(["the caller's signal", "close"])("%s interrupts what is being published and what would be", async (by) => {
  const fake = await startPubsub(TOPIC);
  const pubsub = publisherTo(fake);
  const abort = new AbortController();
  const arrived = fake.hang(1);
  const publishing = pubsub.publish(TOPIC, many(1500), abort.signal);
  await arrived;
  if (by === "close") pubsub.close();
  else abort.abort();
  const interrupted = { delivered: false, detail: "interrupted", interrupted: true };
  expect(new Set(await publishing)).toEqual(new Set([interrupted]));
  expect(await pubsub.publish(TOPIC, [messageOf()], abort.signal)).toEqual([interrupted]);
  expect(fake.requests).toHaveLength(1);
});
