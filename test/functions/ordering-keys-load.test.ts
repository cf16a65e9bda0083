import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Answer } from "../support/client.ts";
import { useService } from "../support/service.ts";
import { callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);

const SECONDS = 4;
const KEYS = ["a", "b", "c", "d", undefined];
const PRIORITIES = ["CRITICAL", "HIGH", "NORMAL", "LOW"];
const ADDRESS = "busy@corp.example";

const chance = (probability: number) => Math.random() < probability;
const oneOf = <T>(of: readonly T[]): T => of[Math.floor(Math.random() * of.length)] as T;

/** Everything that was promised: which messages exist, and how those ended that somebody was told of. */
const accepted: string[] = [];
const ended = new Map<string, string>();
const refusals: string[] = [];

/** The body of an answer; anything but a success or a refusal that such a race explains is kept for the end. */
function bodyOf({ status, body }: Answer) {
  if (status >= 300 && !(status === 409 && body.code === "message_finished")) refusals.push(`${status} ${body.code}`);
  return body;
}

function end(id: string, status: string): void {
  if (ended.has(id)) refusals.push(`${id} ended as ${ended.get(id)} and as ${status}`);
  ended.set(id, status);
}

async function send(): Promise<void> {
  const body = bodyOf(
    await calls.send({
      recipientAddress: ADDRESS,
      orderingKey: oneOf(KEYS),
      priority: oneOf(PRIORITIES),
      ...(chance(0.3) && { timeToLiveSeconds: 1 }),
      ...(chance(0.1) && { deliverAfter: new Date(Date.now() + 150).toISOString() }),
    }),
  );
  accepted.push(body.messageId);
}

async function work(): Promise<void> {
  const { messages = [] } = bodyOf(await calls.pulled(ADDRESS, { maxMessages: 1 + Math.floor(Math.random() * 5) }));
  const tokens: string[] = messages.map(({ leaseToken }: { leaseToken: string }) => leaseToken);
  // Now and then an agent that never comes back.
  if (tokens.length === 0 || chance(0.1)) return void (await delay(2));
  if (chance(0.7)) {
    const { acknowledged } = bodyOf(await calls.ack(ADDRESS, ...tokens));
    for (const id of acknowledged) end(id, "ACKNOWLEDGED");
  } else {
    const { deadLettered } = bodyOf(await calls.nack(ADDRESS, tokens, { retryAfterSeconds: 0 }));
    for (const id of deadLettered) end(id, "DEAD_LETTERED");
  }
}

async function cancel(): Promise<void> {
  const id = oneOf(accepted.slice(-40));
  if (id === undefined) return void (await delay(5));
  const answer = await calls.cancel(id);
  bodyOf(answer);
  if (answer.status === 200) end(id, "CANCELLED");
}

async function letLeasesLapse(): Promise<void> {
  await service.sql(`
    with lapsing as (
      select message_id from cams.messages where lease_token is not null and random() < 0.2 for update skip locked)
    update cams.messages m set available_at = now() from lapsing where m.message_id = lapsing.message_id`);
  await delay(50);
}

async function sweep(): Promise<void> {
  bodyOf(await calls.sweep());
  await delay(20);
}

/** In whatever moment one looks: every key with live messages has one that is free, and it is the first. */
async function look(): Promise<void> {
  const broken = await service.sql(`
    select ordering_key from cams.messages where ordering_key is not null
    group by recipient_address, ordering_key
    having count(*) filter (where not blocked) <> 1 or min(seq) <> min(seq) filter (where not blocked)`);
  if (broken.length > 0 && refusals.length < 10) refusals.push(`broken lines: ${JSON.stringify(broken)}`);
  await delay(10);
}

test("sends, pulls, acks, nacks, lapses, cancels, expiries and sweeps at once: every message ends once, in its turn", async () => {
  await calls.inbox({ aiAgentAddress: ADDRESS, maxDeliveryAttempts: 3 });
  const until = performance.now() + SECONDS * 1000;
  const repeatedly = async (step: () => Promise<void>) => {
    while (performance.now() < until) await step();
  };
  const steps = [send, send, send, work, work, work, cancel, cancel, sweep, sweep, letLeasesLapse, look];
  await Promise.all(steps.map(repeatedly));

  // What is left is finished by one that does its work.
  for (let rounds = 0; (await service.sql("select from cams.messages")).length > 0 && rounds < 500; rounds++) {
    await calls.becomeDue();
    await calls.lapse();
    await sweep();
    const messages = await calls.pull(ADDRESS, { maxMessages: 100 });
    for (const { leaseToken, messageId } of messages)
      if (bodyOf(await calls.ack(ADDRESS, leaseToken)).acknowledged.length === 1) end(messageId, "ACKNOWLEDGED");
  }

  expect(refusals).toEqual([]);
  const rows = await service.sql<{ id: string; status: string }>(
    "select message_id as id, status from cams.message_archive order by message_id",
  );
  expect(rows.map(({ id }) => id)).toEqual([...accepted].sort());
  const told = rows.filter(({ id }) => ended.has(id));
  expect(told).toEqual(told.map(({ id }) => ({ id, status: ended.get(id) })));
  expect(new Set(rows.map(({ status }) => status))).toEqual(
    new Set(["ACKNOWLEDGED", "CANCELLED", "DEAD_LETTERED", "EXPIRED"]),
  );
  const overtaken = await service.sql(`
    select from (
      select first_leased_at as at, lag(first_leased_at) over (partition by ordering_key order by seq) as before
      from cams.message_archive where ordering_key is not null and first_leased_at is not null
    ) turns where before > at + interval '20 ms'`);
  expect(overtaken).toHaveLength(0);
  // A deadlock would be retried and not be seen in any answer.
  expect(await calls.failedStatements()).toEqual([]);
});
