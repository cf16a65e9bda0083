import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { createVault } from "../../shared/outbound/vault.ts";
import { startReceiver } from "../support/receiver.ts";
import { useService } from "../support/service.ts";
import { callsFor } from "./calls.ts";
import { insertInboxes, insertMessages } from "./rows.ts";

const SECRETS_KEY = Buffer.alloc(32, 7).toString("base64");
const service = useService({ DELIVER_SECONDS: "40", SECRETS_KEY });
const { webhook, inboxOf } = callsFor(service);

const EACH = 250;

/** Fills an inbox of each receiver; answers their addresses. */
async function fill(urls: readonly string[]): Promise<string[]> {
  const addresses = [];
  for (const url of urls) addresses.push((await webhook(url)).aiAgentAddress);
  for (const address of addresses) await insertMessages(service, address, EACH);
  return addresses;
}

test("10,000 inboxes behind one host that hangs cost the database no more than a look now and then", async () => {
  const { url, received } = await startReceiver(() => {});
  await insertInboxes(service, 10_000, { inbox_destination_type: "'HTTP_ENDPOINT'", inbox_name: `'${url}/' || n` });
  await service.sql(`
    insert into cams.messages (recipient_address, message_id, sender_address, message_type, payload, priority,
      time_to_live_seconds, accepted_at, rank_at, available_at, expires_at)
    select ai_agent_address, cams.uuid7(now()), 'a', 'm', '{}', 3, 60, now(), now(), now(), now() + interval '1 h'
    from cams.agent_inboxes`);
  const vault = createVault(SECRETS_KEY);
  const addresses = Array.from({ length: 10_000 }, (_, n) => `a${n + 1}`);
  await service.sql("insert into cams.webhook_secrets select * from unnest($1::text[], $2::bytea[])", [
    addresses,
    addresses.map((address) => vault.make(address).sealed),
  ]);
  const looks = async () =>
    Number(/operation="deliveries.due",outcome="ok"\} (\d+)/.exec((await service.get("/metrics")).body)?.[1] ?? 0);
  const caller = new AbortController();
  const run = fetch(`${service.url}/v1/messages/deliver`, { method: "POST", signal: caller.signal }).catch(() => {});
  await expect.poll(() => received.length, { timeout: 10_000 }).toBe(2);
  const before = await looks();
  await delay(3_000);
  expect((await looks()) - before).toBeLessThan(40);
  caller.abort();
  await run;
}, 60_000);

test("5,000 messages to 20 webhooks of which 2 hang: the 18 get theirs as soon as without the 2", async () => {
  const answering = await Promise.all(Array.from({ length: 18 }, () => startReceiver()));
  const hanging = await Promise.all(Array.from({ length: 2 }, () => startReceiver(() => {})));
  const arrived = () => answering.reduce((sum, { received }) => sum + received.length, 0);
  const secondsUntil = async (count: number) => {
    const start = performance.now();
    await expect.poll(arrived, { timeout: 30_000, interval: 10 }).toBe(count);
    return (performance.now() - start) / 1000;
  };
  const caller = new AbortController();
  const run = fetch(`${service.url}/v1/messages/deliver`, { method: "POST", signal: caller.signal }).catch(() => {});

  await fill(answering.map(({ url }) => url));
  const alone = await secondsUntil(18 * EACH);
  const stuck = await fill(hanging.map(({ url }) => url));
  await expect.poll(() => hanging.every(({ received }) => received.length > 0), { timeout: 3_000 }).toBe(true);
  await fill(answering.map(({ url }) => url));
  const beside = await secondsUntil(2 * 18 * EACH);

  expect(beside, `${alone.toFixed(1)} s without them`).toBeLessThan(1.5 * alone + 1);
  for (const address of stuck) expect((await inboxOf(address)).pendingMessages).toBe(EACH);
  caller.abort();
  await run;
}, 90_000);
