import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { googleSink } from "../../shared/logging/google.ts";
import {
  createLogger,
  type Fields,
  type Logger,
  type RequestContext,
  runWithContext,
} from "../../shared/logging/index.ts";
import { lineOf } from "../../shared/logging/line.ts";
import { renderText } from "../../shared/logging/text.ts";

type Options = Partial<Parameters<typeof createLogger>[0]>;

function logTo(options: Options = {}) {
  const lines: string[] = [];
  const log = createLogger({
    level: "DEBUG",
    transport: "console",
    format: "json",
    write: (line) => lines.push(line),
    ...options,
  });
  return { log, lines, entries: () => lines.map((line) => JSON.parse(line)).filter(isOurs) };
}

// logging-winston says once in a process who it is.
const isOurs = (entry: object) => !("logging.googleapis.com/diagnostic" in entry);

const httpRequest = { requestMethod: "POST", requestUrl: "/v1/messages", status: 202, latency: "0.0031s" };
const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", sampled: true };

function context(about: Partial<RequestContext> = {}): RequestContext {
  return { requestId: "r-1", functionName: "messages-send", statements: 0, databaseMilliseconds: 0, ...about };
}

describe("a line as JSON", () => {
  test("has Cloud Logging's fields and ours side by side", () => {
    const { log, entries } = logTo();
    log.info("POST /v1/messages 202", { httpRequest, milliseconds: 3.1, statements: 1, principal: undefined });
    expect(entries()).toEqual([
      {
        severity: "INFO",
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        message: "POST /v1/messages 202",
        httpRequest,
        milliseconds: 3.1,
        statements: 1,
      },
    ]);
  });

  test("is one line, whatever the message holds", () => {
    const { log, lines, entries } = logTo();
    log.info('first\nsecond "quoted" \u2028 \ud800');
    expect(lines[0]).not.toMatch(/[\n\u2028]$/);
    expect(entries()[0].message).toContain('first\nsecond "quoted"');
  });

  test("tells its time although the last line was of another moment", async () => {
    const { log, entries } = logTo();
    const before = Date.now();
    log.info("one");
    await new Promise((resolve) => setTimeout(resolve, 20));
    log.info("two");
    const [one = 0, two = 0] = entries().map((entry) => Date.parse(entry.timestamp));
    expect(one).toBeGreaterThanOrEqual(before);
    expect(two - one).toBeGreaterThanOrEqual(19);
  });

  test("keeps its severity, message and time although a field has their name", () => {
    const { log, entries } = logTo();
    log.warning("real", { severity: "DEBUG", message: "forged", timestamp: 0, level: 7 } as unknown as Fields);
    expect(entries()[0]).toMatchObject({ severity: "WARNING", message: "real", level: 7 });
    expect(entries()[0].timestamp).toMatch(/^20/);
  });
});

test.each(["console", "google"] as const)("each severity is said in Cloud Logging's words (%s)", async (transport) => {
  const { log, entries } = logTo({ transport });
  await log.load();
  for (const say of ["debug", "info", "warning", "error", "alert"] as const) log[say](say);
  expect(entries().map(({ severity }) => severity)).toEqual(["DEBUG", "INFO", "WARNING", "ERROR", "ALERT"]);
});

test("lines below the level are not written, and can be asked about beforehand", () => {
  const { log, entries } = logTo({ level: "WARNING" });
  for (const say of ["debug", "info", "warning", "error", "alert"] as const) log[say](say);
  expect(entries().map(({ severity }) => severity)).toEqual(["WARNING", "ERROR", "ALERT"]);
  expect((["DEBUG", "INFO", "WARNING", "ERROR", "ALERT"] as const).map(log.enabled)).toEqual([
    false,
    false,
    true,
    true,
    true,
  ]);
});

test("a line is written before the call returns, so an exit right after loses none", () => {
  const { log, lines } = logTo();
  for (let count = 1; count <= 100; count++) {
    log.info("x");
    expect(lines.length).toBe(count);
  }
});

describe("inside a request", () => {
  test("lines carry its id, function and trace by themselves", () => {
    const { log, entries } = logTo({ project: "acme" });
    runWithContext(context({ trace }), () => log.info("x"));
    expect(entries()[0]).toMatchObject({
      requestId: "r-1",
      function: "messages-send",
      "logging.googleapis.com/trace": "projects/acme/traces/0af7651916cd43dd8448eb211c80319c",
      "logging.googleapis.com/spanId": "b7ad6b7169203331",
      "logging.googleapis.com/trace_sampled": true,
    });
  });

  test("the trace is the bare id when no project is known", () => {
    const { log, entries } = logTo();
    runWithContext(context({ trace }), () => log.info("x"));
    expect(entries()[0]["logging.googleapis.com/trace"]).toBe(trace.traceId);
  });

  test("requests served at once keep their own, and code outside of one has none", async () => {
    const { log, entries } = logTo();
    const serve = (requestId: string) =>
      runWithContext(context({ requestId }), async () => {
        for (let step = 0; step < 3; step++) {
          await new Promise(setImmediate);
          log.info(requestId);
        }
      });
    await Promise.all(["a", "b", "c"].map(serve));
    log.info("outside");
    expect(entries()).toHaveLength(10);
    for (const entry of entries().slice(0, 9)) expect(entry.requestId).toBe(entry.message);
    expect(entries()[9]).not.toHaveProperty("requestId");
  });
});

describe("an error", () => {
  test("keeps its stack, code and the whole chain of causes", () => {
    const { log, entries } = logTo();
    const refused = new AggregateError([Object.assign(new Error("connect ::1"), { code: "ECONNREFUSED" })], "");
    log.error("failed", { error: new TypeError("outer", { cause: Object.assign(refused, { code: "ECONNREFUSED" }) }) });
    const [entry] = entries();
    expect(entry.error).toEqual({
      name: "TypeError",
      message: "outer",
      cause: { name: "AggregateError", message: "", code: "ECONNREFUSED" },
    });
    expect(entry.stack_trace).toMatch(/^TypeError: outer\n +at .*logging\.test\.ts/);
    expect(entry.stack_trace).toMatch(/\nCaused by: AggregateError[\s\S]*\nAmong: Error: connect ::1\n +at /);
  });

  test("in any other field keeps its stack too", () => {
    const { log, entries } = logTo();
    log.warning("retried", { first: new Error("a"), all: [{ second: new Error("b") }] });
    expect(entries()[0]).toMatchObject({
      first: { name: "Error", message: "a", stack: expect.stringContaining("logging.test.ts") },
      all: [{ second: { message: "b", stack: expect.stringContaining("logging.test.ts") } }],
    });
  });

  test("does not take the row it quotes along", () => {
    const { log, lines } = logTo();
    log.error("x", {
      error: Object.assign(new Error("duplicate key"), { code: "23505", detail: "(secret)=(hunter2)" }),
    });
    expect(lines[0]).toContain("23505");
    expect(lines[0]).not.toContain("hunter2");
  });

  test("that causes itself ends, and what is no error is still said", () => {
    const { log, entries } = logTo();
    const error: Error = new Error("loop");
    error.cause = error;
    log.error("x", { error });
    log.error("y", { error: "a string was thrown" });
    expect(entries()[0].stack_trace.split("Caused by").length).toBeLessThan(10);
    expect(entries()[1].error).toBe("a string was thrown");
  });
});

describe("a string of more than 8 KiB", () => {
  const size = (text: string) => Buffer.byteLength(text.replace(/…$/, ""));

  test("is cut in the message, in fields at any depth, and in stacks", () => {
    const { log, entries } = logTo();
    const long = "x".repeat(20_000);
    log.info(long, { field: long, httpRequest: { userAgent: long }, deep: [{ er: long }], error: new Error(long) });
    const [{ message, field, httpRequest, deep, error, stack_trace }] = entries();
    for (const text of [message, field, httpRequest.userAgent, deep[0].er, error.message, stack_trace])
      expect(size(text)).toBe(8192);
  });

  test("is measured in bytes and never cut inside a character", () => {
    const { log, entries } = logTo();
    log.info(`ab${"😀".repeat(5000)}`, { exact: "x".repeat(8192), euros: "€".repeat(2730), more: "€".repeat(3000) });
    expect(entries()[0].message).toBe(`ab${"😀".repeat(2047)}…`);
    expect(entries()[0].exact).toHaveLength(8192);
    expect(entries()[0].euros).toHaveLength(2730);
    expect(entries()[0].more).toBe(`${"€".repeat(2730)}…`);
  });
});

test.each(["console", "google"] as const)(
  "nothing in a field keeps a line from being written (%s)",
  async (transport) => {
    const { log, lines, entries } = logTo({ transport });
    await log.load();
    const cycle: Record<string, unknown> = { name: "cycle" };
    cycle.self = cycle;
    log.info("x", { big: 10n, cycle, bytes: Buffer.from("secret"), when: new Date(0), call: isOurs, nothing: null });
    expect(entries()[0]).toMatchObject({
      message: "x",
      big: "10",
      cycle: { name: "cycle" },
      bytes: "[6 bytes]",
      when: "1970-01-01T00:00:00.000Z",
      call: "[function isOurs]",
      nothing: null,
    });
    expect(lines.join("").length).toBeLessThan(1500);
  },
);

describe("a line for a terminal", () => {
  const say = (level: "INFO" | "WARNING" | "ERROR", message: string, fields: Fields = {}, coloured = false) =>
    renderText({ ...lineOf(level, message, fields), timestamp: new Date(2026, 0, 2, 10, 0, 0, 123) }, coloured);

  test("says time, severity, message and how long it took", () => {
    const fields = { httpRequest, milliseconds: 3.14, databaseMilliseconds: 1.9, statements: 1, requestId: "r" };
    expect(say("INFO", "POST /v1/messages 202", fields)).toBe(
      "10:00:00.123 INFO  POST /v1/messages 202 3.1 ms (db 1.9 ms, 1 statement)",
    );
    expect(say("INFO", "x", { ...fields, statements: 2 })).toMatch(/ 2 statements\)$/);
    expect(say("INFO", "x", { ...fields, statements: 0 })).toBe("10:00:00.123 INFO  x 3.1 ms");
  });

  test("is aligned, and other fields follow", () => {
    expect(say("WARNING", "slow", { operation: "inboxes.get", rows: 3, keys: ["a"] })).toBe(
      '10:00:00.123 WARN  slow operation=inboxes.get rows=3 keys=["a"]',
    );
  });

  test("is followed by the stack", () => {
    const lines = say("ERROR", "failed", { error: new Error("a", { cause: new Error("b") }) }).split("\n");
    expect(lines[0]).toBe("10:00:00.123 ERROR failed");
    expect(lines[1]).toBe("    Error: a");
    expect(lines[2]).toMatch(/^ {8}at /);
    expect(lines).toContain("    Caused by: Error: b");
  });

  test("cannot be used to move the cursor or forge another line", () => {
    const line = say("INFO", "GET /\n10:00 \u001b[2J", { agent: "\u009b31m\r" });
    expect(line).toBe("10:00:00.123 INFO  GET /\\x0a10:00 \\x1b[2J agent=\\x9b31m\\x0d");
  });

  test("is coloured only where somebody sees colours", () => {
    expect(say("ERROR", "x", {}, true)).toContain("\u001b[31mERROR\u001b[");
    const { log, lines } = logTo({ format: "text" });
    log.error("x", { a: 1 });
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} ERROR x a=1$/);
  });
});

describe("through logging-winston", () => {
  const say = (log: Logger) =>
    runWithContext(context({ trace }), () =>
      log.alert("POST /v1/messages 202", { httpRequest, milliseconds: 3.1, labels: { a: "b" }, error: new Error("e") }),
    );

  test("every field lands where our own format puts it", async () => {
    const [google, ours] = [logTo({ transport: "google", project: "acme" }), logTo({ project: "acme" })];
    await google.log.load();
    say(google.log);
    say(ours.log);
    const { timestamp, logName, "logging.googleapis.com/insertId": insertId, ...rest } = google.entries()[0];
    const { timestamp: ourTimestamp, stack_trace, ...expected } = ours.entries()[0];
    expect(rest).toEqual({ ...expected, stack_trace: expect.stringMatching(/^Error: e\n +at /) });
    expect(rest).toMatchObject({ severity: "ALERT", httpRequest, milliseconds: 3.1, function: "messages-send" });
    expect(rest["logging.googleapis.com/trace"]).toBe(`projects/acme/traces/${trace.traceId}`);
    expect(Math.abs(timestamp.seconds * 1000 - Date.parse(ourTimestamp))).toBeLessThan(5000);
    expect(logName).toBe("projects/acme/logs/cams");
    expect(insertId).toBeTruthy();
  });

  test("lines from before it is loaded wait, unchanged, and come first", async () => {
    const { log, lines, entries } = logTo({ transport: "google" });
    const fields = { step: 1 };
    log.info("one", fields);
    fields.step = 2;
    const loading = log.load();
    log.debug("two");
    expect(lines).toEqual([]);
    await loading;
    log.info("three");
    await log.load();
    expect(entries().map(({ message, severity }) => [message, severity])).toEqual([
      ["one", "INFO"],
      ["two", "DEBUG"],
      ["three", "INFO"],
    ]);
    expect(entries()[0].step).toBe(1);
    expect(entries().every((entry) => entry["logging.googleapis.com/insertId"])).toBe(true);
  });

  test("flush writes what waits, in our own format", async () => {
    const { log, entries } = logTo({ transport: "google" });
    log.info("one");
    await log.flush();
    expect(entries()).toMatchObject([{ severity: "INFO", message: "one" }]);
    await log.load();
    await log.flush();
    expect(entries()).toHaveLength(1);
  });

  test("an error does not wait, and takes along what happened before", () => {
    const { log, entries } = logTo({ transport: "google" });
    log.info("connecting");
    expect(entries()).toHaveLength(0);
    log.error("the database does not answer");
    expect(entries().map(({ message }) => message)).toEqual(["connecting", "the database does not answer"]);
  });

  test("no more than a thousand lines wait", () => {
    const { log, lines } = logTo({ transport: "google" });
    for (let count = 0; count < 1500; count++) log.info(String(count));
    expect(lines).toHaveLength(1000);
    expect(JSON.parse(lines[999] ?? "").message).toBe("999");
  });

  test("lines keep our own format when it cannot be loaded", async () => {
    const lines: string[] = [];
    const broken = async () => {
      throw new Error("Cannot find package");
    };
    const sink = googleSink((line) => lines.push(line), undefined, broken);
    sink.write(lineOf("INFO", "before", {}));
    await sink.load();
    sink.write(lineOf("INFO", "after", {}));
    const entries = lines.map((line) => JSON.parse(line));
    expect(entries.map(({ severity }) => severity)).toEqual(["INFO", "WARNING", "INFO"]);
    expect(entries[1].error.message).toBe("Cannot find package");
  });
});

describe("in a process of its own", () => {
  const module = fileURLToPath(new URL("../../shared/logging/index.ts", import.meta.url));
  const run = (code: string, env: Record<string, string> = {}) =>
    promisify(execFile)(
      process.execPath,
      ["--input-type=module", "--eval", `import { createLogger } from ${JSON.stringify(module)};\n${code}`],
      { timeout: 20_000, env: { ...env, PATH: process.env.PATH, HOME: "/nonexistent" } },
    );
  const create = (transport: string) =>
    `const log = createLogger({ level: "INFO", transport: "${transport}", format: "json" });`;

  test.each(["console", "google"])("everything is on standard output when it exits at once (%s)", async (transport) => {
    const { stdout } = await run(
      `${create(transport)} for (let i = 0; i < 50; i++) log.info("n" + i); process.exit(0);`,
    );
    const messages = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).message);
    expect(messages).toEqual(Array.from({ length: 50 }, (_, index) => `n${index}`));
  });

  test("an uncaught error leaves what waited before it", async () => {
    const failed = await run(`${create("google")} log.info("waiting"); throw new Error("uncaught");`).catch(
      (error) => error,
    );
    expect(JSON.parse(failed.stdout).message).toBe("waiting");
    expect(failed.stderr).toContain("Error: uncaught");
  });

  // Off Google's cloud its library looks for a metadata server; on Cloud Run it knows there is one.
  test.each([
    ["on one's own machine", {}],
    ["on Cloud Run", { K_SERVICE: "cams", K_REVISION: "cams-1" }],
  ])("logging-winston neither uses the network nor keeps the process alive %s", async (_, env) => {
    const code = `
      import net from "node:net";
      const { connect } = net.Socket.prototype;
      net.Socket.prototype.connect = function (...given) { console.error("connects", given); return connect.apply(this, given); };
      ${create("google")}
      log.info("one");
      await log.load();
      log.info("two");
      await new Promise((resolve) => setTimeout(resolve, 500));
      await log.flush();
    `;
    const { stdout, stderr } = await run(code, env);
    const entries = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(entries.filter(isOurs).map(({ message }) => message)).toEqual(["one", "two"]);
    expect(entries.filter((entry) => !isOurs(entry))).toHaveLength(1);
    expect(stderr).toBe("");
  });
});
