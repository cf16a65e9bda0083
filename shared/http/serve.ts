import type { IncomingMessage, ServerResponse } from "node:http";
import { isDeepStrictEqual } from "node:util";
import type { Gate } from "../auth/gate.ts";
import type { Hints } from "../db/hints.ts";
import { forbidden, Problem, type ProblemCode } from "../errors.ts";
import { currentContext, type RequestContext, runWithContext } from "../logging/context.ts";
import type { Repository } from "../repository/index.ts";
import type { Caller } from "../rules/access.ts";
import { type Answer, answerOf, problemOf, send } from "./answer.ts";
import type { Call, Endpoint, Services } from "./endpoint.ts";
import {
  idempotencyKeyOf,
  ifMatchOf,
  knowsRevision,
  lastEventIdOf,
  requestIdOf,
  traceOf,
  traceparentOf,
} from "./headers.ts";
import { hashOf, once } from "./once.ts";
import { parseRequest, readBody } from "./request.ts";
import { createRouter, type Match } from "./route.ts";
import { isPieces, type Pieces, pour, whileAllowed } from "./stream.ts";
import { originForm } from "./target.ts";
import type { Traffic, Visit } from "./traffic.ts";

/** What serving stands on. */
export interface Serving {
  /** The repository under the endpoint's database role. */
  repo(endpoint: Endpoint): Repository;
  hints: Hints;
  services: Services;
  /** What an endpoint needs beyond those. */
  needed(endpoint: Endpoint): Record<string, unknown>;
  traffic: Traffic;
  gate: Gate;
  /** Cloud Run's own limit, in seconds, if there is one: an answer must be out before it. */
  platformTimeoutSeconds: number | undefined;
}

/** Answers one HTTP request; never throws. */
export type RequestHandler = (req: IncomingMessage, res: ServerResponse) => Promise<void>;

const NOBODY = "anonymous";
/** For the log and the metrics: nobody is there to read it. */
const GONE: Answer = { status: 499, headers: {}, body: undefined };

/** Serves endpoints: routes, parses, calls the handler, renders its answer or problem, and logs one line for each. */
export function serve(endpoints: readonly Endpoint[], serving: Serving): RequestHandler {
  const { services, traffic } = serving;
  const route = createRouter(endpoints);
  const opened = new Map(endpoints.map((endpoint) => [endpoint, { ...services, ...serving.needed(endpoint) }]));
  const servicesOf = (endpoint: Endpoint) => opened.get(endpoint) as Call["services"];
  let loaded: Promise<void> | undefined;

  return async (req, res) => {
    const start = performance.now();
    const context: RequestContext = {
      requestId: requestIdOf(req.headers["x-request-id"]),
      functionName: "unrouted",
      statements: 0,
      databaseMilliseconds: 0,
    };
    const trace = traceOf(req.headers.traceparent);
    if (trace) context.trace = trace;
    services.metrics.takeover("app" in req ? "framework" : "server");
    let visit: Visit | undefined;
    let open = true;
    let streaming = false;

    const finish = (answer: Answer, code?: ProblemCode) => {
      if (!open) return;
      // First: an answer that cannot be written as JSON or in a header throws, and is answered with 500 instead.
      send(res, context.requestId, answer, traffic.stopping);
      open = false;
      // Cut off in the middle, so that its reader knows that this was not the end.
      if (streaming && !res.writableEnded) res.destroy();
      // What is still on its way to a slow reader goes on to count, until its deadline, and is waited for at the end.
      if (!res.socket || res.writableFinished) visit?.leave();
      const seconds = (performance.now() - start) / 1000;
      // The transport that costs as much at start as all the rest comes when the first caller has its answer.
      if (!loaded) loaded = services.log.load();
      services.metrics.request(context.functionName, req.method ?? "", answer.status, seconds);
      logLine(req, context, answer.status, seconds * 1000, code);
    };
    const refuse = (error: unknown) => {
      const problem = problemOf(error);
      if (problem.code === "internal") services.log.error("internal error", { error });
      else if (problem.status >= 500) services.log.warning(problem.message, { error });
      finish(answerOf(problem, context.requestId), problem.code);
    };

    const stream = (answer: Answer, pieces: Pieces, { signal }: Visit) =>
      traffic.whileWaiting(async () => {
        if (!open) return;
        send(res, context.requestId, answer, traffic.stopping);
        streaming = true;
        await pour(res, pieces, signal);
      });

    await runWithContext(context, async () => {
      try {
        const [path = "", search = ""] = splitOnce(originForm(req.url ?? "/"), "?");
        const match = route(req.method ?? "GET", path);
        context.functionName = match.endpoint.name;
        const { timeoutSeconds } = match.endpoint.runtime;
        const seconds = Math.min(timeoutSeconds, (serving.platformTimeoutSeconds ?? timeoutSeconds) - 1);
        // Neither the clock nor the socket knows which request it is that they tell of.
        const onDeadline = () => {
          visit?.abort();
          if (!open) res.destroy();
          else if (!streaming)
            refuse(new Problem("deadline_exceeded", "The request was given up.", { retryAfterSeconds: 1 }));
        };
        context.deadline = start + seconds * 1000;
        visit = traffic.enter(context.deadline, () => runWithContext(context, onDeadline));
        context.visit = visit;
        res.once("close", () => {
          visit?.abort();
          visit?.leave();
          if (!res.writableFinished) runWithContext(context, () => finish(GONE));
        });
        const answer = await answerTo(match, search, req, visit);
        if (isPieces(answer.body)) await stream(answer, answer.body, visit);
        finish(answer);
      } catch (error) {
        refuse(error);
      }
    });
  };

  async function answerTo(match: Match, search: string, req: IncomingMessage, visit: Visit): Promise<Answer> {
    const { endpoint } = match;
    const repo = serving.repo(endpoint);
    const context = currentContext();
    const caller = await serving.gate.admit(req, endpoint.role, repo.principals, (principal) => {
      if (context) context.principal = principal;
    });
    const own = repo.as(caller);
    const body = endpoint.method === "GET" ? undefined : await readBody(req, endpoint);
    const parsed = parseRequest(endpoint, match, search, body);
    const address = addressOf(parsed.params) ?? addressOf(parsed.body);
    if (context && address) context.address = address;
    await endpoint.check?.({ body: parsed.body as undefined, services: servicesOf(endpoint) });
    const answer = (repo: Repository) => call(endpoint, req, parsed, caller, repo, visit);
    const key = endpoint.idempotent && idempotencyKeyOf(req.headers["idempotency-key"]);
    return key === undefined ? answer(own) : once(own, { endpoint, key, caller, hash: hashOf(req, body) }, answer);
  }

  async function call(
    endpoint: Endpoint,
    req: IncomingMessage,
    parsed: ReturnType<typeof parseRequest>,
    caller: Caller,
    repo: Repository,
    visit: Visit,
  ): Promise<Answer> {
    const headers: Record<string, string> = {};
    const given: Call = {
      params: parsed.params as undefined,
      query: parsed.query as undefined,
      body: parsed.body as undefined,
      caller,
      repo,
      ifMatch: ifMatchOf(req.headers["if-match"]),
      lastEventId: lastEventIdOf(req.headers["last-event-id"]),
      traceparent: traceparentOf(currentContext()?.trace),
      services: servicesOf(endpoint),
      get signal() {
        return visit.signal;
      },
      wait(topics, seconds, attempt) {
        // The connection that it listens on is part of the sum that the database must have.
        if (!endpoint.runtime.listens) throw new Error(`${endpoint.name} waits, and does not declare that it listens`);
        if (seconds === 0) return attempt();
        let first = true;
        const asked = async () => {
          if (!first) await stillAdmitted(endpoint, req, caller);
          first = false;
          return attempt();
        };
        return traffic.whileWaiting(() => serving.hints.waitFor(topics, seconds, visit.signal, asked));
      },
      knows: (revision) => knowsRevision(req.headers["if-none-match"], revision),
      attach(filename) {
        headers["Content-Disposition"] = `attachment; filename="${filename}"`;
      },
      replayed() {
        headers["Idempotent-Replayed"] = "true";
      },
    };
    const body = await endpoint.handler(given);
    if (endpoint.contentType) headers["Content-Type"] = endpoint.contentType;
    if (endpoint.location) headers.Location = endpoint.location(body);
    const revision = (body as { revision?: unknown } | undefined)?.revision;
    if (Number.isInteger(revision)) headers.ETag = `"${revision}"`;
    if (endpoint.revalidates) {
      headers["Cache-Control"] = "private, no-cache";
      if (given.knows(revision as number)) return { status: 304, headers, body: undefined };
    }
    if (!isPieces(body)) return { status: endpoint.status, headers, body };
    // Of a stream nothing runs before it is read; without a reader, for HEAD, it is never begun.
    const pieces = whileAllowed(body, () => stillAdmitted(endpoint, req, caller));
    return { status: endpoint.status, headers, body: req.method === "HEAD" ? undefined : pieces };
  }

  /** Who waits may lose its rights meanwhile: each further attempt asks again who calls, and a stream now and then. */
  async function stillAdmitted(endpoint: Endpoint, req: IncomingMessage, caller: Caller) {
    const now = await serving.gate.admit(req, endpoint.role, serving.repo(endpoint).principals);
    if (!isDeepStrictEqual(now, caller)) throw forbidden("What you may do has changed: call again.");
  }

  function logLine(req: IncomingMessage, context: RequestContext, status: number, milliseconds: number, code?: string) {
    const severity = status >= 500 ? "warning" : "info";
    if (!services.log.enabled(severity === "info" ? "INFO" : "WARNING")) return;
    services.log[severity](`${req.method} ${req.url} ${status}`, {
      httpRequest: {
        requestMethod: req.method,
        requestUrl: req.url,
        status,
        latency: `${(milliseconds / 1000).toFixed(6)}s`,
        userAgent: req.headers["user-agent"],
        remoteIp: req.socket.remoteAddress,
      },
      principal: context.principal ?? NOBODY,
      address: context.address,
      executionId: req.headers["function-execution-id"],
      outcome: code ?? (status === GONE.status ? "caller_gone" : "ok"),
      milliseconds: Number(milliseconds.toFixed(3)),
      databaseMilliseconds: Number(context.databaseMilliseconds.toFixed(3)),
      statements: context.statements,
    });
  }
}

/** The address that a request is about, for its log line. */
function addressOf(input: unknown): string | undefined {
  const { aiAgentAddress, recipientAddress } = (input ?? {}) as { aiAgentAddress?: string; recipientAddress?: string };
  return aiAgentAddress ?? recipientAddress;
}

function splitOnce(text: string, by: string): [string, string] {
  const at = text.indexOf(by);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
