import { anyOf, barePool, httpLanes, type StartLoad } from "../support/lanes.ts";
import { addressOf } from "../support/rows.ts";

interface Options {
  url: string;
  inboxes: number;
}

/** A decision over an inbox, each time another one: `inboxes-update`. */
export const viaHttp: StartLoad<Options> = ({ url, inboxes }) => {
  const { request, close } = httpLanes(url);
  let turn = 0;
  return {
    async once(lane) {
      const path = `/v1/agent-inboxes/${addressOf(anyOf(inboxes))}`;
      await request(lane, 200, "PUT", path, { description: `decision ${++turn}` });
      return { units: 1 };
    },
    close,
  };
};

/** The same change by the driver alone, in a transaction of its own. */
export const viaPg: StartLoad<Options> = ({ url, inboxes }) => {
  const pool = barePool(url);
  let turn = 0;
  return {
    async once() {
      await pool.query({
        name: "decide",
        text: "update cams.agent_inboxes set description = $1, revision = revision + 1 where ai_agent_address = $2",
        values: [`decision ${++turn}`, addressOf(anyOf(inboxes))],
      });
      return { units: 1 };
    },
    close: () => pool.end(),
  };
};
