import { Agent, request } from "node:http";
import { barePool, type StartLoad } from "../support/lanes.ts";
import { addressOf } from "../support/rows.ts";
import { CLAIM } from "./pull.ts";

interface Options {
  url: string;
  receiver: string;
  inboxes: number;
  batch: number;
}

/** Takes a batch out of the table and posts it, all at once, over kept connections: no lease, no receipt, no signature. */
export const viaPg: StartLoad<Options> = ({ url, receiver, inboxes, batch }) => {
  const pool = barePool(url);
  const agent = new Agent({ keepAlive: true });
  const post = (body: string) =>
    new Promise<void>((resolve, reject) => {
      const req = request(receiver, { method: "POST", agent, headers: { "content-length": Buffer.byteLength(body) } });
      req.on("response", (res) => res.resume().on("end", resolve));
      req.on("error", reject).end(body);
    });
  return {
    async once(lane) {
      const values = [addressOf(1 + (lane % inboxes)), batch];
      const { rows } = await pool.query({ name: "claim", text: CLAIM, values });
      await Promise.all(rows.map((row) => post(JSON.stringify(row))));
      return { units: rows.length };
    },
    async close() {
      agent.destroy();
      await pool.end();
    },
  };
};
