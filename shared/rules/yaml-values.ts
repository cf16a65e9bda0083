import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, type Scalar, type YAMLMap, type YAMLSeq } from "yaml";
import { parseExactly } from "../json.ts";
import { MAX_DOCUMENT_BYTES } from "../schemas/definition-document.ts";
import { MAX_FAULTS } from "./faults.ts";

/** What cannot be read as it is written, and at which character of the text. */
export interface ValueFault {
  path: PropertyKey[];
  message: string;
  offset: number;
}

/** Where an entry of a map or list stands in the text. */
interface Place {
  key: number;
  value: number;
}

const OURS = "tag:yaml.org,2002:";
/** The tags of YAML's core schema, and what a scalar must be to bear one. */
const TAGS: Record<string, string> = {
  "!": "string",
  [`${OURS}str`]: "string",
  [`${OURS}int`]: "number",
  [`${OURS}float`]: "number",
  [`${OURS}bool`]: "boolean",
  [`${OURS}null`]: "object",
};
/** Most entries that `<<` brings in: each takes five bytes of JSON, as in `"":1,`. */
const MAX_MERGED = MAX_DOCUMENT_BYTES / 5;

/**
 * Makes plain values of a document's nodes and remembers where they stood. An alias gives the very value it stands for,
 * so the work follows the text and not what the text would be when written out.
 */
export class YamlValues {
  readonly faults: ValueFault[] = [];
  /** What is read, but perhaps not as it is meant. */
  readonly warnings: Omit<ValueFault, "offset">[] = [];
  readonly value: unknown;
  readonly #root: number;
  readonly #path: PropertyKey[] = [];
  readonly #anchors = new Map<string, { value?: unknown; isOpen: boolean }>();
  readonly #places = new WeakMap<object, Map<PropertyKey, Place>>();
  #merged = 0;

  constructor(root: Node | null) {
    this.#root = root ? offsetOf(root) : 0;
    this.value = root && this.#read(root);
  }

  /** At which character the value of a path stands, or its key; of what is missing, the nearest parent that is there. */
  offsetAt(path: readonly PropertyKey[], part: "key" | "value" = "value"): number {
    let offset = this.#root;
    let value = this.value;
    for (const [depth, key] of path.entries()) {
      const isObject = typeof value === "object" && value !== null;
      const place = isObject ? this.#places.get(value as object)?.get(key) : undefined;
      if (!place) return offset;
      offset = depth === path.length - 1 ? place[part] : place.value;
      value = (value as Record<PropertyKey, unknown>)[key];
    }
    return offset;
  }

  /** Answers what stands in for the value that cannot be read. */
  #fault<T>(message: string, offset: number, instead: T): T {
    if (this.faults.length < MAX_FAULTS) this.faults.push({ path: [...this.#path], message, offset });
    return instead;
  }

  #read(node: Node): unknown {
    if (isAlias(node)) {
      const anchor = this.#anchors.get(node.source);
      if (!anchor)
        return this.#fault(`there is no &${node.source} before this in the same document`, offsetOf(node), null);
      if (anchor.isOpen) return this.#fault(`*${node.source} is a part of itself`, offsetOf(node), null);
      return anchor.value;
    }
    const anchor: { value?: unknown; isOpen: boolean } = { isOpen: true };
    const name = (node as Scalar).anchor;
    if (name) this.#anchors.set(name, anchor);
    const value = isMap(node) ? this.#map(node) : isSeq(node) ? this.#list(node) : this.#scalar(node as Scalar);
    if (node.tag && !isTagged(node, value))
      this.#fault(`the tag ${node.tag.replace(OURS, "!!")} is not taken here`, offsetOf(node), undefined);
    return Object.assign(anchor, { value, isOpen: false }).value;
  }

  #list(node: YAMLSeq): unknown[] {
    const places = new Map<PropertyKey, Place>();
    const list = node.items.map((item, index) => {
      const offset = offsetOf(item as Node);
      places.set(index, { key: offset, value: offset });
      return this.#at(index, item as Node);
    });
    this.#places.set(list, places);
    return list;
  }

  #map(node: YAMLMap): Record<string, unknown> {
    const places = new Map<PropertyKey, Place>();
    const entries = new Map<string, unknown>();
    let merge: Pair<Node, Node | null> | undefined;
    for (const pair of node.items as Pair<Node, Node | null>[]) {
      const at = offsetOf(pair.key);
      const isMerge = isScalar(pair.key) && pair.key.type === "PLAIN" && pair.key.source === "<<" && !pair.key.tag;
      const key = isMerge ? "<<" : this.#key(pair.key);
      if (key === undefined) continue;
      if (isMerge ? merge : entries.has(key)) this.#at(key, null, () => this.#fault("is there twice", at, undefined));
      else if (isMerge) merge = pair;
      else {
        places.set(key, { key: at, value: pair.value ? offsetOf(pair.value) : at });
        entries.set(key, this.#at(key, pair.value));
      }
    }
    if (merge?.value) this.#at("<<", merge.value, (value) => this.#merge(value, merge.value as Node, entries, places));
    const map = Object.fromEntries(entries);
    this.#places.set(map, places);
    return map;
  }

  #merge(value: unknown, node: Node, entries: Map<string, unknown>, places: Map<PropertyKey, Place>): undefined {
    for (const source of Array.isArray(value) ? value : [value]) {
      if (typeof source !== "object" || source === null || Array.isArray(source)) {
        const isTold = this.faults.at(-1)?.offset === offsetOf(node);
        return isTold ? undefined : this.#fault("must be a map or a list of maps", offsetOf(node), undefined);
      }
      if (this.#merged > MAX_MERGED) return;
      const from = this.#places.get(source);
      const keys = Object.keys(source);
      this.#merged += keys.length;
      if (this.#merged > MAX_MERGED)
        return this.#fault("merges more than 1 MiB has room for", offsetOf(node), undefined);
      for (const key of keys) {
        if (entries.has(key)) continue;
        entries.set(key, source[key]);
        places.set(key, from?.get(key) ?? { key: offsetOf(node), value: offsetOf(node) });
      }
    }
  }

  /** A number is a key as it is written, if that is how the number reads (`8080`, but neither `0x10` nor `1.0`). */
  #key(node: Node): string | undefined {
    const value = isScalar(node) || isAlias(node) ? this.#read(node) : undefined;
    if (typeof value === "string") return value;
    if (typeof value === "number" && (!isScalar(node) || String(value) === node.source)) return String(value);
    return this.#fault("a key must be text: put it in quotes", offsetOf(node), undefined);
  }

  #scalar(node: Scalar): unknown {
    if (typeof node.value !== "number") return node.value;
    if (!Number.isFinite(node.value)) return this.#fault("must be a finite number", offsetOf(node), 0);
    if (!isKept(node.value, node.source ?? ""))
      this.#fault("has more digits than a number keeps: put it in quotes", offsetOf(node), undefined);
    return node.value === 0 ? 0 : node.value;
  }

  #at<T = unknown>(key: PropertyKey, node: Node | null, then = (value: unknown) => value as T): T {
    this.#path.push(key);
    const message = isScalar(node) && node.type === "PLAIN" && !node.tag ? doubtOf(node) : undefined;
    if (message && this.warnings.length < MAX_FAULTS) this.warnings.push({ path: [...this.#path], message });
    const result = then(node && this.#read(node));
    this.#path.pop();
    return result;
  }
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

/** What a reader of YAML 1.1, such as PyYAML, takes for true, for false, or for text or another number. */
function doubtOf({ source = "", value }: Scalar): string | undefined {
  if (/^(?:yes|no|on|off)$/i.test(source))
    return `${source} is text in YAML 1.2: write true or false, or put it in quotes`;
  return /^[-+]?0\d+$/.test(source) ? `is read as ${value}: put it in quotes to keep its zeros` : undefined;
}

function isTagged(node: Node, value: unknown): boolean {
  if (isMap(node)) return node.tag === `${OURS}map`;
  if (isSeq(node)) return node.tag === `${OURS}seq`;
  return TAGS[node.tag ?? ""] === typeof value;
}

/** Whether a number as written is the number that was read, digit by digit. */
function isKept(value: number, source: string): boolean {
  if (/^0[xo]/.test(source)) return BigInt(source) === BigInt(value);
  const [, sign = "", digits = "", rest = ""] = /^([-+]?)0*(\d*)(.*)$/.exec(source) ?? [];
  const json = `${sign === "-" ? "-" : ""}${digits || "0"}${rest.replace(/\.(?=$|[eE])/, "")}`;
  return typeof parseExactly(json) === "number";
}
