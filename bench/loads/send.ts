import { anyOf, barePool, httpLanes, type StartLoad } from "../support/lanes.ts";
import { addressOf } from "../support/rows.ts";

const INSERT = `
  insert into cams.messages (
    message_id, recipient_address, sender_address, message_type, payload, priority, time_to_live_seconds,
    accepted_at, rank_at, available_at, expires_at)
  values (
    uuidv7(), $1, $2, 'message', $3, 3, 604800,
    now(), now() + interval '120 s', now(), now() + interval '7 days')`;

const SENDER = "sender@bench.example";
/** About 200 bytes, as an agent's short request. */
const PAYLOAD = { task: "summarise", document: "projects/bench/documents/4711", words: 250, notes: "n".repeat(120) };

interface Options {
  url: string;
  inboxes: number;
}

/** The body of a send to one of so many inboxes. */
export const messageTo = (recipientAddress: string) => ({ recipientAddress, senderAddress: SENDER, payload: PAYLOAD });

/** `messages-send`, each to any of the inboxes. */
export const viaHttp: StartLoad<Options> = ({ url, inboxes }) => {
  const { request, close } = httpLanes(url);
  return {
    async once(lane) {
      await request(lane, 202, "POST", "/v1/messages", messageTo(addressOf(anyOf(inboxes))));
      return { units: 1 };
    },
    close,
  };
};

/** One such row into the same table for each commit, unchecked, by the driver alone. */
export const viaPg: StartLoad<Options> = ({ url, inboxes }) => {
  const pool = barePool(url);
  const payload = JSON.stringify(PAYLOAD);
  return {
    async once() {
      await pool.query({ name: "insert", text: INSERT, values: [addressOf(anyOf(inboxes)), SENDER, payload] });
      return { units: 1 };
    },
    close: () => pool.end(),
  };
};
