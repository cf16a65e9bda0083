import { anyOf, barePool, httpLanes, type StartLoad } from "../support/lanes.ts";

interface Options {
  url: string;
  /** A query of `agents-list`; each `#` becomes a number from 0 to 499. */
  query: string;
}

const filled = (text: string) => text.replaceAll("#", `${anyOf(500) - 1}`);

/** One page of a search. */
export const viaHttp: StartLoad<Options> = ({ url, query }) => {
  const { request, close } = httpLanes(url);
  return {
    async once(lane) {
      await request(lane, 200, "GET", `/v1/agents?pageSize=50&${filled(query)}`);
      return { units: 1 };
    },
    close,
  };
};

const PAGE = `
  select a.*, i.* from cams.agents a join cams.agent_inboxes i using (ai_agent_address)
  where a.type = $1 order by a.created_at desc, a.agent_id desc limit 51`;

/** A page of one type by the driver alone. */
export const viaPg: StartLoad<Options> = ({ url }) => {
  const pool = barePool(url);
  return {
    async once() {
      await pool.query({ name: "page", text: PAGE, values: [filled("type-#")] });
      return { units: 1 };
    },
    close: () => pool.end(),
  };
};
