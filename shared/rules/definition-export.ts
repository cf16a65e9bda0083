import { Document, Scalar, visit } from "yaml";
import * as z from "zod";
import { AgentDocument, type DefinitionDocument, TeamDocument } from "../schemas/definition-document.ts";

/** What YAML 1.1 takes for something else than text is put in quotes. */
const OPTIONS = { version: "1.2", schema: "core", compat: "yaml-1.1", aliasDuplicateObjects: false } as const;
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
export function writeDefinition(document: z.output<typeof DefinitionDocument>): string {
  const schema = document.kind === "Agent" ? AgentDocument : TeamDocument;
  const yaml = new Document(inOrder(schema, document), OPTIONS);
  visit(yaml, {
    Scalar(_key, scalar) {
      // `=` alone is a value of its own kind in YAML 1.1, and refused by its readers.
      const { value } = scalar;
      if (typeof value === "string" && (value === "=" || value.search(UNSAFE) >= 0)) scalar.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return yaml.toString(LAYOUT).replace(UNSAFE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
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
