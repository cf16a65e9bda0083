import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isMap, isNode, isSeq, LineCounter, parseAllDocuments } from "yaml";
import { type ReadDefinition, readDefinitions } from "../../shared/rules/definition-yaml.ts";
import { MAX_DOCUMENT_BYTES } from "../../shared/schemas/definition-document.ts";

/** One document of a file, or what stands in for those of a file that cannot be read. */
export interface FileDocument extends ReadDefinition {
  file: string;
  /** Which of the file's documents, from 0. */
  index: number;
}

/**
 * Reads every definition of a folder and the folders in it, or of one file; by path, hidden ones and node_modules aside.
 * A file that cannot be read is a fault of its own.
 * @throws Error when there is no such folder or file
 */
export async function readFolder(path: string): Promise<FileDocument[]> {
  const isFolder = (await stat(path)).isDirectory();
  const files = isFolder ? (await filesIn(path)).toSorted((a, b) => (a < b ? -1 : 1)) : [path];
  const read: FileDocument[] = [];
  for (const file of files) {
    const found = await readText(file).then(readDefinitions, (error: Error) => [refused(error.message)]);
    read.push(...found.map((one, index) => ({ ...one, file, index })));
  }
  return read;
}

/** Links to files are followed, as a folder mounted from Kubernetes consists of them; links to folders may be loops. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.name.startsWith(".") || entry.name === "node_modules") return [];
      if (entry.isDirectory()) return filesIn(path);
      if (!/\.ya?ml$/i.test(entry.name)) return [];
      const isFolder = entry.isSymbolicLink() && (await stat(path).catch(() => undefined))?.isDirectory();
      return isFolder ? [] : [path];
    }),
  );
  return found.flat();
}

/** @throws Error that says what is wrong with the file */
async function readText(file: string): Promise<string> {
  const { size } = await stat(file);
  if (size > MAX_DOCUMENT_BYTES) throw new Error("must be at most 1 MiB");
  const bytes = await readFile(file);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Error("must be text in UTF-8");
  }
}

function refused(message: string): ReadDefinition {
  return { faults: [{ pointer: "", message }] };
}

/** Where a pointer of a document leads in its file, or the nearest parent that is written there. */
export async function placeOf(
  { file, index }: FileDocument,
  pointer: string,
): Promise<{ line?: number; column?: number }> {
  const lines = new LineCounter();
  try {
    const all = parseAllDocuments(await readText(file), { lineCounter: lines, logLevel: "silent", uniqueKeys: false });
    const document =
      "empty" in all ? undefined : all.filter(({ contents, errors }) => contents !== null || errors.length > 0)[index];
    let node: unknown = document?.contents;
    let offset = isNode(node) ? node.range?.[0] : undefined;
    for (const key of pointer
      .split("/")
      .slice(1)
      .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))) {
      const next: unknown = isMap(node) ? node.get(key, true) : isSeq(node) ? node.get(Number(key), true) : undefined;
      if (!isNode(next)) break;
      offset = next.range?.[0] ?? offset;
      node = next;
    }
    if (offset === undefined) return {};
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  } catch {
    // It was read a moment ago; if it is gone, its name has to do.
    return {};
  }
}
