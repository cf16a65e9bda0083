import { isUtf8 } from "node:buffer";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import * as z from "zod";
import { type Fault, Problem } from "../errors.ts";
import { parseJson } from "./json.ts";

/**
 * A form in which an endpoint takes its body: how it is told from others, read and described. Every endpoint takes JSON;
 * an endpoint's `forms` are what it takes beside.
 */
export interface BodyForm<S extends z.ZodType | undefined = z.ZodType | undefined> {
  /** The media type by which it is asked for and described. */
  type: string;
  /** Whether this is what was sent; `bytes` are undefined when there is no body. */
  isOf(headers: IncomingHttpHeaders, bytes: Buffer | undefined): boolean;
  /**
   * Makes of it the value that a schema then checks. Faults of what is no part of that value are added to `faults`.
   * @throws Problem when there is nothing that could be checked
   */
  read(req: IncomingMessage, bytes: Buffer | undefined, faults: Fault[]): unknown;
  /** What checks the value; without one the endpoint's `body` does. */
  schema?: S;
  /** Where in the request stands what has this path in the value, if it is not the same. */
  placeOf?(path: readonly PropertyKey[]): PropertyKey[];
  /** What the headers add to the bytes: two requests that differ in it are not the same under one idempotency key. */
  headingOf?(req: IncomingMessage): string;
  /** As it is described, if not by the endpoint's `body`. */
  described?: z.ZodType;
  /** What it says in headers, as it is described. */
  headers?: Record<string, z.ZodType>;
}

/** What a body may be sent as; a merge patch in JSON has a name of its own (RFC 7396). */
const JSON_TYPES = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i;
const PATCH_TYPES = /^application\/(merge-patch\+)?json\s*(;\s*charset="?utf-8"?\s*)?$/i;
/** YAML had several types before RFC 9512. */
const YAML_TYPES = /^(application|text)\/(x-)?yaml\s*(;\s*charset="?utf-8"?\s*)?$/i;

/** JSON. No body at all stands for an object without fields. */
export const jsonForm: BodyForm<undefined> = {
  type: "application/json",
  isOf: (headers, bytes) => !bytes || JSON_TYPES.test(headers["content-type"] ?? ""),
  read: (_req, bytes) => (bytes ? parseJson(bytes) : {}),
};

/** A merge patch: JSON by either name. */
export const patchForm: BodyForm<undefined> = {
  ...jsonForm,
  type: "application/merge-patch+json",
  isOf: (headers, bytes) => !bytes || PATCH_TYPES.test(headers["content-type"] ?? ""),
};

/** YAML, given as text. No body at all stands for an empty one. */
export const yamlForm: BodyForm<undefined> = {
  type: "application/yaml",
  isOf: (headers, bytes) => !bytes || YAML_TYPES.test(headers["content-type"] ?? ""),
  read: (_req, bytes) => (bytes ? readText(bytes) : ""),
  described: z.string(),
};

function readText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString();
  throw new Problem("invalid_request", "The body is not UTF-8.", {
    errors: [{ pointer: "", message: "must be text in UTF-8" }],
  });
}
