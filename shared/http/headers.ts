import { randomBytes, randomUUID } from "node:crypto";
import { Problem } from "../errors.ts";
import type { RequestContext } from "../logging/context.ts";

/** The caller's request id when it is a sane one (printable, at most 128 characters), else a new one. */
export function requestIdOf(header: string | string[] | undefined): string {
  return typeof header === "string" && /^[\x21-\x7e]{1,128}$/.test(header) ? header : randomUUID();
}

/** Reads `traceparent` (W3C Trace Context, version 00) and opens a span of our own below it. */
export function traceOf(header: string | string[] | undefined): RequestContext["trace"] {
  const [, traceId, parentSpanId, flags] =
    /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/.exec(
      typeof header === "string" ? header : "",
    ) ?? [];
  if (!traceId || !parentSpanId || !flags) return undefined;
  return {
    traceId,
    parentSpanId,
    spanId: randomBytes(8).toString("hex"),
    sampled: (Number.parseInt(flags, 16) & 1) === 1,
  };
}

/** Writes a trace as `traceparent`, as it is stored and sent on. */
export function traceparentOf(trace: RequestContext["trace"]): string | undefined {
  return trace && `00-${trace.traceId}-${trace.spanId}-${trace.sampled ? "01" : "00"}`;
}

/** Revisions named by `If-Match` (RFC 9110): undefined when any will do; what is no revision of ours matches nothing. */
export function ifMatchOf(header: string | undefined): number[] | undefined {
  if (header === undefined || header.trim() === "*") return undefined;
  return header.split(",").flatMap((etag) => {
    const revision = /^\s*"(\d{1,9})"\s*$/.exec(etag)?.[1];
    return revision === undefined ? [] : [Number(revision)];
  });
}

/** Whether `If-None-Match` (RFC 9110) names this revision, by the weak comparison it asks for. */
export function knowsRevision(header: string | undefined, revision: number): boolean {
  const etags = header?.split(",").map((etag) => etag.trim().replace(/^W\//, "")) ?? [];
  return etags.includes("*") || etags.includes(`"${revision}"`);
}

/** Reads `Last-Event-ID`; an empty one says nothing. */
export function lastEventIdOf(header: string | string[] | undefined): string | undefined {
  return (typeof header === "string" && header) || undefined;
}

/**
 * Reads `Idempotency-Key`.
 * @throws Problem invalid_request when it is empty, longer than 255 characters, or not printable
 */
export function idempotencyKeyOf(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === "string" && /^[\x20-\x7e]{1,255}$/.test(header)) return header;
  const errors = [{ pointer: "", message: "Idempotency-Key must have 1 to 255 printable ASCII characters" }];
  throw new Problem("invalid_request", "The idempotency key cannot be used.", { errors });
}
