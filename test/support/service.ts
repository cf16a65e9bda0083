import { randomBytes } from "node:crypto";
import { http } from "@google-cloud/functions-framework";
import { getTestServer } from "@google-cloud/functions-framework/testing";
import pg from "pg";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { type App, compose } from "../../functions/compose.ts";
import { endpoints } from "../../functions/index.ts";
import { listen } from "../../scripts/listen.ts";
import { readConfig } from "../../shared/config.ts";
import { takeOver } from "../../shared/http/takeover.ts";
import { client, type Http } from "./client.ts";
import { createDatabase, type TestDatabase } from "./database.ts";

/** The whole service as it is deployed, over a database of its own. */
export interface Service extends Http {
  url: string;
  databaseUrl: string;
  app: App;
  /** Runs SQL past the service, as the owner of everything. */
  sql<T extends pg.QueryResultRow>(text: string | pg.QueryConfig, values?: unknown[]): Promise<T[]>;
  close(): Promise<void>;
}

const defaults = {
  AUTH_MODE: "none",
  LOG_LEVEL: "ERROR",
  DB_POOL_SIZE: "10",
  SECRETS_KEY: randomBytes(32).toString("base64"),
  ALLOW_INSECURE_DESTINATIONS: "true",
  DELIVER_SECONDS: "0",
};

/** Starts a service; `env` overrides its configuration. */
export async function startService(env: Record<string, string> = {}, database?: TestDatabase): Promise<Service> {
  const own = database ?? (await createDatabase());
  // Through the Cloud SQL connector the same database is reached another way.
  const direct = env.INSTANCE_CONNECTION_NAME ? {} : { DATABASE_URL: own.url };
  const config = readConfig({ ...defaults, ...env, ...direct });
  const app = await compose(config);
  const handler = app.serve(endpoints);
  http("cams", handler);
  const server = getTestServer("cams");
  takeOver(server, handler);
  const url = await listen(server, "127.0.0.1", 0);
  const pool = new pg.Pool({ connectionString: own.url, max: 2 });
  pool.on("error", () => {});
  return {
    ...client(url),
    url,
    databaseUrl: own.url,
    app,
    sql: async (text, values) => (await pool.query(text, values)).rows,
    async close() {
      await app.close(server);
      await pool.end();
      if (!database) await own.drop();
    },
  };
}

/** A service for every test of this file; rows are deleted before each. */
export function useService(
  env: Record<string, string> | (() => Record<string, string>) = {},
  dress: (service: Service) => Service = (service) => service,
): Service {
  const holder: { service?: Service } = {};
  beforeAll(async () => {
    holder.service = dress(await startService(typeof env === "function" ? env() : env));
  });
  beforeEach(async () => {
    // As a replica does it, without triggers: what is deleted here is no decision of anybody's.
    await holder.service?.sql(`
      begin; set local session_replication_role = replica;
      delete from cams.messages; delete from cams.message_archive; delete from cams.message_keys;
      delete from cams.idempotency_keys; delete from cams.health_transitions; delete from cams.webhook_secrets;
      delete from cams.tasks; delete from cams.task_dependencies; delete from cams.task_archive;
      delete from cams.definition_costs; delete from cams.budget_notices;
      delete from cams.schedules; delete from cams.schedule_runs; delete from cams.events; delete from cams.event_keys;
      delete from cams.agents; delete from cams.agent_transitions;
      delete from cams.agent_inboxes; delete from cams.subscriptions; delete from cams.definition_versions;
      delete from cams.definitions; delete from cams.api_keys; delete from cams.principals;
      delete from cams.migrations where name like '9999%';
      -- The head first: a request that its test did not wait for may still commit an entry, and holds it meanwhile.
      delete from cams.audit_head; delete from cams.audit_log;
      insert into cams.audit_head (sequence, hash) values (0, decode(repeat('00', 32), 'hex'));
      commit`);
  });
  afterAll(async () => {
    await holder.service?.close();
  });
  return new Proxy({} as Service, {
    get: (_, key) => {
      if (!holder.service) throw new Error("the service starts before the first test");
      return holder.service[key as keyof Service];
    },
  });
}
