import type { Logger } from "../logging/index.ts";
import { openRegistry } from "./render.ts";
import { Durations, Numbers } from "./series.ts";

/** What connections of the pool do; `waiting` counts requests for one that wait. */
export type PoolState = "idle" | "busy" | "waiting";

/** Counts what the process does. Counting is an increment; names, types and text are made when somebody reads them. */
export interface Metrics {
  /** A request answered: by which function, with what status, after how many seconds. */
  request(functionName: string, method: string, status: number, seconds: number): void;
  /** A database operation ended, well or not, after so many seconds. */
  statement(operation: string, outcome: string, seconds: number): void;
  /** Messages that reached a status. */
  message(status: string, count?: number): void;
  /** Tasks that reached a state. */
  task(state: string, count?: number): void;
  /** An attempt to deliver ended, well or not, after so many seconds; a publish of many messages is one. */
  deliveryAttempt(destinationType: string, outcome: string, seconds: number): void;
  /** Messages that wait in all inboxes together. */
  inboxBacklog(messages: number): void;
  /** Age of the message that has waited longest. */
  oldestMessageAge(seconds: number): void;
  /** For how long an event has been in the log that followers do not get yet, behind an unfinished transaction. */
  eventsHeldBack(seconds: number): void;
  /** Look-ups by result: found, or why not. */
  lookup(result: string, count?: number): void;
  /** Health reports by the status they report. */
  healthReport(status: string, count?: number): void;
  /** Connections of the database pool in a state, now. */
  poolConnections(state: PoolState, connections: number): void;
  /** Requests by the path that served them: taken over at the server, or through the framework. */
  takeover(path: string): void;
  /** Requests that wait for something to arrive, now. */
  waitingRequests(requests: number): void;
  /** Runs before each `render`, to set what is only known by asking; if it fails, its figures stay as they were. */
  beforeRender(ask: () => void | Promise<void>): void;
  /** Everything, in Prometheus' text format. */
  render(): Promise<string>;
  /** The media type of what `render` gives. */
  readonly contentType: string;
}

// A look-up takes 1 ms, a durable send 2 to 10, a statement is slow at 50 and ended at 5 s.
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const numbers = (name: string, help: string, ...labelNames: string[]) => new Numbers({ name, help, labelNames });
const durations = (name: string, help: string, label: string) =>
  new Durations({ name, help, labelNames: [label] }, buckets);

/**
 * Metrics of one process, all at zero. What an alert is made of is told to `log` too: nobody reads the figures of an
 * instance that is gone a minute later.
 */
export function createMetrics(log?: Pick<Logger, "warning">): Metrics {
  const requests = numbers("cams_requests_total", "Requests answered.", "function", "method", "status");
  const requestDurations = durations("cams_request_duration_seconds", "Time to answer a request.", "function");
  const operations = numbers("cams_db_operations_total", "Database operations ended.", "operation", "outcome");
  const operationDurations = durations(
    "cams_db_operation_duration_seconds",
    "Time of a database operation.",
    "operation",
  );
  const messages = numbers("cams_messages_total", "Messages that reached a status.", "status");
  const tasks = numbers("cams_tasks_total", "Tasks that reached a state.", "state");
  const attempts = numbers("cams_delivery_attempts_total", "Attempts to deliver ended.", "destination_type", "outcome");
  const attemptDurations = durations(
    "cams_delivery_attempt_duration_seconds",
    "Time of an attempt to deliver.",
    "destination_type",
  );
  const backlog = numbers("cams_inbox_backlog", "Messages that wait in all inboxes.");
  const oldest = numbers("cams_oldest_message_age_seconds", "Age of the message that has waited longest.");
  const heldBack = numbers("cams_events_held_back_seconds", "Age of the oldest event that followers do not get yet.");
  const lookups = numbers("cams_lookups_total", "Look-ups of inboxes by result.", "result");
  const reports = numbers("cams_health_reports_total", "Health reports by reported status.", "status");
  const pool = numbers("cams_pool_connections", "Connections of the database pool.", "state");
  const takeovers = numbers("cams_takeover_total", "Requests by the path that served them.", "path");
  const waiting = numbers("cams_waiting_requests", "Requests that wait for something to arrive.");

  const series = {
    counters: [requests, operations, messages, tasks, attempts, lookups, reports, takeovers],
    gauges: [backlog, oldest, heldBack, pool, waiting],
    histograms: [requestDurations, operationDurations, attemptDurations],
  };
  const asked: (() => void | Promise<void>)[] = [];
  let told = false;
  let registry: ReturnType<typeof openRegistry> | undefined;

  return {
    request(functionName, method, status, seconds) {
      requests.add(1, functionName, method, status);
      requestDurations.observe(seconds, functionName);
    },
    statement(operation, outcome, seconds) {
      operations.add(1, operation, outcome);
      operationDurations.observe(seconds, operation);
    },
    message(status, count = 1) {
      messages.add(count, status);
      if (status === "DEAD_LETTERED" && count > 0) log?.warning("messages dead-lettered", { deadLettered: count });
    },
    task: (state, count = 1) => tasks.add(count, state),
    deliveryAttempt(destinationType, outcome, seconds) {
      attempts.add(1, destinationType, outcome);
      attemptDurations.observe(seconds, destinationType);
    },
    inboxBacklog: (count) => backlog.set(count),
    oldestMessageAge: (seconds) => oldest.set(seconds),
    eventsHeldBack: (seconds) => heldBack.set(seconds),
    lookup: (result, count = 1) => lookups.add(count, result),
    healthReport: (status, count = 1) => reports.add(count, status),
    poolConnections: (state, connections) => pool.set(connections, state),
    takeover(path) {
      takeovers.add(1, path);
      if (path === "framework" && !told) log?.warning("requests come by the framework's own path, which is slower");
      told ||= path === "framework";
    },
    waitingRequests: (count) => waiting.set(count),
    beforeRender: (ask) => void asked.push(ask),
    async render() {
      registry ??= openRegistry(series);
      await Promise.allSettled(asked.map(async (ask) => ask()));
      return (await registry).metrics();
    },
    contentType: "text/plain; version=0.0.4; charset=utf-8",
  };
}
