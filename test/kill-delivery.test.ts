import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "./support/database.ts";
import { run } from "./support/global-setup.ts";
import { post, untilKilled } from "./support/killed.ts";
import { type ServiceProcess, startProcess } from "./support/process.ts";
import { type Receiver, startReceiver } from "./support/receiver.ts";

const ROUNDS = 5;
const SENDERS = 6;
const PATIENTLY = { timeout: 10_000, interval: 5 };

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const accepted = new Set<string>();
/** How often the receivers answered 200 to a message. */
const answered = new Map<string, number>();

/** Sends until the service is killed. */
function send(url: string, receivers: readonly Receiver[]): Promise<void> {
  return untilKilled(async (count) => {
    const recipientAddress = `${receivers[count % receivers.length]?.host.replace(":", "-")}@corp.example`;
    const orderingKey = count % 4 === 0 ? { orderingKey: `key-${count % 3}` } : {};
    const message = { recipientAddress, senderAddress: "load@corp.example", payload: { count }, ...orderingKey };
    const { status, body } = await post(url, "/v1/messages", message);
    if (status === 202) accepted.add(body.messageId);
  });
}

/** As the ends of leases and pauses would, in less than their 45 seconds. */
const letTimePass = () =>
  run(
    database.url,
    `with waiting as (select message_id from cams.messages where available_at > now() for update skip locked)
     update cams.messages set available_at = now() where message_id in (select message_id from waiting);
     update cams.agent_inboxes set delivery_paused_until = null where delivery_paused_until > now()`,
  );

const live = async () => (await run(database.url, "select message_id from cams.messages")).rows;

async function register(service: ServiceProcess, { host, url }: Receiver): Promise<void> {
  const aiAgentAddress = `${host.replace(":", "-")}@corp.example`;
  await post(service.url, "/v1/agent-inboxes", {
    aiAgentAddress,
    inboxDestinationType: "HTTP_ENDPOINT",
    inboxName: url,
    maxDeliveryAttempts: 100,
  });
}

test("the service killed with SIGKILL while it delivers, again and again: nothing is lost, nothing is delivered that did not arrive", async () => {
  const receivers = await Promise.all(
    [0, 0.2].map((share) =>
      startReceiver(async ({ event }, res) => {
        await delay(Math.random() * 10);
        const fails = Math.random() < share;
        if (!fails) answered.set(event.id, (answered.get(event.id) ?? 0) + 1);
        res.writeHead(fails ? 500 : 200).end();
      }),
    ),
  );
  const SECRETS_KEY = Buffer.alloc(32, 7).toString("base64");
  for (let round = 0; round < ROUNDS; round++) {
    const service = await startProcess({ DATABASE_URL: database.url, SECRETS_KEY });
    for (const receiver of receivers) await register(service, receiver);
    const senders = Array.from({ length: SENDERS }, () => send(service.url, receivers));
    // A slow machine takes longer to be in the middle of it.
    const [sent, heard] = [accepted.size, answered.size];
    await expect
      .poll(() => Math.min(accepted.size - sent - 40, answered.size - heard - 20), PATIENTLY)
      .toBeGreaterThan(0);
    await delay(Math.random() * 700);
    await service.end("SIGKILL");
    await Promise.all(senders);
    await letTimePass();
  }
  expect(accepted.size).toBeGreaterThan(200);
  expect(answered.size, "delivered before the last kill").toBeGreaterThan(100);
  expect(await live()).not.toEqual([]);

  await startProcess({ DATABASE_URL: database.url, SECRETS_KEY });
  for (const end = Date.now() + 30_000; (await live()).length > 0 && Date.now() < end; await delay(100))
    await letTimePass();
  const { rows } = await run(
    database.url,
    "select message_id, status, attempts from cams.message_archive union all select message_id, 'LIVE', attempts from cams.messages",
  );
  const stored = new Map(rows.map((row) => [row.message_id as string, row]));
  expect(stored.size, "no message is there twice").toBe(rows.length);
  expect(
    [...accepted].filter((id) => stored.get(id)?.status !== "DELIVERED"),
    "accepted and not delivered",
  ).toEqual([]);
  const unheard = rows.filter(({ message_id, status }) => status === "DELIVERED" && !answered.has(message_id));
  expect(unheard, "delivered, and never arrived").toEqual([]);
  const unrecorded = rows.filter((row) => row.attempts.at(-1)?.outcome !== "DELIVERED");
  expect(unrecorded, "delivered without a receipt").toEqual([]);
  // An answer that was on its way when the service was killed is asked for once more, under the same id.
  const repeated = [...answered.values()].filter((times) => times > 1).length;
  expect(repeated).toBeLessThan(ROUNDS * 2 * 16);
}, 120_000);
