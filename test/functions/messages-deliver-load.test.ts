import { expect, test } from "vitest";
import { startReceiver } from "../support/receiver.ts";
import { useService } from "../support/service.ts";
import { callsFor } from "./calls.ts";
import { insertMessages } from "./rows.ts";

const service = useService({ DELIVER_SECONDS: "40" });
const { webhook, inboxOf } = callsFor(service);

const EACH = 500;

/** Fills an inbox of each receiver; answers their addresses. */
async function fill(urls: readonly string[]): Promise<string[]> {
  const addresses = [];
  for (const url of urls) addresses.push((await webhook(url)).aiAgentAddress);
  for (const address of addresses) await insertMessages(service, address, EACH);
  return addresses;
}

test("10,000 messages to 20 webhooks of which 2 hang: the 18 get theirs as soon as without the 2", async () => {
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
