import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { httpLanes, type StartLoad } from "../support/lanes.ts";
import { addressOf } from "../support/rows.ts";
import { CLAIM } from "./pull.ts";
import { messageTo } from "./send.ts";

interface Options {
  url: string;
  /** Lanes have an inbox each, from this one on, which nobody else uses. */
  firstInbox: number;
}

/** Long enough for a pull to be waiting: it asked twice by then and found nothing. */
const WAITING_MS = 10;

/** From a send to the answer of the pull that waits for it. */
export const viaHttp: StartLoad<Options> = ({ url, firstInbox }) => {
  const { request, close } = httpLanes(url);
  return {
    async once(lane) {
      const address = addressOf(firstInbox + lane);
      const path = `/v1/agent-inboxes/${address}/messages`;
      const pull = request(`puller ${lane}`, 200, "POST", `${path}/pull`, { waitSeconds: 20, maxMessages: 1 });
      await delay(WAITING_MS);
      const start = performance.now();
      const send = request(`sender ${lane}`, 202, "POST", "/v1/messages", messageTo(address));
      const pulled = await pull;
      const milliseconds = performance.now() - start;
      await send;
      const { messages } = JSON.parse(`${pulled.body}`);
      if (messages.length === 0) throw new Error("a waiting pull came back empty");
      await request(`puller ${lane}`, 200, "POST", `${path}/ack`, { leaseTokens: [messages[0].leaseToken] });
      return { units: 1, milliseconds };
    },
    close,
  };
};

const INSERT = `
  insert into cams.messages (
    message_id, recipient_address, sender_address, message_type, payload, priority, time_to_live_seconds,
    accepted_at, rank_at, available_at, expires_at)
  values (
    uuidv7(), $1, 'sender@bench.example', 'message', '{}', 3, 604800,
    now(), now() + interval '120 s', now(), now() + interval '7 days')`;

/** The same by the driver alone: insert, notify, and the bare claim by whoever listens. */
export const viaPg: StartLoad<Options> = ({ url, firstInbox }) => {
  const lanes = new Map<number, Promise<pg.Client[]>>();

  /** A sender, a listener and a puller. */
  async function connect(lane: number): Promise<pg.Client[]> {
    const clients = [new pg.Client(url), new pg.Client(url), new pg.Client(url)];
    await Promise.all(clients.map((client) => client.connect()));
    await clients[1]?.query(`listen bench_${lane}`);
    return clients;
  }

  return {
    async once(lane) {
      const connected = lanes.get(lane) ?? connect(lane);
      lanes.set(lane, connected);
      const [sender, listener, puller] = (await connected) as [pg.Client, pg.Client, pg.Client];
      const address = addressOf(firstInbox + lane);
      await delay(WAITING_MS);
      const claimed = new Promise((resolve, reject) => {
        listener.once("notification", () => {
          puller.query({ name: "claim", text: CLAIM, values: [address, 1] }).then(resolve, reject);
        });
      });
      const start = performance.now();
      await sender.query({ name: "insert", text: INSERT, values: [address] });
      await sender.query(`notify bench_${lane}`);
      await claimed;
      return { units: 1, milliseconds: performance.now() - start };
    },
    async close() {
      for (const clients of lanes.values()) await Promise.all((await clients).map((client) => client.end()));
    },
  };
};
