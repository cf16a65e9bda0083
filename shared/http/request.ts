import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type * as z from "zod";
import { type Fault, Problem } from "../errors.ts";
import { faultsOf, MAX_FAULTS, pointer } from "../rules/faults.ts";
import { type Endpoint, jsonTypeOf } from "./endpoint.ts";
import { parseJson } from "./json.ts";
import type { Match } from "./route.ts";

/** Most bytes of a body. */
export const MAX_BODY_BYTES = 1024 * 1024;
/** Over the limit it is read on, unseen, to this size, so that the sender reaches its end and reads the answer. */
const MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES;

/** A body as it came and as it was read: JSON, or text. */
export interface Body {
  bytes: Buffer;
  json: unknown;
}

/** What a body may be sent as; YAML had several types before RFC 9512. */
const JSON_TYPES = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i;
const PATCH_TYPES = /^application\/(merge-patch\+)?json\s*(;\s*charset="?utf-8"?\s*)?$/i;
const YAML_TYPES = /^(application|text)\/(x-)?yaml\s*(;\s*charset="?utf-8"?\s*)?$/i;

/**
 * Reads a request's body: JSON, or where the endpoint takes it YAML, which is left as text; `undefined` when there is
 * none.
 * @throws Problem unsupported_media_type, body_too_large, malformed_json, invalid_request
 */
export async function readBody(
  req: IncomingMessage & { rawBody?: Buffer },
  endpoint: Pick<Endpoint, "method" | "bodyType">,
): Promise<Body | undefined> {
  const { "content-length": length, "transfer-encoding": chunked, "content-type": type } = req.headers;
  if (chunked === undefined && (length === undefined || length === "0")) return undefined;
  const encoding = req.headers["content-encoding"];
  const tooLarge = length !== undefined && Number(length) > MAX_BODY_BYTES;
  const bytes = req.rawBody ?? (await collect(req, tooLarge));
  if (!bytes || bytes.length > MAX_BODY_BYTES) throw new Problem("body_too_large", "A body may have 1 MiB at most.");
  if (bytes.length === 0) return undefined;
  const isYaml = saysYaml(type ?? "", endpoint);
  if (encoding !== undefined && encoding !== "identity")
    throw new Problem("unsupported_media_type", "Send the body without Content-Encoding.");
  return { bytes, json: isYaml ? readText(bytes) : parseJson(bytes) };
}

/** Whether a body is YAML, which few endpoints take, and not JSON, which all do. */
function saysYaml(type: string, endpoint: Pick<Endpoint, "method" | "bodyType">): boolean {
  const { method, bodyType } = endpoint;
  if (bodyType && YAML_TYPES.test(type)) return true;
  if ((method === "PATCH" ? PATCH_TYPES : JSON_TYPES).test(type)) return false;
  const wanted = bodyType ?? jsonTypeOf(endpoint);
  throw new Problem("unsupported_media_type", `Send the body with Content-Type: ${wanted}.`);
}

function readText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString();
  throw new Problem("invalid_request", "The body is not UTF-8.", {
    errors: [{ pointer: "", message: "must be text in UTF-8" }],
  });
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

/**
 * Parses path, query and body by the endpoint's schemas.
 * @throws Problem invalid_request with all faults at once, up to 100
 */
export function parseRequest(endpoint: Endpoint, match: Match, search: string, body: Body | undefined) {
  const faults: Fault[] = [];
  const parse = (schema: z.ZodType | undefined, value: unknown) => {
    if (!schema) return undefined;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) for (const fault of faultsOf(issue)) faults.push(fault);
    return undefined;
  };
  const params = parse(endpoint.params, match.params);
  const query = endpoint.query ? parse(endpoint.query, readQuery(search, faults)) : refuseQuery(search, faults);
  // No body at all stands for an object without fields, or for an empty text.
  const nothing = endpoint.bodyType ? "" : {};
  const parsedBody = endpoint.body ? parse(endpoint.body, body?.json ?? (body ? null : nothing)) : undefined;
  if (!endpoint.body && body && !isEmptyObject(body.json))
    faults.push({ pointer: "", message: "this endpoint takes no body" });
  if (faults.length > 0) {
    const [first] = faults;
    const detail = `${first?.pointer ? `${first.pointer} ` : ""}${first?.message}`;
    const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : "";
    throw new Problem("invalid_request", `${detail}${more}`, { errors: faults.slice(0, MAX_FAULTS) });
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
