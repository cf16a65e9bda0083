import { anyOf, barePool, httpLanes, type StartLoad } from "../support/lanes.ts";
import { addressOf } from "../support/rows.ts";

/** Written out here and not taken from the repository: a yardstick that moves with what it measures is none. */
const SELECT = `
  select i.ai_agent_address, i.inbox_destination_type, i.inbox_name, i.status, i.admin_status, i.health_status,
    i.quarantined_at, i.description, i.owner_team, i.heartbeat_interval_seconds, i.max_delivery_attempts,
    i.last_health_check_timestamp, i.registration_timestamp, i.last_updated_timestamp, i.updated_by, i.revision,
    (select count(*) from (
      select from cams.messages m where m.recipient_address = i.ai_agent_address and m.ends_at > now() limit 1000
    ) counted) as pending
  from cams.agent_inboxes i
  where i.ai_agent_address = $1`;

interface Options {
  url: string;
  inboxes: number;
}

/** `inboxes-get` of any of so many inboxes. */
export const viaHttp: StartLoad<Options> = ({ url, inboxes }) => {
  const { request, close } = httpLanes(url);
  return {
    async once(lane) {
      await request(lane, 200, "GET", `/v1/agent-inboxes/${addressOf(anyOf(inboxes))}`);
      return { units: 1 };
    },
    close,
  };
};

/** The same select, named and prepared, by the driver alone. */
export const viaPg: StartLoad<Options> = ({ url, inboxes }) => {
  const pool = barePool(url);
  return {
    async once() {
      const { rows } = await pool.query({ name: "lookup", text: SELECT, values: [addressOf(anyOf(inboxes))] });
      return { units: rows.length };
    },
    close: () => pool.end(),
  };
};
