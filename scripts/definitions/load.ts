import { setTimeout as delay } from "node:timers/promises";
import { type Imported, ImportedAll } from "../../shared/schemas/definition.ts";
import type { Answered } from "../in-process.ts";
import { type FileDocument, readFolder } from "./files.ts";

/** A document of a folder, and what became of it. */
export interface Loaded extends FileDocument {
  result: Imported;
}

interface Manner {
  /** Sends JSON to a path of the service. */
  post(path: string, json: string): Promise<Answered>;
  publish: boolean;
  dryRun: boolean;
  progress?(done: number, all: number): void;
}

/** Far below the 1 MiB that a body may have, so that what a file has too much of is never another file's fault. */
const BODY_BYTES = 512 * 1024;
/** Half of what one call may have. */
const BODY_DOCUMENTS = 1000;
const ATTEMPTS = 5;
/** When a service that is not there just now does not say when it will be. */
const RETRY_SECONDS = 1;
const MAX_RETRY_SECONDS = 10;

/**
 * Imports all definitions of a folder, or of a file. Each file is read here, by the same rules as in the service: so a
 * fault has its place in its file, and what one file is like does nothing to the others. What can be read is sent on as
 * JSON, which takes the service a tenth of the time to read.
 * @throws Error in one line, when the folder cannot be read or has no documents, or the service does not take what is sent
 */
export async function loadDefinitions(path: string, manner: Manner): Promise<Loaded[]> {
  const all = readFolder(path);
  // A pipeline whose folder is the wrong one is not to end well.
  if (all.length === 0) throw new Error(`there is no *.yaml or *.yml with a document in ${path}`);
  const results = new Map<FileDocument, Imported>();
  for (const one of all) if (!one.document) results.set(one, invalid(one, one.faults));
  const readable = all.filter(({ document }) => document);
  const bodies = bodiesOf(readable);
  for (const body of bodies) {
    manner.progress?.(results.size, all.length);
    await sendTo(results, body, manner);
  }
  manner.progress?.(results.size, all.length);
  if (bodies.length > 1) await sendAgain(readable, results, manner);
  return all.map((one) => ({ ...one, result: told(one, results.get(one) as Imported, manner) }));
}

/** With what only is known here: what the file says in doubtful words, and that somebody's draft is left as it is. */
function told({ warnings: read = [] }: FileDocument, result: Imported, { publish }: Manner): Imported {
  const isLeft = publish && result.action === "unchanged" && result.status === "DRAFT";
  const left = isLeft ? [{ pointer: "", message: "stays a draft until it is published by a call" }] : [];
  const warnings = [...read, ...left, ...(result.warnings ?? [])];
  return { ...result, ...(warnings.length > 0 && { warnings }) };
}

/** A team's members, and an agent's sub-agents, may have come in a later body. */
async function sendAgain(documents: FileDocument[], results: Map<FileDocument, Imported>, manner: Manner) {
  const unresolved = () => documents.filter((one) => results.get(one)?.problem?.code === "member_unresolved");
  for (let left = unresolved(), before = Number.POSITIVE_INFINITY; left.length > 0 && left.length < before; ) {
    for (const body of bodiesAgain(left, documents, manner)) await sendTo(results, body, manner);
    before = left.length;
    left = unresolved();
  }
  const warned = documents.filter((one) => results.get(one)?.warnings);
  const again = new Map<FileDocument, Imported>();
  for (const body of bodiesAgain(warned, documents, manner)) await sendTo(again, body, manner);
  for (const one of warned) {
    const { warnings: first = [], ...result } = results.get(one) as Imported;
    // What is said of the whole follows from what it was before, and is not said twice.
    const warnings = [
      ...first.filter(({ pointer }) => pointer === ""),
      ...(again.get(one)?.warnings ?? []).filter(({ pointer }) => pointer !== ""),
    ];
    results.set(one, { ...result, ...(warnings.length > 0 && { warnings }) });
  }
}

/** In a dry run nothing is there that came before: each goes with all that it refers to. */
function bodiesAgain(documents: FileDocument[], all: FileDocument[], { dryRun }: Manner): FileDocument[][] {
  if (!dryRun) return bodiesOf(documents);
  const byId = Map.groupBy(all, ({ id }) => id);
  return documents.map((one) => {
    const body = new Set([one]);
    for (const { document } of body)
      for (const id of referredBy(document)) for (const found of byId.get(id) ?? []) body.add(found);
    return [...body];
  });
}

function referredBy(document: FileDocument["document"]): string[] {
  if (!document) return [];
  return (document.kind === "Team" ? document.members : document.subagents).map(({ id }) => id);
}

function bodiesOf(documents: FileDocument[]): FileDocument[][] {
  const bodies: FileDocument[][] = [];
  let room = 0;
  for (const one of documents) {
    const bytes = Buffer.byteLength(jsonOf(one));
    const body = bodies.at(-1);
    if (body && bytes <= room && body.length < BODY_DOCUMENTS) body.push(one);
    else {
      bodies.push([one]);
      room = BODY_BYTES;
    }
    room -= bytes;
  }
  return bodies;
}

function jsonOf({ document }: FileDocument): string {
  return JSON.stringify(document);
}

/** Sends documents in one call, or when that is more than one call takes, in two. */
async function sendTo(results: Map<FileDocument, Imported>, body: FileDocument[], manner: Manner): Promise<void> {
  const { publish, dryRun } = manner;
  const path = `/v1/definitions/import?publish=${publish}&dryRun=${dryRun}&source=loader`;
  const answer = await insist(() => manner.post(path, `[${body.map(jsonOf).join(",")}]`));
  if (answer.status !== 200 && answer.status !== 413) throw new Error(refusalOf(answer));
  const read = answer.status === 200 ? ImportedAll.safeParse(parsed(answer)) : undefined;
  if (read && !read.success) throw new Error(refusalOf(answer));
  const imported =
    read?.data.results ?? body.slice(0, 1).map((one) => invalid(one, [{ pointer: "", message: refusalOf(answer) }]));
  if (imported.length === body.length)
    body.forEach((one, index) => {
      // The places are those of what was sent.
      const { errors, ...result } = imported[index] as Imported;
      results.set(one, {
        ...result,
        ...(errors && { errors: errors.map(({ pointer, message }) => ({ pointer, message })) }),
      });
    });
  else if (body.length > 1) {
    const half = Math.ceil(body.length / 2);
    await sendTo(results, body.slice(0, half), manner);
    await sendTo(results, body.slice(half), manner);
  } else throw new Error(`for one document it answers ${imported.length} results: is it of another version?`);
}

/** Asks again, as long as the answer is to come later. */
async function insist(ask: () => Promise<Answered>): Promise<Answered> {
  for (let attempt = 1; ; attempt++) {
    const answer = await ask();
    if (![429, 503].includes(answer.status) || attempt === ATTEMPTS) return answer;
    const seconds = Number(answer.headers["retry-after"] ?? RETRY_SECONDS);
    await delay(1000 * Math.min(Number.isFinite(seconds) ? seconds : RETRY_SECONDS, MAX_RETRY_SECONDS));
  }
}

function refusalOf(answer: Answered): string {
  const { code, detail } = (parsed(answer) ?? {}) as { code?: string; detail?: string };
  if (!code) return `it answers ${answer.status}: is the URL right?`;
  return `${code}: ${detail}${answer.status === 401 ? " Is CAMS_KEY right?" : ""}`;
}

function parsed({ text }: Answered): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function invalid({ id, version }: FileDocument, errors: FileDocument["faults"]): Imported {
  return { ...(id !== undefined && { id }), ...(version !== undefined && { version }), action: "invalid", errors };
}
