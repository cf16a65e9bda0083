import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "./support/database.ts";
import { run } from "./support/global-setup.ts";
import { post, untilKilled } from "./support/killed.ts";
import { type ServiceProcess, startProcess } from "./support/process.ts";

const ROUNDS = 6;
const SENDERS = 8;
const PULLERS = 4;
const addresses = ["north@corp.example", "south@corp.example"];

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** What clients were told; all of it must be true afterwards. */
const told = {
  accepted: new Map<string, string>(),
  handedOut: new Map<string, number>(),
  acknowledged: new Set<string>(),
};

function sender(url: string, name: string): Promise<void> {
  return untilKilled(async (count) => {
    const senderMessageId = `${name}-${count}`;
    const recipientAddress = addresses[count % addresses.length];
    const orderingKey = count % 3 === 0 ? { orderingKey: `key-${count % 7}` } : {};
    const message = { recipientAddress, senderAddress: "load@corp.example", payload: { count }, senderMessageId };
    const { status, body } = await post(url, "/v1/messages", { ...message, ...orderingKey });
    if (status === 202) told.accepted.set(senderMessageId, body.messageId);
  });
}

function puller(url: string, address: string): Promise<void> {
  return untilKilled(async () => {
    const pulled = await post(url, `/v1/agent-inboxes/${address}/messages/pull`, { maxMessages: 5, waitSeconds: 1 });
    const messages: { messageId: string; leaseToken: string }[] = pulled.body.messages ?? [];
    for (const { messageId } of messages) told.handedOut.set(messageId, (told.handedOut.get(messageId) ?? 0) + 1);
    const leaseTokens = messages.map((message) => message.leaseToken);
    if (leaseTokens.length === 0) return;
    const acked = await post(url, `/v1/agent-inboxes/${address}/messages/ack`, { leaseTokens });
    for (const messageId of acked.body.acknowledged ?? []) told.acknowledged.add(messageId);
  });
}

async function kill(service: ServiceProcess): Promise<void> {
  // A slow machine takes longer to be in the middle of it.
  const [sent, acked] = [told.accepted.size, told.acknowledged.size];
  const enough = () => Math.min(told.accepted.size - sent - 35, told.acknowledged.size - acked - 10);
  await expect.poll(enough, { timeout: 10_000, interval: 5 }).toBeGreaterThan(0);
  await delay(Math.random() * 500);
  await service.end("SIGKILL");
}

test("the service killed with SIGKILL under load, again and again: nothing accepted is lost, nothing is in two hands", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const service = await startProcess({ DATABASE_URL: database.url });
    for (const aiAgentAddress of addresses)
      await post(service.url, "/v1/agent-inboxes", { aiAgentAddress, inboxDestinationType: "PULL_QUEUE" });
    const clients = [
      ...Array.from({ length: SENDERS }, (_, n) => sender(service.url, `${round}-${n}`)),
      ...Array.from({ length: PULLERS }, (_, n) => puller(service.url, addresses[n % 2] as string)),
    ];
    await Promise.all([kill(service), ...clients]);
  }

  const { rows } = await run(
    database.url,
    `select message_id, sender_message_id, 'LIVE' as status from cams.messages
     union all select message_id, sender_message_id, status from cams.message_archive`,
  );
  const stored = new Map(rows.map((row) => [row.message_id as string, row]));
  expect(told.accepted.size).toBeGreaterThan(200);
  expect(told.acknowledged.size).toBeGreaterThan(50);
  expect(stored.size, "no message is there twice").toBe(rows.length);
  expect(new Set(rows.map((row) => row.sender_message_id)).size, "no send made two messages").toBe(rows.length);
  const lost = [...told.accepted].filter(([own, id]) => stored.get(id)?.sender_message_id !== own);
  expect(lost, "accepted and gone").toEqual([]);
  // No lease has run out within this test's seconds: whatever was handed out twice was in two hands.
  expect(
    [...told.handedOut].filter(([, times]) => times > 1),
    "in two hands",
  ).toEqual([]);
  const undone = [...told.acknowledged].filter((id) => stored.get(id)?.status !== "ACKNOWLEDGED");
  expect(undone, "acknowledged and back").toEqual([]);
  const stuck = await run(
    database.url,
    `select from cams.messages where ordering_key is not null
     group by recipient_address, ordering_key having count(*) filter (where not blocked) <> 1`,
  );
  expect(stuck.rowCount, "lines without a head").toBe(0);
}, 60_000);
