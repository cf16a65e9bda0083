import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { createPubsub } from "../../../shared/outbound/pubsub.ts";
import { messageOf } from "../../support/outgoing.ts";
import { type FakePubsub, startMetadata, startPubsub } from "../../support/pubsub.ts";

const TOPIC = "projects/corp/topics/orders";
const never = new AbortController().signal;
const authorizations = (fake: FakePubsub) => fake.requests.map(({ authorization }) => authorization);

afterEach(() => void vi.restoreAllMocks());

test("one token of the right scope serves publish after publish", async () => {
  const [fake, metadata] = [await startPubsub(TOPIC), await startMetadata()];
  fake.token = "token-1";
  const pubsub = createPubsub({ endpoint: fake.url });
  for (const _ of [1, 2]) {
    const outcomes = await pubsub.publish(TOPIC, [messageOf()], never);
    expect(outcomes).toEqual([{ delivered: true, statusCode: 200, detail: expect.any(String) }]);
  }
  expect(metadata.asked).toEqual(["https://www.googleapis.com/auth/pubsub"]);
  expect(authorizations(fake)).toEqual(["Bearer token-1", "Bearer token-1"]);
});

test("an emulator is asked without a token", async () => {
  const [fake, metadata] = [await startPubsub(TOPIC), await startMetadata()];
  const pubsub = createPubsub({ endpoint: "http://unused.invalid", emulatorHost: fake.host });
  await pubsub.publish(TOPIC, [messageOf()], never);
  expect(metadata.asked).toEqual([]);
  expect(authorizations(fake)).toEqual([undefined]);
});

test("a token that is refused is replaced once and the publish repeated", async () => {
  const [fake, metadata] = [await startPubsub(TOPIC), await startMetadata()];
  const pubsub = createPubsub({ endpoint: fake.url });
  await pubsub.publish(TOPIC, [messageOf()], never);
  fake.token = "token-2";
  const [outcome] = await pubsub.publish(TOPIC, [messageOf()], never);
  expect(outcome?.delivered).toBe(true);
  expect(fake.published(TOPIC)).toHaveLength(2);
  expect(metadata.asked).toHaveLength(2);
});

test("a token that is refused again is a failure", async () => {
  const [fake, metadata] = [await startPubsub(TOPIC), await startMetadata()];
  fake.token = "another";
  const outcomes = await createPubsub({ endpoint: fake.url }).publish(TOPIC, [messageOf()], never);
  expect(outcomes).toEqual([
    {
      delivered: false,
      statusCode: 401,
      detail: "401 UNAUTHENTICATED: Request had invalid authentication credentials.",
    },
  ]);
  expect(metadata.asked).toHaveLength(2);
  expect(authorizations(fake)).toEqual(["Bearer token-1", "Bearer token-2"]);
});

test("without a token nothing is published, and the answer of who gives them is not quoted", async () => {
  const [fake, metadata] = [await startPubsub(TOPIC), await startMetadata()];
  const pubsub = createPubsub({ endpoint: fake.url });
  metadata.refusal = { status: 403, body: "secret" };
  const messages = [messageOf(), messageOf({ orderingKey: "k" })];
  const failure = { delivered: false, detail: "no access token: answered 403" };
  expect(await pubsub.publish(TOPIC, messages, never)).toEqual([failure, failure]);
  expect(fake.requests).toEqual([]);
  metadata.refusal = undefined;
  expect((await pubsub.publish(TOPIC, messages, never)).map(({ delivered }) => delivered)).toEqual([true, true]);
});

test("a key file that is not JSON is not quoted", async () => {
  const fake = await startPubsub(TOPIC);
  await startMetadata();
  const folder = await mkdtemp(join(tmpdir(), "cams-test-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "key.json");
  await writeFile(file, "secret-of-a-key");
  vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", file);
  const [outcome] = await createPubsub({ endpoint: fake.url }).publish(TOPIC, [messageOf()], never);
  expect(outcome).toEqual({ delivered: false, detail: "no access token: SyntaxError" });
});

test("no credentials at all is a failure that says so", async () => {
  const fake = await startPubsub(TOPIC);
  await startMetadata();
  vi.stubEnv("METADATA_SERVER_DETECTION", "none");
  const [outcome] = await createPubsub({ endpoint: fake.url }).publish(TOPIC, [messageOf()], never);
  expect(outcome?.detail).toMatch(/^no access token: Could not load the default credentials\./);
});

test("a wait for a token ends with the caller's signal, and after 20 s", async () => {
  const [fake, metadata] = [await startPubsub(TOPIC), await startMetadata()];
  const pubsub = createPubsub({ endpoint: fake.url });
  metadata.hanging = true;
  const soon = AbortSignal.timeout(50);
  const interrupted = { delivered: false, detail: "interrupted", interrupted: true };
  for (const _ of ["while it waits", "before it waits"])
    expect(await pubsub.publish(TOPIC, [messageOf()], soon)).toEqual([interrupted]);
  const timeout = AbortSignal.timeout;
  vi.spyOn(AbortSignal, "timeout").mockImplementation((milliseconds) => timeout(milliseconds / 100));
  const [outcome] = await pubsub.publish(TOPIC, [messageOf()], never);
  expect(outcome).toEqual({ delivered: false, detail: "no answer within 20 s" });
  expect(fake.requests).toEqual([]);
});
