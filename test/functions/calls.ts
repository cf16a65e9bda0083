import pg from "pg";
import { expect } from "vitest";
import { makerFor } from "../support/make.ts";
import type { Service } from "../support/service.ts";

type Fields = Record<string, unknown>;

/** The calls these tests repeat, over HTTP; answers are left to the test to judge. */
export function callsFor(service: Service) {
  const inbox = (address: string) => `/v1/agent-inboxes/${address}`;
  return {
    ...makerFor(service),
    inboxOf: async (address: string) => (await service.get(inbox(address))).body,
    update: (address: string, fields: Fields, headers?: Record<string, string>) =>
      service.put(inbox(address), fields, headers),
    messageOf: async (id: string) => (await service.get(`/v1/messages/${id}`)).body,
    send: (fields: Fields, headers?: Record<string, string>) =>
      service.post("/v1/messages", { senderAddress: "sender@corp.example", payload: { n: 1 }, ...fields }, headers),
    sendBatch: (messages: Fields[], headers?: Record<string, string>) =>
      service.post(
        "/v1/messages/batch",
        {
          messages: messages.map((fields) => ({ senderAddress: "sender@corp.example", payload: { n: 1 }, ...fields })),
        },
        headers,
      ),
    cancel: (id: string) => service.post(`/v1/messages/${id}/cancel`),
    /** As `pull`, with the whole answer. */
    pulled: (address: string, fields: Fields = {}) => service.post(`${inbox(address)}/messages/pull`, fields),
    ack: (address: string, ...leaseTokens: string[]) => service.post(`${inbox(address)}/messages/ack`, { leaseTokens }),
    nack: (address: string, leaseTokens: string[], fields: Fields = {}) =>
      service.post(`${inbox(address)}/messages/nack`, { leaseTokens, ...fields }),
    extend: (address: string, leaseTokens: string[], leaseSeconds = 60) =>
      service.post(`${inbox(address)}/messages/extend`, { leaseTokens, leaseSeconds }),
    report: (aiAgentAddress: string, status = "HEALTHY", fields: Fields = {}) =>
      service.post("/v1/agent-health-check", { aiAgentAddress, status, ...fields }),
    /** How many requests wait for a message now. */
    async waiting(): Promise<number> {
      const { body } = await service.get("/metrics");
      return Number(/^cams_waiting_requests (\d+)/m.exec(body)?.[1] ?? 0);
    },
    /** Statements that failed, deadlocks that were retried in silence among them. */
    async failedStatements(): Promise<string[]> {
      const { body } = await service.get("/metrics");
      return body.match(/^cams_db_operations_total\{.*outcome="error".*$/gm) ?? [];
    },
    /** Registers a webhook at a URL. */
    webhook: (inboxName: string, fields: Fields = {}) =>
      makerFor(service).inbox({ inboxDestinationType: "HTTP_ENDPOINT", inboxName, ...fields }),
    /** Sends a message to an address; answers its id. */
    sendTo: async (recipientAddress: string, fields: Fields = {}): Promise<string> =>
      (await makerFor(service).message({ recipientAddress, ...fields })).messageId,
    /** Runs the dispatcher; answers its counts. */
    deliver: async () => (await service.post("/v1/messages/deliver")).body,
    rotate: (address: string, headers?: Record<string, string>) =>
      service.post(`${inbox(address)}/rotate-secret`, undefined, headers),
    redrive: async (address: string, messageIds?: string[]) =>
      (await service.post(`${inbox(address)}/messages/redrive`, messageIds ? { messageIds } : {})).body.redriven,
    /** Ends the pause of every inbox that fails. */
    unpause: () => service.sql("update cams.agent_inboxes set delivery_paused_until = now()"),
    sweep: (query = "") => service.post(`/v1/agent-health-sweep${query}`),

    /** Ends every lease now, as time would. */
    lapse: () =>
      service.sql("update cams.messages set available_at = now() - interval '1 s' where lease_token is not null"),
    /** Ends the waiting of whatever is delayed or backs off. */
    becomeDue: () => service.sql("update cams.messages set available_at = now() where lease_token is null"),
    /** Brings the end of life of live messages (all, or one) into the past. */
    expire: (id?: string) =>
      service.sql(
        "update cams.messages set expires_at = now() - interval '1 s' where $1::uuid in (message_id) is not false",
        [id ?? null],
      ),
    quarantine: (address: string) =>
      service.sql("update cams.agent_inboxes set quarantined_at = now() where ai_agent_address = $1", [address]),
    /** Lets time pass for an inbox that reports: its deadlines move into the past. */
    silence: (seconds: number, address?: string) =>
      service.sql(
        `update cams.agent_inboxes set expected_by = expected_by - make_interval(secs => $1::float8),
           sweep_after = sweep_after - make_interval(secs => $1::float8)
         where $2::text in (ai_agent_address) is not false`,
        [seconds, address ?? null],
      ),
  };
}

/** What every one of `n` calls at once answered. */
export function atOnce<T>(n: number, call: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: n }, (_, index) => call(index)));
}

/** Every item of a list, page by page. */
// biome-ignore lint/suspicious/noExplicitAny: what is in it is what a test asserts
export async function allPages(service: Service, path: string, afterEach?: () => Promise<unknown>): Promise<any[]> {
  const items = [];
  for (let token: string | undefined = ""; token !== undefined; ) {
    const query: string = token && `${path.includes("?") ? "&" : "?"}pageToken=${encodeURIComponent(token)}`;
    const { body } = await service.get(path + query);
    items.push(...body.items);
    token = body.nextPageToken;
    await afterEach?.();
  }
  return items;
}

/** Runs `work` while another session holds what the statement `lock` takes, until it is released. */
export async function whileHeld(
  service: Service,
  lock: string,
  values: unknown[],
  work: (release: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const holder = new pg.Client(service.databaseUrl);
  await holder.connect();
  try {
    await holder.query("begin");
    await holder.query(lock, values);
    await work(() => holder.query("commit"));
  } finally {
    await holder.end();
  }
}

/** Resolves when so many sessions of the database wait for a lock. */
export async function sessionsWait({ sql }: Service, sessions: number): Promise<void> {
  const waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
  await expect.poll(() => sql(waiting), { interval: 2 }).toHaveLength(sessions);
}
