import prom from "prom-client";
import { expect, test } from "vitest";
import { createMetrics } from "../../shared/metrics/index.ts";

/** Prometheus text as `name{labels}` → value; fails on any line that is not of the format. */
function parse(text: string): Map<string, number> {
  const figures = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || /^# (HELP|TYPE) [a-z_][a-z0-9_]* \S/i.test(line)) continue;
    const parts = /^([a-z_][a-z0-9_]*(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)+\})?) (-?[0-9.e+-]+|Nan|[+-]Inf)$/i.exec(
      line,
    );
    if (!parts?.[1] || figures.has(parts[1])) throw new Error(`not Prometheus text, or twice: ${line}`);
    figures.set(parts[1], Number(parts[2]));
  }
  return figures;
}

test("counts each request under its function, method and status", async () => {
  const metrics = createMetrics();
  metrics.request("inboxes-get", "GET", 200, 0.0009);
  metrics.request("inboxes-get", "GET", 200, 0.3);
  metrics.request("inboxes-get", "GET", 404, 60);
  const figures = parse(await metrics.render());
  expect(figures.get('cams_requests_total{function="inboxes-get",method="GET",status="200"}')).toBe(2);
  expect(figures.get('cams_requests_total{function="inboxes-get",method="GET",status="404"}')).toBe(1);
});

test("buckets of durations are cumulative, up to one that holds everything", async () => {
  const metrics = createMetrics();
  for (const seconds of [0.001, 0.0011, 0.3, 60]) metrics.request("a", "GET", 200, seconds);
  const figures = parse(await metrics.render());
  const bucket = (le: string) => figures.get(`cams_request_duration_seconds_bucket{function="a",le="${le}"}`);
  expect(["0.001", "0.0025", "0.25", "0.5", "10", "+Inf"].map(bucket)).toEqual([1, 2, 2, 3, 3, 4]);
  expect(figures.get('cams_request_duration_seconds_count{function="a"}')).toBe(4);
  expect(figures.get('cams_request_duration_seconds_sum{function="a"}')).toBeCloseTo(60.3021);
});

test("every metric has its name, labels and type", async () => {
  const metrics = createMetrics();
  metrics.statement("inboxes.get", "ok", 0.002);
  metrics.message("delivered", 3);
  metrics.task("COMPLETED", 2);
  metrics.inboxBacklog(7);
  metrics.oldestMessageAge(12.5);
  metrics.eventsHeldBack(0.25);
  metrics.lookup("found", 64);
  metrics.healthReport("healthy");
  metrics.poolConnections("busy", 2);
  metrics.takeover("server");
  metrics.waitingRequests(9);
  const text = await metrics.render();
  const figures = parse(text);
  const ours = [...figures].filter(([name]) => name.startsWith("cams_") && !name.includes("_bucket"));
  expect(Object.fromEntries(ours)).toEqual({
    'cams_db_operations_total{operation="inboxes.get",outcome="ok"}': 1,
    'cams_db_operation_duration_seconds_sum{operation="inboxes.get"}': 0.002,
    'cams_db_operation_duration_seconds_count{operation="inboxes.get"}': 1,
    'cams_messages_total{status="delivered"}': 3,
    'cams_tasks_total{state="COMPLETED"}': 2,
    cams_inbox_backlog: 7,
    cams_oldest_message_age_seconds: 12.5,
    cams_events_held_back_seconds: 0.25,
    'cams_lookups_total{result="found"}': 64,
    'cams_health_reports_total{status="healthy"}': 1,
    'cams_pool_connections{state="busy"}': 2,
    'cams_takeover_total{path="server"}': 1,
    cams_waiting_requests: 9,
  });
  const types = Object.fromEntries(
    Array.from(text.matchAll(/^# TYPE (cams_\S+) (\S+)$/gm), ([, name, type]) => [name, type]),
  );
  expect(types).toEqual({
    cams_requests_total: "counter",
    cams_request_duration_seconds: "histogram",
    cams_db_operations_total: "counter",
    cams_db_operation_duration_seconds: "histogram",
    cams_messages_total: "counter",
    cams_tasks_total: "counter",
    cams_inbox_backlog: "gauge",
    cams_oldest_message_age_seconds: "gauge",
    cams_events_held_back_seconds: "gauge",
    cams_lookups_total: "counter",
    cams_delivery_attempt_duration_seconds: "histogram",
    cams_delivery_attempts_total: "counter",
    cams_health_reports_total: "counter",
    cams_pool_connections: "gauge",
    cams_takeover_total: "counter",
    cams_waiting_requests: "gauge",
  });
});

test("rendering twice counts nothing twice, and a gauge follows down", async () => {
  const metrics = createMetrics();
  metrics.lookup("found");
  metrics.inboxBacklog(5);
  await metrics.render();
  metrics.inboxBacklog(2);
  const figures = parse(await metrics.render());
  expect(figures.get('cams_lookups_total{result="found"}')).toBe(1);
  expect(figures.get("cams_inbox_backlog")).toBe(2);
});

test("a label value with quotes, backslashes and line ends stays one value", async () => {
  const metrics = createMetrics();
  metrics.lookup('a"b\\c\nd');
  expect(parse(await metrics.render()).get('cams_lookups_total{result="a\\"b\\\\c\\nd"}')).toBe(1);
});

test("what is known only by asking is asked before each rendering", async () => {
  const metrics = createMetrics();
  let backlog = 0;
  metrics.beforeRender(async () => metrics.inboxBacklog(++backlog));
  await metrics.render();
  expect(parse(await metrics.render()).get("cams_inbox_backlog")).toBe(2);
});

test("metrics are rendered although asking fails", async () => {
  const metrics = createMetrics();
  metrics.inboxBacklog(4);
  metrics.beforeRender(() => {
    throw new Error("the database does not answer");
  });
  expect(parse(await metrics.render()).get("cams_inbox_backlog")).toBe(4);
});

test("two sets of metrics share nothing, not even prom-client's registry", async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.lookup("found");
  const [, figures] = await Promise.all([one.render(), other.render().then(parse)]);
  expect(figures.has('cams_lookups_total{result="found"}')).toBe(false);
  expect(prom.register.getMetricsAsArray()).toEqual([]);
});

test("the process itself is described, in the media type Prometheus expects", async () => {
  const metrics = createMetrics();
  const figures = parse(await metrics.render());
  expect(figures.get("process_resident_memory_bytes")).toBeGreaterThan(1e6);
  expect(figures.has("nodejs_eventloop_lag_p99_seconds")).toBe(true);
  expect(metrics.contentType).toBe(prom.Registry.PROMETHEUS_CONTENT_TYPE);
});

test("what an alert is made of is told to the log, once or as often as it happens", async () => {
  const lines: unknown[] = [];
  const metrics = createMetrics({ warning: (message, fields) => void lines.push([message, fields]) });
  metrics.message("DELIVERED", 2);
  metrics.message("DEAD_LETTERED", 0);
  metrics.takeover("server");
  expect(lines).toEqual([]);
  metrics.message("DEAD_LETTERED", 3);
  metrics.message("DEAD_LETTERED");
  expect(lines).toEqual([3, 1].map((deadLettered) => ["messages dead-lettered", { deadLettered }]));
  metrics.takeover("framework");
  metrics.takeover("framework");
  expect(lines.slice(2)).toEqual([["requests come by the framework's own path, which is slower", undefined]]);
});
