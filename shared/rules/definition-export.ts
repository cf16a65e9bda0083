import {
  type CreateNodeOptions,
  Document,
  type DocumentOptions,
  Scalar,
  type ScalarTag,
  type SchemaOptions,
  visit,
} from "yaml";
import * as z from "zod";
import { AgentDocument, type DefinitionDocument, TeamDocument } from "../schemas/definition-document.ts";

/** A number such as 1e+21 gets a point: without, it is text in YAML 1.1. */
const POINTED: ScalarTag = {
  tag: "tag:yaml.org,2002:float",
  default: true,
  identify: (value) => typeof value === "number" && /^-?\d+e/.test(String(value)),
  test: /^-?\d\.0e[-+]\d+$/,
  resolve: Number,
  stringify: ({ value }) => String(value).replace("e", ".0e"),
};
/** What YAML 1.1 takes for something else than text is put in quotes. */
const OPTIONS: DocumentOptions & SchemaOptions & CreateNodeOptions = {
  schema: "core",
  compat: "yaml-1.1",
  customTags: (tags) => [POINTED, ...tags],
  aliasDuplicateObjects: false,
};
const LAYOUT = {
  lineWidth: 0,
  blockQuote: "literal",
  doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER,
} as const;

/** What some readers refuse, take for the end of a line, or leave out, unless it is escaped. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

/**
 * A document in our own form as YAML, the same bytes for equal documents: fields in the schema's order, free objects by
 * their keys; lists and objects that are empty by default are left out.
 */
export function writeDefinition(document: DefinitionDocument): string {
  const schema = document.kind === "Agent" ? AgentDocument : TeamDocument;
  const yaml = new Document(inOrder(schema, document), OPTIONS);
  visit(yaml, {
    Scalar(_key, scalar) {
      if (typeof scalar.value === "string" && isDelicate(scalar.value)) scalar.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return yaml.toString(LAYOUT).replace(UNSAFE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Whether a text is not safe as a block or plain: `=` alone is a value of its own kind to readers of YAML 1.1. */
function isDelicate(text: string): boolean {
  const isBlock = text.includes("\n");
  return text === "=" || text.search(UNSAFE) >= 0 || (isBlock && /^\s|[^\S\n]$|\n\n$/.test(text));
}

/** Maps instead of objects, which would put keys such as `10` first. */
function inOrder(schema: z.core.$ZodType | undefined, value: unknown): unknown {
  if (value === 0) return 0;
  if (typeof value !== "object" || value === null) return value;
  const inner = unwrapped(schema);
  if (Array.isArray(value)) {
    const element = inner instanceof z.ZodArray ? inner.element : undefined;
    return value.map((item) => inOrder(element, item));
  }
  const fields: Record<string, unknown> = { ...value };
  const shape = inner instanceof z.ZodObject ? inner.shape : undefined;
  const names = shape ? Object.keys(shape).filter((name) => isWritten(shape[name], fields[name])) : keysOf(value);
  return new Map(names.map((name) => [name, inOrder(shape?.[name], fields[name])]));
}

function keysOf(value: object): string[] {
  return Object.keys(value).toSorted((a, b) => (a < b ? -1 : 1));
}

function isWritten(schema: z.core.$ZodType | undefined, value: unknown): boolean {
  const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  return value !== undefined && !(isEmpty && schema instanceof z.ZodDefault);
}

function unwrapped(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  const isWrapper =
    schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  return isWrapper ? unwrapped(schema.unwrap()) : schema;
}
