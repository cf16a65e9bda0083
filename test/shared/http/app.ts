import type { Server } from "node:http";
import { http } from "@google-cloud/functions-framework";
import { getTestServer } from "@google-cloud/functions-framework/testing";
import { expect, onTestFinished, vi } from "vitest";
import { type App, compose } from "../../../functions/compose.ts";
import { endpoints } from "../../../functions/index.ts";
import { listen } from "../../../scripts/listen.ts";
import { readConfig } from "../../../shared/config.ts";
import { defineEndpoint, type Endpoint } from "../../../shared/http/endpoint.ts";
import { takeOver } from "../../../shared/http/takeover.ts";
import { client, type Http } from "../../support/client.ts";
import { createDatabase } from "../../support/database.ts";
import { run } from "../../support/global-setup.ts";

/** A service with a configuration of its own, and with functions that no real service has. */
export interface TestApp extends Http {
  url: string;
  app: App;
  server: Server;
  /** Runs SQL past the service. */
  sql(statement: string): Promise<unknown[]>;
  /** Closes it as SIGTERM does, and looks at what is left. */
  close(look?: () => Promise<void>): Promise<void>;
}

interface Extra {
  env?: Record<string, string>;
  /** What `GET /test/{name}` does, by name. */
  does?: Record<string, (signal: AbortSignal) => Promise<unknown>>;
  /** Whole endpoints. */
  own?: Endpoint[];
}

/** Starts it; at the end of the test it is closed. */
export async function startApp({ env = {}, does = {}, own = [] }: Extra = {}): Promise<TestApp> {
  const database = await createDatabase();
  const app = await compose(readConfig({ AUTH_MODE: "none", LOG_LEVEL: "ERROR", ...env, DATABASE_URL: database.url }));
  const extra = Object.entries(does).map(([name, act]) =>
    defineEndpoint({
      name: `test-${name}`,
      method: "GET",
      path: `/test/${name}`,
      summary: "Does what a test wants",
      role: "public",
      status: 200,
      errors: [],
      handler: ({ signal }) => act(signal) as Promise<void>,
    }),
  );
  const handler = app.serve([...endpoints, ...extra, ...own]);
  http("test", handler);
  const server = getTestServer("test");
  takeOver(server, handler);
  const url = await listen(server, "127.0.0.1", 0);
  let closed: Promise<void> | undefined;
  const close = (look = async () => {}) => {
    closed ??= app.close(server).then(look).then(database.drop);
    return closed;
  };
  onTestFinished(() => close());
  return {
    ...client(url),
    url,
    app,
    server,
    sql: async (statement) => (await run(database.url, statement)).rows,
    close,
  };
}

/** Returns when so many requests wait, as the service itself counts them. */
export async function untilWaiting({ get }: Pick<Http, "get">, count: number): Promise<void> {
  await vi.waitFor(async () => {
    expect((await get("/metrics")).body).toContain(`\ncams_waiting_requests ${count}\n`);
  }, 10_000);
}

/** A promise, and what ends it. */
export function gate(): { opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}
