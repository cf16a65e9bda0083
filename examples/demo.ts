// Two agents talk, one of them dies and comes back, and no message is lost: `npm run demo`.
// The service runs on a free port, with data of its own that are thrown away at the end.
import { elapsed, seconds, tell, title } from "./demo/print.ts";
import { type Running, run } from "./demo/processes.ts";
import { api, expect, stage, startAgent, until, url } from "./demo/stage.ts";

interface Inbox {
  status: string;
  healthStatus: string;
}

interface Message {
  messageId: string;
  status: string;
  messageType: string;
  senderAddress: string;
  recipientAddress: string;
  correlationId: string;
  acceptedAt: string;
  firstLeasedAt: string;
  acknowledgedAt: string;
}

interface Transition {
  at: string;
  from: Inbox;
  to: Inbox;
  reason?: string;
}

const HEARTBEAT_SECONDS = "5";
const [ana, ben, me] = ["ana@example", "ben@example", "demo@example"];

await stage("demo", story);

async function story(): Promise<void> {
  title("The service has started, with data that will be thrown away");
  tell(`cams ready on ${url}`);

  title("Two agents register and report that they are healthy");
  const anaAgent = startEcho(ana);
  let benAgent = startEcho(ben);
  for (const agent of [ana, ben]) await healthBecomes(agent, "HEALTHY");

  title(`${ana} is asked something`);
  await ask(ana, "Are you there?");
  const [question] = await messages(`recipientAddress=${ana}`);
  await allAcknowledged(`correlationId=${question?.correlationId}`, 2);

  title(`${ben} is killed (SIGKILL): it can tell nobody, only its reports stop`);
  // The replies to what is sent to ben meanwhile need somewhere to go.
  await api("POST", "/v1/agent-inboxes", { aiAgentAddress: me, inboxDestinationType: "PULL_QUEUE" });
  await benAgent.end("SIGKILL");
  const held = [await send(ben, "Nobody knows yet that you are dead.")];
  await healthBecomes(ben, "SUSPECT");
  held.push(await send(ben, "Two reports are missing."));
  await ask(ana, "Do you notice anything?");
  await healthBecomes(ben, "OFFLINE");
  held.push(await send(ben, "Four reports are missing: this one is held."));
  await sendAndBeRefused(ben, "And this one cannot wait.");
  for (const messageId of held) await statusBecomes(messageId, "QUEUED");

  title(`${ben} is started again`);
  benAgent = startEcho(ben);
  await healthBecomes(ben, "HEALTHY");
  for (const messageId of held) await statusBecomes(messageId, "ACKNOWLEDGED");
  await collectReplies(held.length);
  await showHealthHistory(ben);

  title("Nothing is lost");
  await allAcknowledged("", 4 + 2 * held.length);

  title("The agents are told to end (SIGTERM), and say that they are gone");
  for (const [address, agent] of [[ana, anaAgent] as const, [ben, benAgent] as const]) {
    expect((await agent.end("SIGTERM")) === 0, `${address} exits with code 0`);
    await healthBecomes(address, "UNHEALTHY");
  }
  title(`All as it should be, in ${elapsed()}`);
}

function startEcho(address: string): Running {
  return startAgent("echo-agent.ts", [address], { HEARTBEAT_SECONDS }, tell);
}

async function ask(address: string, question: string): Promise<void> {
  const { ended } = run("../ask.ts", [address, question], { CAMS_URL: url }, tell);
  expect((await ended) === 0, `${address} replies`);
}

async function send(recipientAddress: string, text: string): Promise<string> {
  const { status, body } = await trySend(recipientAddress, text, "hold");
  expect(status === 202, `a message to ${recipientAddress} is accepted, not ${status} ${body.code}`);
  tell(`${me}: sent "${text}" (message ${body.messageId}): ${status}, held until it is pulled`);
  return body.messageId;
}

async function sendAndBeRefused(recipientAddress: string, text: string): Promise<void> {
  const { status, body } = await trySend(recipientAddress, text, "reject");
  expect(
    status === 409 && body.code === "inbox_inactive",
    `ifInactive "reject" is refused, not ${status} ${body.code}`,
  );
  tell(`${me}: sent "${text}" with ifInactive "reject": ${status} ${body.code}`);
}

function trySend(recipientAddress: string, text: string, ifInactive: "hold" | "reject") {
  return api<{ code: string; messageId: string }>("POST", "/v1/messages", {
    recipientAddress,
    senderAddress: me,
    payload: { text },
    ifInactive,
  });
}

async function healthBecomes(address: string, healthStatus: string): Promise<void> {
  const silence = healthStatus === "SUSPECT" || healthStatus === "OFFLINE";
  const inbox = await until(`${address} is ${healthStatus}`, silence ? 1000 : 100, async () => {
    // Cloud Scheduler, and `npm start` too, do this every minute; we are in a hurry.
    if (silence) await api("POST", "/v1/agent-health-sweep");
    const { body } = await api<Inbox>("GET", `/v1/agent-inboxes/${address}`);
    return body.healthStatus === healthStatus ? body : undefined;
  });
  tell(`${address} is ${inbox.healthStatus}, its inbox ${inbox.status}`);
}

async function statusBecomes(messageId: string, wanted: string): Promise<void> {
  const { status } = await until(`message ${messageId} is ${wanted}`, 100, async () => {
    const { body } = await api<Message>("GET", `/v1/messages/${messageId}`);
    return body.status === wanted ? body : undefined;
  });
  tell(`message ${messageId} is ${status}`);
}

async function messages(filter: string): Promise<Message[]> {
  return (await api<{ items: Message[] }>("GET", `/v1/messages?${filter}`)).body.items.reverse();
}

async function allAcknowledged(filter: string, count: number): Promise<void> {
  const all = await until(`${count} messages are ACKNOWLEDGED`, 100, async () => {
    const found = await messages(filter);
    return found.length === count && found.every(({ status }) => status === "ACKNOWLEDGED") ? found : undefined;
  });
  for (const { messageId, messageType, senderAddress, recipientAddress, status, ...times } of all) {
    const [pulled, acknowledged] = [times.firstLeasedAt, times.acknowledgedAt].map((at) =>
      seconds(Date.parse(at) - Date.parse(times.acceptedAt)),
    );
    tell(
      `${messageType} ${messageId} ${senderAddress} → ${recipientAddress}: pulled after ${pulled}, ${status} after ${acknowledged}`,
    );
  }
}

async function collectReplies(count: number): Promise<void> {
  const inbox = `/v1/agent-inboxes/${me}/messages`;
  for (let received = 0; received < count; ) {
    const { body } = await api<{ messages: (Message & { leaseToken: string; payload: { text: string } })[] }>(
      "POST",
      `${inbox}/pull`,
      { waitSeconds: 10 },
    );
    expect(body.messages.length > 0, `${count} replies arrive, not ${received}`);
    for (const { senderAddress, payload } of body.messages) tell(`${me}: ${senderAddress} replied "${payload.text}"`);
    await api("POST", `${inbox}/ack`, { leaseTokens: body.messages.map(({ leaseToken }) => leaseToken) });
    received += body.messages.length;
  }
}

async function showHealthHistory(address: string): Promise<void> {
  const { body } = await api<{ items: Transition[] }>("GET", `/v1/agent-inboxes/${address}/health-history`);
  tell(`${address} was, says its health history:`);
  for (const { at, to, reason } of body.items.reverse()) tell(`  ${at} ${to.healthStatus}, ${to.status} (${reason})`);
}
