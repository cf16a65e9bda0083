import { isUtf8 } from "node:buffer";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import * as z from "zod";
import { type Fault, Problem } from "../errors.ts";
import { pointer } from "../rules/faults.ts";
import {
  ATTRIBUTES,
  BinaryEvent,
  CloudEventBatchJson,
  CloudEventJson,
  cloudEventHeaders,
  EventBatch,
  MAX_EVENTS,
  StructuredEvent,
} from "../schemas/cloudevent.ts";
import { type BodyForm, jsonForm } from "./forms.ts";
import { parseJson } from "./json.ts";

/** Most bytes of an event as JSON in UTF-8. */
const MAX_EVENT_BYTES = 256 * 1024;
const CLOUDEVENT_TYPES = /^application\/cloudevents/i;
const STRUCTURED = /^application\/cloudevents\+json\s*(;\s*charset="?utf-8"?\s*)?$/i;
const BATCH = /^application\/cloudevents-batch\+json\s*(;\s*charset="?utf-8"?\s*)?$/i;
const JSON_DATA = /^[^/;]+\/([^;]*\+)?json\s*(;|$)/i;
const TEXT_DATA = /^text\//i;
const OTHER_CHARSET = /;\s*charset\s*=(?!\s*"?(utf-8|us-ascii)"?\s*(;|$))/i;
/** Attributes that are not in headers: the body is the data, and Content-Type is its type. */
const IN_BODY = new Set(["data", "data_base64", "datacontenttype"]);

const isObject = (json: unknown) => typeof json === "object" && json !== null && !Array.isArray(json);

/**
 * Takes an event's JSON apart: its attributes, and under `extensions` the pairs of all the rest. An attribute that is null
 * is not set; data that is null is data.
 * @throws Problem body_too_large
 */
function parted(json: unknown, at = ""): unknown {
  if (!isObject(json)) return json;
  fits(json, at);
  const pairs = Object.entries(json as object).filter(([name, value]) => value !== null || name === "data");
  const isAttribute = ([name]: [string, unknown]) =>
    ATTRIBUTES.has(name) && !(name === "data_base64" && Object.hasOwn(json as object, "data"));
  return {
    ...Object.fromEntries(pairs.filter(isAttribute)),
    extensions: pairs.filter((pair) => !isAttribute(pair)),
  };
}

function fits<T>(json: T, at = ""): T {
  if (Buffer.byteLength(JSON.stringify(json)) <= MAX_EVENT_BYTES) return json;
  const errors = [{ pointer: at, message: "must be at most 256 KiB as JSON" }];
  throw new Problem("body_too_large", "An event may have 256 KiB at most as JSON.", { errors });
}

/** Extensions stand among the attributes in what was sent. */
const flat = (path: readonly PropertyKey[]) => {
  const at = path.indexOf("extensions");
  return at < 0 ? [...path] : path.toSpliced(at, 1);
};

const structured: BodyForm<typeof StructuredEvent> = {
  type: "application/cloudevents+json",
  isOf: (headers) => STRUCTURED.test(headers["content-type"] ?? ""),
  read: (_req, bytes) => parted(bytes ? parseJson(bytes) : {}),
  schema: StructuredEvent,
  placeOf: flat,
  described: CloudEventJson,
};

const batch: BodyForm<typeof EventBatch> = {
  type: "application/cloudevents-batch+json",
  isOf: (headers) => BATCH.test(headers["content-type"] ?? ""),
  read(_req, bytes) {
    const json = bytes ? parseJson(bytes) : [];
    return Array.isArray(json) && json.length <= MAX_EVENTS
      ? json.map((event, index) => parted(event, pointer([index])))
      : json;
  },
  schema: EventBatch,
  placeOf: flat,
  described: CloudEventBatchJson,
};

const binary: BodyForm<typeof BinaryEvent> = {
  type: "*/*",
  isOf: (headers) => !CLOUDEVENT_TYPES.test(headers["content-type"] ?? "") && hasAttributes(headers),
  read(req, bytes, faults) {
    const type = req.headers["content-type"] ?? (bytes && "application/json");
    return parted({
      ...Object.fromEntries(attributesOf(req, faults)),
      ...(type !== undefined && { datacontenttype: type }),
      ...(bytes && dataOf(type ?? "", bytes)),
    });
  },
  schema: BinaryEvent,
  placeOf(path) {
    const [name, ...below] = flat(path);
    if (name === "datacontenttype") return ["content-type"];
    return name === undefined || IN_BODY.has(String(name)) ? [] : [`ce-${String(name)}`, ...below];
  },
  headingOf(req) {
    const attributes = attributeHeaders(req).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `${JSON.stringify([req.headers["content-type"] ?? "", ...attributes])}\n`;
  },
  described: z.unknown().meta({ description: "The data of a CloudEvent in binary mode, of any type." }),
  headers: cloudEventHeaders,
};

const plain: BodyForm<undefined> = {
  ...jsonForm,
  read: (req, bytes, faults) => fits(jsonForm.read(req, bytes, faults)),
};

/** As `eventForms`, one event at a time. */
export const oneEventForms = [structured, binary, plain];

/**
 * CloudEvents 1.0 over HTTP: structured, in batches, and binary (any type, as soon as there is a `ce-` header); without any
 * sign of it, the JSON of the endpoint's `body`. Each event may have 256 KiB as JSON.
 */
export const eventForms = [structured, batch, binary, plain];

function hasAttributes(headers: IncomingHttpHeaders): boolean {
  for (const name in headers) if (name.startsWith("ce-")) return true;
  return false;
}

function attributeHeaders(req: IncomingMessage): [string, string[]][] {
  return Object.entries(req.headersDistinct).flatMap(([name, values]) =>
    name.startsWith("ce-") && values ? [[name, values]] : [],
  );
}

function attributesOf(req: IncomingMessage, faults: Fault[]): [string, string][] {
  const attributes: [string, string][] = [];
  for (const [header, values] of attributeHeaders(req)) {
    const fault = (message: string) => faults.push({ pointer: pointer([header]), message });
    const name = header.slice("ce-".length);
    const [raw = ""] = values;
    const value = decoded(raw);
    if (values.length > 1) fault("is given twice");
    if (value === undefined) fault("is not percent-encoded UTF-8");
    if (IN_BODY.has(name)) fault("is not a header here: the body is the data, and Content-Type its type");
    else attributes.push([name, value ?? raw]);
  }
  return attributes;
}

/** What a header's value stands for: unquoted if it was quoted, then percent-decoded; undefined if it is not UTF-8. */
function decoded(raw: string): string | undefined {
  if (!/[^\x20-\x7e]|%|^"/.test(raw)) return raw;
  const text = /^"(?:[^"\\]|\\.)*"$/.test(raw) ? raw.slice(1, -1).replace(/\\(.)/g, "$1") : raw;
  if (/%(?![\dA-Fa-f]{2})/.test(text)) return undefined;
  const byte = (_: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16));
  // Node reads headers as Latin-1, a character for each byte. Some senders leave UTF-8 as it is.
  const bytes = Buffer.from(text.replace(/%(..)/g, byte), "latin1");
  return isUtf8(bytes) ? bytes.toString() : undefined;
}

function dataOf(type: string, bytes: Buffer): { data: unknown } | { data_base64: string } {
  if (JSON_DATA.test(type)) return { data: parseJson(bytes) };
  if (TEXT_DATA.test(type) && !OTHER_CHARSET.test(type) && isUtf8(bytes)) return { data: bytes.toString() };
  return { data_base64: bytes.toString("base64") };
}
