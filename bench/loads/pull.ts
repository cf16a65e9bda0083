import { barePool, httpLanes, type StartLoad } from "../support/lanes.ts";
import { addressOf } from "../support/rows.ts";

/** Claims and forgets: no lease, no second statement, no archive. */
export const CLAIM = `
  with due as materialized (
    select m.message_id from cams.messages m
    where m.recipient_address = $1 and not m.blocked and m.rank_at <= now() + interval '180 s'
      and m.available_at <= now() and m.ends_at > now()
    order by m.rank_at, m.seq
    limit $2
    for update skip locked
  )
  delete from cams.messages m using due where m.message_id = due.message_id returning m.*`;

interface Options {
  url: string;
  inboxes: number;
  batch: number;
}

/** Pulls a batch and acknowledges it; lanes share the inboxes among them. */
export const viaHttp: StartLoad<Options> = ({ url, inboxes, batch }) => {
  const { request, close } = httpLanes(url);
  return {
    async once(lane) {
      const path = `/v1/agent-inboxes/${addressOf(1 + (lane % inboxes))}/messages`;
      const pulled = await request(lane, 200, "POST", `${path}/pull`, { maxMessages: batch });
      const { messages } = JSON.parse(`${pulled.body}`);
      if (messages.length === 0) return { units: 0 };
      const leaseTokens = messages.map(({ leaseToken }: { leaseToken: string }) => leaseToken);
      await request(lane, 200, "POST", `${path}/ack`, { leaseTokens });
      return { units: messages.length };
    },
    close,
  };
};

/** The bare claim by the driver alone. */
export const viaPg: StartLoad<Options> = ({ url, inboxes, batch }) => {
  const pool = barePool(url);
  return {
    async once(lane) {
      const values = [addressOf(1 + (lane % inboxes)), batch];
      return { units: (await pool.query({ name: "claim", text: CLAIM, values })).rowCount ?? 0 };
    },
    close: () => pool.end(),
  };
};
