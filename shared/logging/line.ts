import { cap } from "./cap.ts";
import { currentContext } from "./context.ts";
import { stackTrace, summary } from "./errors.ts";
import { fit } from "./fit.ts";

/** How much a line matters, in Cloud Logging's words. */
export type Severity = "DEBUG" | "INFO" | "WARNING" | "ERROR" | "ALERT";

/** The severities with syslog's numbers: less is more severe. */
export const severities: Record<Severity, number> = { ALERT: 1, ERROR: 3, WARNING: 4, INFO: 6, DEBUG: 7 };

/** An HTTP exchange as Cloud Logging shows it; `latency` in seconds, as `0.0031s`. */
export interface HttpRequest {
  requestMethod?: string | undefined;
  requestUrl?: string | undefined;
  status?: number | undefined;
  requestSize?: number | undefined;
  responseSize?: number | undefined;
  userAgent?: string | undefined;
  remoteIp?: string | undefined;
  referer?: string | undefined;
  latency?: string | undefined;
  protocol?: string | undefined;
}

/** What a line says beside its message; an `Error` in `error` keeps its stack and causes. */
export interface Fields {
  readonly error?: unknown;
  readonly httpRequest?: HttpRequest | undefined;
  readonly severity?: never;
  readonly message?: never;
  readonly timestamp?: never;
  readonly [name: string]: unknown;
}

/** One line on its way out: named so that winston and LoggingWinston find what they look for. */
export interface Line {
  level: Severity;
  message: string;
  timestamp: Date;
  httpRequest?: unknown;
  "logging.googleapis.com/trace"?: string;
  "logging.googleapis.com/spanId"?: string;
  "logging.googleapis.com/trace_sampled"?: boolean;
  fields: Record<string, unknown>;
}

/** A line of now and, inside a request, of that request: its id, function and trace. */
export function lineOf(level: Severity, message: string, given: Fields | undefined, project?: string): Line {
  const fields: Record<string, unknown> = {};
  const line: Line = { level, message: cap(message), timestamp: new Date(), fields };
  const context = currentContext();
  if (context) {
    fields.function = context.functionName;
    fields.requestId = context.requestId;
    if (context.trace) {
      const { traceId, spanId, sampled } = context.trace;
      line["logging.googleapis.com/trace"] = project ? `projects/${project}/traces/${traceId}` : traceId;
      line["logging.googleapis.com/spanId"] = spanId;
      line["logging.googleapis.com/trace_sampled"] = sampled;
    }
  }
  for (const name in given) {
    const value = given[name];
    if (name === "httpRequest") line.httpRequest = fit(value);
    else if (name === "error" && value instanceof Error) {
      fields.error = summary(value);
      // Error Reporting looks for a stack in `stack_trace` before any other field.
      fields.stack_trace = cap(stackTrace(value));
    } else if (name !== "severity" && name !== "message" && name !== "timestamp") fields[name] = fit(value);
  }
  return line;
}
