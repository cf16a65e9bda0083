import { isDeepStrictEqual } from "node:util";
import { type Check, described, expectStatus, Failed, needsInbox, type Smoke } from "./check.ts";

/** What agents do. */
export const messageChecks: Check[] = [
  ["a pull waits as long as it asks to", holdsPulls],
  ["a message is sent, pulled and acknowledged", carriesMessages],
];

/** Before any message is sent: nothing else may end the waiting. */
async function holdsPulls(smoke: Smoke): Promise<string> {
  needsInbox(smoke);
  const { client, inbox, waitSeconds } = smoke;
  const answer = await client.call("POST", `${inbox}/messages/pull`, { body: { waitSeconds } });
  const seconds = answer.milliseconds / 1000;
  if (answer.status !== 200) throw new Failed(`answered ${described(answer)} after ${seconds.toFixed(1)} s`);
  if (seconds < waitSeconds - 0.25) throw new Failed(`answered after ${seconds.toFixed(1)} s of ${waitSeconds}`);
  return `${seconds.toFixed(1)} s`;
}

async function carriesMessages(smoke: Smoke): Promise<string> {
  needsInbox(smoke);
  const { client, address, inbox } = smoke;
  const start = performance.now();
  const payload = { text: "smoke ✓", at: new Date().toISOString() };
  const { messageId } = expectStatus(
    await client.call("POST", "/v1/messages", {
      body: { recipientAddress: address, senderAddress: address, payload },
    }),
    202,
    "sending",
  );
  const pulled = await client.call("POST", `${inbox}/messages/pull`, { body: { waitSeconds: 10 } });
  const { messages = [] } = expectStatus(pulled, 200, "pulling") as { messages?: Record<string, unknown>[] };
  const [message] = messages;
  if (message?.messageId !== messageId) throw new Failed(`${messageId} was accepted, and is not handed out`);
  if (!isDeepStrictEqual(message?.payload, payload)) throw new Failed("the payload came back changed");
  expectStatus(
    await client.call("POST", `${inbox}/messages/ack`, { body: { leaseTokens: [message?.leaseToken] } }),
    200,
    "acknowledging",
  );
  const { status } = expectStatus(await client.call("GET", `/v1/messages/${messageId}`), 200, "reading it");
  if (status !== "ACKNOWLEDGED") throw new Failed(`acknowledged, it is ${status}`);
  return `${Math.round(performance.now() - start)} ms`;
}
