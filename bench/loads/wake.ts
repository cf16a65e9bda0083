import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { httpLanes, type StartLoad } from "../support/lanes.ts";
import { CLAIM } from "./pull.ts";
import { messageTo } from "./send.ts";

interface Options {
  url: string;
  /** An inbox that nobody else uses. */
  address: string;
}

/** Long enough for a pull to be waiting: it asked twice by then and found nothing. */
const WAITING_MS = 10;

/** From a send to the answer of the pull that waits for it. */
export const viaHttp: StartLoad<Options> = ({ url, address }) => {
  const { request, close } = httpLanes(url);
  const path = `/v1/agent-inboxes/${address}/messages`;
  return {
    async once() {
      const pull = request("puller", 200, "POST", `${path}/pull`, { waitSeconds: 20, maxMessages: 1 });
      await delay(WAITING_MS);
      const start = performance.now();
      const [pulled] = await Promise.all([pull, request("sender", 202, "POST", "/v1/messages", messageTo(address))]);
      const milliseconds = performance.now() - start;
      const { messages } = JSON.parse(`${pulled.body}`);
      if (messages.length === 0) throw new Error("a waiting pull came back empty");
      await request("puller", 200, "POST", `${path}/ack`, { leaseTokens: [messages[0].leaseToken] });
      return { units: 1, milliseconds };
    },
    close,
  };
};

/** The same by the driver alone: insert, notify, and the bare claim by whoever listens. */
export const viaPg: StartLoad<Options> = ({ url, address }) => {
  const [sender, listener, puller] = [new pg.Client(url), new pg.Client(url), new pg.Client(url)];
  const connected = Promise.all([sender, listener, puller].map((client) => client.connect())).then(() =>
    listener.query("listen bench"),
  );
  const INSERT = `
    insert into cams.messages (
      message_id, recipient_address, sender_address, message_type, payload, priority, time_to_live_seconds,
      accepted_at, rank_at, available_at, expires_at)
    values (uuidv7(), $1, 'sender@bench.example', 'message', '{}', 3, 604800, now(), now(), now(), now() + interval '1 d')`;
  return {
    async once() {
      await connected;
      await delay(WAITING_MS);
      const claimed = new Promise((resolve, reject) => {
        listener.once("notification", () => {
          puller.query({ name: "claim", text: CLAIM, values: [address, 1] }).then(resolve, reject);
        });
      });
      const start = performance.now();
      await sender.query({ name: "insert", text: INSERT, values: [address] });
      await sender.query("notify bench");
      await claimed;
      return { units: 1, milliseconds: performance.now() - start };
    },
    async close() {
      await Promise.all([sender, listener, puller].map((client) => client.end()));
    },
  };
};
