import pg from "pg";
import { type Answer, type Connection, openConnection } from "./http.ts";

/** What one lane did at once; `milliseconds` where that is not simply how long it took. */
export interface Done {
  units: number;
  milliseconds?: number;
}

/** Load on something: lanes run side by side, each doing one thing after the other. */
export interface Load {
  /** Does one thing; none done (0 units) ends the lane's turn. */
  once(lane: number): Promise<Done>;
  close(): Promise<void>;
}

/** A load as a file of `bench/loads` exports it. */
export type StartLoad<O> = (options: O) => Load;

/** Requests over a connection of each lane's own; an answer of another status than `status` ends the benchmark. */
export function httpLanes(url: string) {
  const connections = new Map<number | string, Connection>();
  return {
    async request(
      lane: number | string,
      status: number,
      method: string,
      path: string,
      body?: unknown,
    ): Promise<Answer> {
      let connection = connections.get(lane);
      if (!connection || connection.isStale()) {
        connection?.close();
        connection = await openConnection(url);
        connections.set(lane, connection);
      }
      const answer = await connection.request(method, path, body);
      if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
      return answer;
    },
    async close() {
      for (const connection of connections.values()) connection.close();
    },
  };
}

/** A bare pool, as large as the service's. */
export function barePool(url: string): pg.Pool {
  return new pg.Pool({ connectionString: url, max: 8 });
}

/** A number from 1 to `count`. */
export function anyOf(count: number): number {
  return 1 + Math.floor(Math.random() * count);
}
