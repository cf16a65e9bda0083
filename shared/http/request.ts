import type { IncomingMessage } from "node:http";
import type * as z from "zod";
import { type Fault, Problem } from "../errors.ts";
import { faultsOf, MAX_FAULTS, pointer } from "../rules/faults.ts";
import type { Endpoint } from "./endpoint.ts";
import { type BodyForm, jsonForm, patchForm } from "./forms.ts";
import type { Match } from "./route.ts";

/** Most bytes of a body. */
export const MAX_BODY_BYTES = 1024 * 1024;
/** Over the limit it is read on, unseen, to this size, so that the sender reaches its end and reads the answer. */
const MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES;

/** On the framework's own path the body has been read already. */
type Request = IncomingMessage & { rawBody?: Buffer };

/** A body as it came and as it was read. */
export interface Body {
  /** Undefined when there is none. */
  bytes: Buffer | undefined;
  form: BodyForm;
  value: unknown;
  /** Faults of what is no part of the value. */
  faults: Fault[];
}

/**
 * Reads a request's body, in one of the forms that the endpoint takes it.
 * @throws Problem unsupported_media_type, body_too_large, malformed_json, invalid_request
 */
export async function readBody(req: Request, endpoint: Pick<Endpoint, "method" | "forms">): Promise<Body> {
  const bytes = await bytesOf(req);
  const forms = formsOf(endpoint);
  const form = forms.find(({ isOf }) => isOf(req.headers, bytes));
  if (!form) {
    // Any type is taken with more headers only, which are not what is missing here.
    const types = [...new Set(forms.map(({ type }) => type))].filter((type) => type !== "*/*");
    throw new Problem(
      "unsupported_media_type",
      `Send the body with Content-Type: ${types.join(", ").replace(/, ([^,]+)$/, " or $1")}.`,
    );
  }
  const encoding = req.headers["content-encoding"];
  if (bytes && encoding !== undefined && encoding !== "identity")
    throw new Problem("unsupported_media_type", "Send the body without Content-Encoding.");
  const faults: Fault[] = [];
  return { bytes, form, value: form.read(req, bytes, faults), faults };
}

const JSON_FORMS = [jsonForm];
const PATCH_FORMS = [patchForm];

/** The forms an endpoint takes its body in; JSON, which every one takes, is the last. */
export function formsOf({ method, forms }: Pick<Endpoint, "method" | "forms">): readonly BodyForm[] {
  const json = method === "PATCH" ? PATCH_FORMS : JSON_FORMS;
  return forms ? [...forms, ...json] : json;
}

async function bytesOf(req: Request): Promise<Buffer | undefined> {
  const { "content-length": length, "transfer-encoding": chunked } = req.headers;
  if (chunked === undefined && (length === undefined || length === "0")) return undefined;
  const tooLarge = length !== undefined && Number(length) > MAX_BODY_BYTES;
  const bytes = req.rawBody ?? (await collect(req, tooLarge));
  if (!bytes || bytes.length > MAX_BODY_BYTES) throw new Problem("body_too_large", "A body may have 1 MiB at most.");
  return bytes.length === 0 ? undefined : bytes;
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
  const faults = [...(body?.faults ?? [])];
  const parse = (schema: z.ZodType | undefined, value: unknown, placeOf?: BodyForm["placeOf"]) => {
    if (!schema) return undefined;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues)
      for (const fault of faultsOf(placeOf ? { ...issue, path: placeOf(issue.path) } : issue)) faults.push(fault);
    return undefined;
  };
  const params = parse(endpoint.params, match.params);
  const query = endpoint.query ? parse(endpoint.query, readQuery(search, faults)) : refuseQuery(search, faults);
  const parsedBody = body && parse(endpoint.body && (body.form.schema ?? endpoint.body), body.value, body.form.placeOf);
  if (!endpoint.body && body && !isEmptyObject(body.value))
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
