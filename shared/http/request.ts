import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { z } from "zod";
import { type Fault, Problem } from "../errors.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Match } from "./route.ts";

/** Most bytes of a body. */
export const MAX_BODY_BYTES = 1024 * 1024;
/** Over the limit it is read on, unseen, to this size, so that the sender reaches its end and reads the answer. */
const MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES;
/** Deepest nesting of a body: far below what a JSON parser's stack bears, far above what anybody writes. */
const MAX_DEPTH = 64;

/** A body as it came and as it was read. */
export interface Body {
  bytes: Buffer;
  json: unknown;
}

/**
 * Reads a request's body as JSON; `undefined` when there is none.
 * @throws Problem unsupported_media_type, body_too_large, malformed_json, invalid_request
 */
export async function readBody(req: IncomingMessage & { rawBody?: Buffer }): Promise<Body | undefined> {
  const { "content-length": length, "transfer-encoding": chunked, "content-type": type } = req.headers;
  if (chunked === undefined && (length === undefined || length === "0")) return undefined;
  const encoding = req.headers["content-encoding"];
  const tooLarge = length !== undefined && Number(length) > MAX_BODY_BYTES;
  const bytes = req.rawBody ?? (await collect(req, tooLarge));
  if (!bytes || bytes.length > MAX_BODY_BYTES) throw new Problem("body_too_large", "A body may have 1 MiB at most.");
  if (bytes.length === 0) return undefined;
  if (!/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type ?? ""))
    throw new Problem("unsupported_media_type", "Send the body with Content-Type: application/json.");
  if (encoding !== undefined && encoding !== "identity")
    throw new Problem("unsupported_media_type", "Send the body without Content-Encoding.");
  return { bytes, json: parse(bytes) };
}

function collect(req: IncomingMessage, tooLarge: boolean): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    req.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (!tooLarge && size <= MAX_BODY_BYTES) chunks.push(chunk);
      else if (size > MAX_DRAINED_BYTES) resolve(undefined);
    });
    req.on("end", () => resolve(tooLarge || size > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks, size)));
    req.on("error", (cause) => reject(new Problem("malformed_json", "The body ended early.", { cause })));
  });
}

function parse(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new Problem("malformed_json", "The body is not UTF-8.");
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString());
  } catch (cause) {
    const position = /position (\d+)/.exec((cause as Error).message)?.[1];
    const where = position === undefined ? "it ends too early" : `at character ${position}`;
    throw new Problem("malformed_json", `The body is not JSON: ${where}.`, { cause });
  }
  if (isDeeper(json, MAX_DEPTH)) {
    const errors = [{ pointer: "", message: `must not be nested deeper than ${MAX_DEPTH} levels` }];
    throw new Problem("invalid_request", "The body is nested too deeply.", { errors });
  }
  return json;
}

/** Level by level, not by recursion: the depth is the caller's to choose. */
function isDeeper(value: unknown, limit: number): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limit) return true;
    const next: unknown[] = [];
    for (const item of level) {
      if (typeof item !== "object" || item === null) continue;
      for (const child of Object.values(item)) if (typeof child === "object" && child !== null) next.push(child);
    }
    level = next;
  }
  return false;
}

/**
 * Parses path, query and body by the endpoint's schemas.
 * @throws Problem invalid_request with all faults at once
 */
export function parseRequest(endpoint: Endpoint, match: Match, search: string, body: Body | undefined) {
  const faults: Fault[] = [];
  const parse = (schema: z.ZodType | undefined, value: unknown) => {
    if (!schema) return undefined;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    faults.push(...parsed.error.issues.flatMap(faultsOf));
    return undefined;
  };
  const params = parse(endpoint.params, match.params);
  const query = endpoint.query ? parse(endpoint.query, readQuery(search, faults)) : refuseQuery(search, faults);
  const parsedBody = endpoint.body ? parse(endpoint.body, body?.json ?? (body ? null : {})) : undefined;
  if (!endpoint.body && body && !isEmptyObject(body.json))
    faults.push({ pointer: "", message: "this endpoint takes no body" });
  if (faults.length > 0) {
    const [first] = faults;
    const detail = `${first?.pointer ? `${first.pointer} ` : ""}${first?.message}`;
    const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : "";
    throw new Problem("invalid_request", `${detail}${more}`, { errors: faults });
  }
  return { params, query, body: parsedBody };
}

function isEmptyObject(json: unknown): boolean {
  return typeof json === "object" && json !== null && !Array.isArray(json) && Object.keys(json).length === 0;
}

function readQuery(search: string, faults: Fault[]): Record<string, string> {
  const query: Record<string, string> = Object.create(null);
  if (search === "") return query;
  try {
    decodeURIComponent(search);
  } catch {
    faults.push({ pointer: "", message: "the query is not percent-encoded UTF-8" });
    return query;
  }
  for (const [name, value] of new URLSearchParams(search)) {
    if (name in query) faults.push({ pointer: pointer([name]), message: "is given twice" });
    query[name] = value;
  }
  return query;
}

function refuseQuery(search: string, faults: Fault[]): undefined {
  for (const name of Object.keys(readQuery(search, faults)))
    faults.push({ pointer: pointer([name]), message: "is not a parameter here" });
}

function faultsOf(issue: z.core.$ZodIssue): Fault[] {
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({ pointer: pointer([...issue.path, key]), message: "is not a field here" }));
  const missing = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
  return [{ pointer: pointer(issue.path), message: missing ? "is required" : issue.message }];
}

function pointer(path: readonly PropertyKey[]): string {
  return path.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1").toWellFormed()}`).join("");
}
