import { anyOf, barePool, httpLanes, type StartLoad } from "../support/lanes.ts";
import { addressOf } from "../support/rows.ts";

/** The least a report can do: by primary key, no column that is indexed, nothing answered. */
const UPDATE = `
  update cams.agent_inboxes
  set last_health_check_timestamp = now(), expected_by = now() + interval '60 s'
  where ai_agent_address = any($1::text[])`;

interface Options {
  url: string;
  inboxes: number;
  batch: number;
}

/** `health-report`, or `health-report-batch` when a batch is more than one. */
export const viaHttp: StartLoad<Options> = ({ url, inboxes, batch }) => {
  const { request, close } = httpLanes(url);
  const path = batch > 1 ? "/v1/agent-health-check/batch" : "/v1/agent-health-check";
  return {
    async once(lane) {
      const reports = neighbours(inboxes, batch).map((aiAgentAddress) => ({ aiAgentAddress, status: "HEALTHY" }));
      await request(lane, 200, "POST", path, batch > 1 ? { reports } : reports[0]);
      return { units: batch };
    },
    close,
  };
};

/** The bare update by the driver alone. */
export const viaPg: StartLoad<Options> = ({ url, inboxes, batch }) => {
  const pool = barePool(url);
  return {
    async once() {
      const values = [neighbours(inboxes, batch).toSorted()];
      return { units: (await pool.query({ name: "update", text: UPDATE, values })).rowCount ?? 0 };
    },
    close: () => pool.end(),
  };
};

/** Different addresses, so many, from anywhere. */
function neighbours(inboxes: number, count: number): string[] {
  const first = anyOf(inboxes - count + 1);
  return Array.from({ length: count }, (_, at) => addressOf(first + at));
}
