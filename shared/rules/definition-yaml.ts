import { Composer, type CST, type Document, Lexer, LineCounter, Parser } from "yaml";
import type * as z from "zod";
import type { Fault } from "../errors.ts";
import { DefinitionDocument, MAX_DOCUMENT_BYTES } from "../schemas/definition-document.ts";
import { inOurForm, type OurForm } from "./definition-forms.ts";
import { faultsOf, MAX_FAULTS, pointer } from "./faults.ts";
import { YamlValues } from "./yaml-values.ts";

/** What is wrong in a YAML text: a JSON pointer into the document as it is written there, and where that is (from 1). */
export interface DocumentFault extends Fault {
  line?: number;
  column?: number;
}

/** One document of a YAML text. */
export interface ReadDefinition {
  /** Read and filled with defaults; absent when there are faults. */
  document?: DefinitionDocument;
  /** As far as the text tells them, for the result of what is refused. */
  id?: string;
  version?: string;
  faults: DocumentFault[];
  /** What is not refused, and perhaps not meant; absent when there is nothing. */
  warnings?: Fault[];
}

/** Most words, signs, spaces and line ends of a text; of ours there are 330,000 in a mebibyte: parsing takes up to 3 µs for one. */
const MAX_LEXEMES = 350_000;
/** Deepest nesting that is parsed: far above what a document may have, far below what the parser's stack bears. */
const MAX_DEPTH = 100;

/** Core and 1.2 always; no duplicate keys either, but the parser's own search for them is quadratic. */
const OPTIONS = {
  version: "1.2",
  schema: "core",
  uniqueKeys: false,
  resolveKnownTags: false,
  prettyErrors: false,
  logLevel: "silent",
} as const;

/** Most characters of what the parser says. */
const MAX_WORDS = 200;

type Located = Fault & { offset: number };
type WrittenFault = OurForm["faults"][number] & { part?: "key" | "value" };

/**
 * Reads all documents of a YAML text, in order, in each of the three forms; empty ones are left out. Never throws: what
 * cannot be read is a fault of its document, or of the one result when it is the whole text that is refused.
 */
export function readDefinitions(text: string): ReadDefinition[] {
  if (Buffer.byteLength(text) > MAX_DOCUMENT_BYTES) return [refused("must be at most 1 MiB in all")];
  const lines = new LineCounter();
  const documents = parse(text.replace(/^\ufeff/, ""), lines);
  if (!documents) return [refused(`must be at most ${MAX_LEXEMES} words and signs in all: send it in parts`)];
  const place = ({ offset, ...fault }: Located): DocumentFault => {
    const { line, col } = lines.linePos(Math.max(offset, 0));
    return { ...fault, line, column: col };
  };
  return documents.flatMap((parsed) => {
    const read = readDocument(parsed);
    if (!read) return [];
    const faults = read.faults.toSorted((a, b) => a.offset - b.offset).slice(0, MAX_FAULTS);
    return [{ ...read, faults: faults.map(place) }];
  });
}

/** Reads a document that was parsed already, in each of the three forms; its faults have no place in a text. */
export function readDefinition(written: unknown): ReadDefinition {
  const form = inOurForm(written);
  const told = { ...textOf(form.document, "id"), ...textOf(form.document, "version") };
  const result = DefinitionDocument.safeParse(form.document);
  if (result.success && form.faults.length === 0) return { ...told, document: result.data, faults: [] };
  const issues = form.document === undefined ? [] : (result.error?.issues ?? []);
  const faults = [...form.faults, ...schemaFaults(issues, form)].slice(0, MAX_FAULTS);
  return { ...told, faults: faults.map(({ path, message }) => ({ pointer: pointer(path), message })) };
}

function refused(message: string): ReadDefinition {
  return { faults: [{ pointer: "", message }] };
}

interface Parsed {
  document: Document.Parsed;
  /** Where it is nested so deeply that it was not parsed. */
  tooDeep: number | undefined;
}

/** Undefined when it would take too long. */
function parse(text: string, lines: LineCounter): Parsed[] | undefined {
  const lexemes: string[] = [];
  for (const lexeme of new Lexer().lex(text)) if (lexemes.push(lexeme) > MAX_LEXEMES) return undefined;
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer(OPTIONS);
  const documents: Document.Parsed[] = [];
  const tooDeep = new Map<number, number>();
  const take = (tokens: Iterable<CST.Token>): void => {
    for (const token of tokens) {
      const depth = token.type === "document" ? beyondDepth(token) : undefined;
      if (depth !== undefined) tooDeep.set((token as CST.Document).offset, depth);
      documents.push(...composer.next(depth === undefined ? token : without(token as CST.Document)));
    }
  };
  // Each of the parser's errors takes a stack along: 350,000 of them 4 s, without stacks 0.3 s.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    lines.addNewLine(0);
    for (const lexeme of lexemes) take(parser.next(lexeme));
    take(parser.end());
    documents.push(...composer.end(true, text.length));
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return documents.map((document) => ({ document, tooDeep: tooDeep.get(document.range[0]) }));
}

function without({ value: _, ...document }: CST.Document): CST.Document {
  return document;
}

/** Where a document is nested too deeply; level by level, not by recursion. */
function beyondDepth({ value }: CST.Document): number | undefined {
  let level = value ? [value] : [];
  for (let depth = 0; level.length > 0; depth++) {
    const [first] = level;
    if (depth > MAX_DEPTH) return first?.offset;
    level = level.flatMap((token) =>
      "items" in token ? token.items.flatMap((item) => [item.key, item.value].filter((child) => !!child)) : [],
    );
  }
  return undefined;
}

/** Undefined when there is nothing in it. */
function readDocument({
  document,
  tooDeep,
}: Parsed): (Omit<ReadDefinition, "faults"> & { faults: Located[] }) | undefined {
  if (tooDeep !== undefined)
    return { faults: [{ pointer: "", message: "must not be nested deeper than 64 levels", offset: tooDeep }] };
  const values = new YamlValues(document.contents);
  const syntax = syntaxFaults(document, values);
  if (values.value === null && syntax.length === 0 && values.faults.length === 0) return undefined;
  const unread = values.faults.map(({ path, ...fault }) => ({ pointer: pointer(path), ...fault }));
  const form = inOurForm(values.value);
  const told = { ...textOf(form.document, "id"), ...textOf(form.document, "version") };
  if (syntax.length > 0) return { ...told, faults: [...syntax, ...unread] };
  const located = ({ path, message, part = "key" }: WrittenFault): Located => {
    return { pointer: pointer(path), message, offset: values.offsetAt(path, part) };
  };
  const faults: Located[] = [...unread, ...form.faults.map(located)];
  if (form.document === undefined) return { faults };
  const result = DefinitionDocument.safeParse(form.document);
  const warnings = values.warnings.map(({ path, message }) => ({ pointer: pointer(path), message }));
  if (result.success && faults.length === 0)
    return { ...told, document: result.data, faults, ...(warnings.length > 0 && { warnings }) };
  // What could not be read has been told already, in better words than what stands in for it would get.
  const known = new Set(unread.map((fault) => fault.pointer));
  const refused = schemaFaults(result.error?.issues ?? [], form).map(located);
  const more = refused.filter((fault) => !known.has(fault.pointer));
  return { ...told, faults: [...faults, ...more] };
}

/** What the schema refuses, where it was written; of what is not a field the key is the fault. */
function schemaFaults(issues: z.core.$ZodIssue[], { writtenAt }: OurForm) {
  return issues.slice(0, MAX_FAULTS).flatMap((issue) => {
    const keys = issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : undefined;
    return faultsOf(issue).map(({ message }, index) => ({
      path: writtenAt(keys?.[index] ?? issue.path),
      message,
      part: keys ? ("key" as const) : ("value" as const),
    }));
  });
}

/** What the parser refuses or warns about; unknown tags are told by `YamlValues`, with a pointer. */
function syntaxFaults({ errors, warnings, directives }: Document.Parsed, values: YamlValues): Located[] {
  const isTold = values.faults.length > 0;
  const all = [...errors, ...warnings.filter(({ code }) => !(isTold && code === "TAG_RESOLVE_FAILED"))];
  const faults = all
    .slice(0, MAX_FAULTS)
    .map((error) => ({ pointer: "", message: `is not YAML: ${wordsOf(error)}`, offset: error.pos[0] }));
  const { version } = directives.yaml;
  const message = `must be YAML 1.2, and says that it is ${version}, where yes, no and 010 mean something else`;
  return version === "1.2" ? faults : [{ pointer: "", message, offset: 0 }, ...faults];
}

/** The parser's words, which may quote the whole text, and what is meant by those about the most usual mistakes. */
function wordsOf({ code, message }: Document.Parsed["errors"][number] | Document.Parsed["warnings"][number]): string {
  if (code === "BLOCK_AS_IMPLICIT_KEY")
    return `${message}: text with ": " in it needs quotes, and the fields of one map stand below one another`;
  return message.length > MAX_WORDS ? `${message.slice(0, MAX_WORDS).toWellFormed()}…` : message;
}

function textOf(document: unknown, field: "id" | "version"): { [name in typeof field]?: string } {
  const metadata = (document as { metadata?: Record<string, unknown> } | undefined)?.metadata;
  const value = metadata?.[field];
  return typeof value === "string" ? { [field]: value } : {};
}
