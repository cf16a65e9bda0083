import { expect, test } from "vitest";
import { startReceiver } from "../support/receiver.ts";
import { useService } from "../support/service.ts";
import { callsFor } from "./calls.ts";
import { insertMessages } from "./rows.ts";

const service = useService({ DELIVER_SECONDS: "30" });
const calls = callsFor(service);

const COUNT = 500;

test("18 webhooks get their 9,000 messages at once while two others hang with theirs", async () => {
  const controller = new AbortController();
  const answering = await Promise.all(Array.from({ length: 18 }, () => startReceiver()));
  const hanging = await Promise.all([1, 2].map(() => startReceiver(() => {})));
  const addresses = [];
  for (const { url } of [...hanging, ...answering]) {
    const { aiAgentAddress } = await calls.inbox({ inboxDestinationType: "HTTP_ENDPOINT", inboxName: url });
    addresses.push(aiAgentAddress);
    await insertMessages(service, aiAgentAddress, COUNT);
  }
  const start = performance.now();
  const call = fetch(`${service.url}/v1/messages/deliver`, { method: "POST", signal: controller.signal }).catch(
    () => {},
  );
  const all = () => answering.reduce((sum, { received }) => sum + received.length, 0);
  await expect.poll(all, { timeout: 30_000, interval: 20 }).toBe(18 * COUNT);
  console.log(
    "seconds",
    (performance.now() - start) / 1000,
    hanging.map(({ received }) => received.length),
  );
  controller.abort();
  await call;
}, 60_000);
