import { barePool, httpLanes, type StartLoad } from "../support/lanes.ts";
import { addressOf } from "../support/rows.ts";

interface Options {
  url: string;
}

/** About 200 bytes, as an alert. */
const DATA = { device: "stb-4711", severity: "critical", seconds: 312, notes: "n".repeat(120) };
export const TYPE = "alert.blackscreen";

/** `events-publish` in the plain form. */
export const viaHttp: StartLoad<Options> = ({ url }) => {
  const { request, close } = httpLanes(url);
  return {
    async once(lane) {
      await request(lane, 202, "POST", "/v1/events", { type: TYPE, payload: DATA });
      return { units: 1 };
    },
    close,
  };
};

const INSERT = `
  with event as (
    insert into cams.events (event_id, published_at, published_by, source, id, type, time, datacontenttype, data, priority,
      routed, messages)
    values (uuidv7(), now(), 'bench', '/bench', gen_random_uuid(), $1, now(), 'application/json', $2, 3, true, 3)
    returning event_id
  )
  insert into cams.messages (
    message_id, recipient_address, sender_address, message_type, payload, priority, time_to_live_seconds,
    accepted_at, rank_at, available_at, expires_at)
  select uuidv7(), address, 'cams', $1, $2, 3, 604800, now(), now() + interval '120 s', now(), now() + interval '7 days'
  from event, unnest($3::text[]) address`;

/** The same rows in one commit, unmatched, by the driver alone: an event and a message to three inboxes. */
export const viaPg: StartLoad<Options> = ({ url }) => {
  const pool = barePool(url);
  const values = [TYPE, JSON.stringify(DATA), [1, 2, 3].map(addressOf)];
  return {
    async once() {
      await pool.query({ name: "insert", text: INSERT, values });
      return { units: 1 };
    },
    close: () => pool.end(),
  };
};
