import type { Fault } from "../errors.ts";
import type { DefinitionSource, LockedMember, VersionStatus } from "../schemas/definition.ts";
import type { DefinitionKind, TeamDocument } from "../schemas/definition-document.ts";
import { resolve } from "./versions.ts";

/** What becomes of a definition. */
export interface Settled {
  kind: DefinitionKind;
  ownerTeam: string | undefined;
  current: string | undefined;
  currentSource: DefinitionSource | undefined;
  versions: Map<string, { status: VersionStatus; contentHash: string }>;
}

/** What teams mean by their members, among definitions as they are settled; `retired` have no versions to give. */
export function membersOf(settled: ReadonlyMap<string, Settled>, retired: ReadonlySet<string>) {
  const meanings = new Map<string, Map<string, string | undefined>>();

  function lookUp(id: string, range: string): string | undefined {
    const definition = settled.get(id);
    const isLive = definition && (definition.current !== undefined || !retired.has(id));
    if (!isLive) return undefined;
    const published = [...definition.versions].filter(([, { status }]) => status === "PUBLISHED");
    return resolve(range, { versions: published.map(([version]) => version), current: definition.current });
  }

  /** The version that is meant. A thousand teams may ask the same of one of 200: it is found out once. */
  function meant(id: string, range: string): string | undefined {
    const known = meanings.get(id) ?? new Map<string, string | undefined>();
    meanings.set(id, known);
    if (!known.has(range)) known.set(range, lookUp(id, range));
    return known.get(range);
  }

  return {
    meant,
    /** A version of `id` was published: it may mean another now. */
    forget: (id: string) => void meanings.delete(id),
    /** The exact versions of a team's members; `missing` is the first that has none. */
    lockOf({ metadata, members }: TeamDocument) {
      const lock: LockedMember[] = [];
      const faults: Fault[] = [];
      let missing: string | undefined;
      members.forEach(({ id, version: range }, index) => {
        const version = id === metadata.id ? undefined : meant(id, range);
        if (version !== undefined) lock.push({ id, version });
        else {
          faults.push({ pointer: `/members/${index}`, message: unresolved(id, range) });
          missing ??= id;
        }
      });
      return { lock, faults, missing };
    },
  };
}

/** Says that a range means no version. */
export function unresolved(id: string, range: string): string {
  return range === "latest" ? `${id} has no current version` : `${id} has no published version that fits ${range}`;
}
