import { pointer } from "./faults.ts";

/** A definition in our own form, though not checked yet, and where its parts stand in the form it was written in. */
export interface OurForm {
  /** For `DefinitionDocument` to read; undefined when it is no definition in any form. */
  document: unknown;
  /** What is wrong in the form itself; the paths are the written ones. */
  faults: { path: PropertyKey[]; message: string }[];
  /** A path of the document as it is in what was written; of what is missing, where it would be. */
  writtenAt(path: PropertyKey[]): PropertyKey[];
}

interface Field {
  /** How it may be called, if not by its own name in snake_case or camelCase. */
  names?: string[];
  /** The fields of this object, or of each object of this list; what is no field of it goes to its extensions. */
  fields?: Fields;
  each?: Fields;
  /** Which field of each it is that a mere text stands for. */
  short?: string;
  /** Our value for theirs. */
  convert?: (value: unknown) => unknown;
  /** What it is where it is not written. */
  otherwise?: string;
}
type Fields = Record<string, Field>;

/** A number that rises by one, or none at all. */
const VERSION: Field = { convert: versionOf, otherwise: "1.0.0" };
const metadata = { name: {}, role: {}, description: {}, author: {}, tags: {}, ownerTeam: {} };

/** `metadata:`, `goal:`, `triggers:` and so on. */
const REGISTRY: Fields = {
  metadata: { fields: { id: {}, version: { convert: versionOf }, ...metadata } },
  goal: { fields: { type: {}, description: {} } },
  model: {},
  instructions: {},
  tools: {},
  skills: {},
  settings: {},
  triggers: {
    each: { eventType: { names: ["type", "event_type", "eventType"] }, priority: { convert: upperCase }, filters: {} },
  },
  eventPools: {},
  subagents: { each: { id: {}, version: {}, delegateFor: {} } },
  permissions: {},
  config: {
    fields: {
      maxParallelTasks: {},
      approvalRequiredFor: {},
      autoRetry: {},
      feedbackCollection: {},
      timeoutSeconds: {},
      budgetLimitUsd: {},
      enabled: {},
    },
  },
};

/** What stands in the section `agent:` or `team:`, or beside it. */
const IN_SECTION = {
  agent: { id: { names: ["agent_id", "agentId", "id"] }, version: VERSION, ...metadata },
  team: { id: { names: ["team_id", "teamId", "id"] }, version: VERSION, ...metadata },
} satisfies Record<string, Fields>;

/** What stands beside the section, or in it. */
const BESIDE_SECTION: Record<keyof typeof IN_SECTION, Fields> = {
  agent: { model: {}, instructions: {}, tools: {}, settings: {} },
  team: {
    model: {},
    instructions: {},
    settings: {},
    storage: {},
    members: {
      short: "id",
      each: { id: { names: ["id", "agent_id", "agentId"] }, version: { convert: versionOf }, role: {} },
    },
  },
};

const NO_FORM = "must have kind: Agent or kind: Team, or one of the sections agent, team or metadata";

/** Brings what is written in any of the three forms into ours; drops nothing. */
export function inOurForm(written: unknown): OurForm {
  if (!isObject(written)) return { document: undefined, faults: [{ path: [], message: NO_FORM }], writtenAt };
  if (Object.hasOwn(written, "kind")) return { document: written, faults: [], writtenAt };
  const sections = (["agent", "team"] as const).filter((name) => Object.hasOwn(written, name));
  const [section] = sections;
  if (sections.length > 1)
    return { document: undefined, faults: [{ path: ["team"], message: "must not stand beside agent" }], writtenAt };
  if (!section && !Object.hasOwn(written, "metadata"))
    return { document: undefined, faults: [{ path: [], message: NO_FORM }], writtenAt };
  const translation = new Translation();
  const document = section ? translation.sectioned(written, section) : translation.registry(written);
  return { document, faults: translation.faults, writtenAt: (path) => translation.writtenAt(path) };
}

function writtenAt(path: PropertyKey[]): PropertyKey[] {
  return path;
}

/** An object of the old form: what is taken from it leaves the rest. */
interface Source {
  path: PropertyKey[];
  rest: Map<string, unknown>;
}

interface Taken {
  path: PropertyKey[];
  value: unknown;
}

class Translation {
  readonly faults: OurForm["faults"] = [];
  readonly #written = new Map<string, PropertyKey[]>();

  writtenAt(path: PropertyKey[]): PropertyKey[] {
    for (let length = path.length; length > 0; length--) {
      const found = this.#written.get(pointer(path.slice(0, length)));
      if (found) return [...found, ...path.slice(length)];
    }
    return path;
  }

  registry(written: Record<string, unknown>): unknown {
    return { kind: "Agent", ...(this.#object(REGISTRY, written, [], []) as object) };
  }

  sectioned(written: Record<string, unknown>, name: keyof typeof IN_SECTION): unknown {
    const beside = sourceOf(written, []);
    const section = written[name];
    const inside = sourceOf(section, [name]);
    beside.rest.delete(name);
    this.#written.set("/metadata", [name]);
    const metadata = this.#fields(IN_SECTION[name], [inside, beside], ["metadata"]);
    const mode = name === "team" ? this.#fields({ mode: {} }, [inside, beside], []) : {};
    const fields = this.#fields(BESIDE_SECTION[name], [beside, inside], []);
    const isSection = section === null || isObject(section);
    return {
      kind: name === "team" ? "Team" : "Agent",
      metadata: isSection ? { ...metadata, ...this.#extensions(inside, ["metadata"]) } : section,
      ...mode,
      ...fields,
      ...this.#settings(fields.settings, beside),
      ...this.#extensions(beside, []),
    };
  }

  /** Takes the flat settings: single values that are no field, and of which `settings` says nothing else. */
  #settings(written: unknown, { path, rest }: Source): { settings?: unknown } {
    if (written !== undefined && !isObject(written)) return {};
    const settings = new Map(Object.entries(written ?? {}));
    for (const [name, value] of rest) {
      if (typeof value === "object" && value !== null) continue;
      if (settings.has(name) && settings.get(name) !== value) continue;
      if (!settings.has(name)) this.#written.set(pointer(["settings", name]), [...path, name]);
      settings.set(name, value);
      rest.delete(name);
    }
    return settings.size > 0 || written ? { settings: Object.fromEntries(settings) } : {};
  }

  #object(fields: Fields, written: unknown, from: PropertyKey[], to: PropertyKey[]): unknown {
    if (!isObject(written)) return written;
    const source = sourceOf(written, from);
    return { ...this.#fields(fields, [source], to), ...this.#extensions(source, to) };
  }

  /** What the fields are in the first source that has them. An empty value (`author:`) is none. */
  #fields(fields: Fields, sources: [Source, ...Source[]], to: PropertyKey[]): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    for (const [name, field] of Object.entries(fields)) {
      const names = field.names ?? [...new Set([snakeCase(name), name])];
      const at = [...to, name];
      let found: Taken | undefined;
      for (const source of sources) found ??= this.#take(names, source);
      const path = found?.path ?? [...sources[0].path, names[0] as string];
      this.#written.set(pointer(at), path);
      if (found) result[name] = this.#value(field, found.value, path, at);
      else if (field.otherwise) result[name] = field.otherwise;
    }
    return result;
  }

  #take(names: string[], { path, rest }: Source): Taken | undefined {
    const [first, ...more] = names.filter((name) => rest.has(name));
    if (first === undefined) return undefined;
    for (const name of more) this.faults.push({ path: [...path, name], message: `is the same field as ${first}` });
    const value = rest.get(first);
    for (const name of [first, ...more]) rest.delete(name);
    return value === null ? undefined : { path: [...path, first], value };
  }

  #value({ fields, each, short, convert }: Field, written: unknown, from: PropertyKey[], to: PropertyKey[]): unknown {
    const value = convert ? convert(written) : written;
    if (fields) return this.#object(fields, value, from, to);
    if (!each || !Array.isArray(value)) return value;
    return value.map((item, index) => {
      if (!short || typeof item !== "string") return this.#object(each, item, [...from, index], [...to, index]);
      this.#written.set(pointer([...to, index, short]), [...from, index]);
      return { [short]: item };
    });
  }

  #extensions({ path, rest }: Source, to: PropertyKey[]): { extensions?: Record<string, unknown> } {
    for (const name of rest.keys()) this.#written.set(pointer([...to, "extensions", name]), [...path, name]);
    return rest.size > 0 ? { extensions: Object.fromEntries(rest) } : {};
  }
}

function sourceOf(written: unknown, path: PropertyKey[]): Source {
  return { path, rest: new Map(isObject(written) ? Object.entries(written) : []) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function upperCase(value: unknown): unknown {
  return typeof value === "string" ? value.toUpperCase() : value;
}

/** Of whole numbers, as versions were, a semantic version; any other number as it reads, to be refused as a version. */
function versionOf(value: unknown): unknown {
  if (typeof value !== "number") return value;
  return Number.isInteger(value) ? `${value}.0.0` : String(value);
}
