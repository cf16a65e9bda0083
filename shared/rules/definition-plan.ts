import { type Fault, forbidden, Problem } from "../errors.ts";
import type { DefinitionSource, LockedMember, VersionStatus } from "../schemas/definition.ts";
import type { DefinitionDocument, DefinitionKind, TeamDocument } from "../schemas/definition-document.ts";
import { type Caller, decidesOver, isUnbound, teamOf } from "./access.ts";
import { membersOf, type Settled, unresolved } from "./definition-members.ts";
import { compare } from "./versions.ts";

/** A document that is to be a version. */
export interface Incoming {
  document: DefinitionDocument;
  contentHash: string;
}

/** A definition as it is, with all its versions. */
export interface Known {
  id: string;
  kind: DefinitionKind;
  ownerTeam?: string | undefined;
  retired: boolean;
  currentVersion?: string | undefined;
  currentSource?: DefinitionSource | undefined;
  versions: { version: string; status: VersionStatus; contentHash: string }[];
}

/** How documents are taken in. */
export interface Manner {
  source: DefinitionSource;
  publish: boolean;
  /** When what is published becomes current: whatever is current, if it is higher, or not at all. */
  activate: "always" | "ifHigher" | "never";
  /** Whether a retired definition may live again. */
  revives: boolean;
}

/** What becomes of one document. */
export interface Outcome {
  action: "created" | "replaced" | "published" | "unchanged" | "conflict";
  status?: VersionStatus;
  current?: boolean;
  lock?: LockedMember[];
  problem?: Problem;
  warnings: Fault[];
}

interface Team {
  document: TeamDocument;
  outcome: Outcome;
}

/**
 * Decides what becomes of documents and their definitions, in whatever order they come: a team finds members that come
 * with it. `known` are the definitions they are versions of or refer to.
 */
export function plan(incoming: readonly Incoming[], known: readonly Known[], manner: Manner, caller: Caller) {
  const retired = new Set(known.filter((one) => one.retired).map(({ id }) => id));
  const settled = new Map<string, Settled>(
    known.map(({ currentVersion: current, versions, ...one }) => [
      one.id,
      {
        kind: one.kind,
        ownerTeam: one.ownerTeam,
        current,
        currentSource: one.currentSource,
        versions: new Map(versions.map(({ version, ...rest }) => [version, rest])),
      },
    ]),
  );
  const firsts = new Map<string, number>();
  const { meant, lockOf, forget } = membersOf(settled, retired);
  const outcomes = incoming.map(admit);
  const toPublish = incoming
    .map((one, index) => ({ ...one, outcome: outcomes[index] as Outcome }))
    .filter(({ outcome }) => manner.publish && !["unchanged", "conflict"].includes(outcome.action));
  for (const { document, outcome } of toPublish) if (document.kind === "Agent") publish(document, outcome);
  publishTeams(toPublish.flatMap(({ document, outcome }) => (document.kind === "Team" ? [{ document, outcome }] : [])));
  incoming.forEach((one, index) => {
    finish(one, index, outcomes[index] as Outcome);
  });
  return { outcomes, settled };

  function admit({ document, contentHash }: Incoming, index: number): Outcome {
    const { id, version } = document.metadata;
    const name = `${id} ${version}`;
    const first = incoming[firsts.get(name) ?? -1];
    if (first?.contentHash === contentHash) return { action: "unchanged", warnings: [] };
    if (first) return conflict(new Problem("version_exists", `${name} comes twice, with different contents.`));
    firsts.set(name, index);
    const before = settled.get(id)?.versions.get(version);
    const action = before ? actionOn(before, contentHash) : "created";
    const refusal = refusalOf(document, settled.get(id), action);
    if (refusal) return conflict(refusal);
    take(document, contentHash, action);
    return { action, warnings: [] };
  }

  function refusalOf(document: DefinitionDocument, definition: Settled | undefined, action: Outcome["action"]) {
    const { id, version } = document.metadata;
    const { kind, ownerTeam } = definition ?? { kind: document.kind, ownerTeam: teamOf(caller) };
    const status = definition?.versions.get(version)?.status;
    if (definition && !decidesOver(caller, ownerTeam)) return notYourDefinition(caller, id);
    if (kind !== document.kind)
      return new Problem("definition_kind_mismatch", `${id} is of kind ${kind}: give the ${document.kind} another id.`);
    if (action === "conflict") {
      const code = status === "DRAFT" ? "version_exists" : "version_immutable";
      return new Problem(code, `${id} ${version} is ${status} with other content: give it another version.`);
    }
    if (action === "unchanged") return undefined;
    if (retired.has(id) && !manner.revives)
      return new Problem("definition_retired", `${id} is retired: publish or activate a version of it first.`);
    const givesAway = document.metadata.ownerTeam !== undefined && document.metadata.ownerTeam !== ownerTeam;
    return givesAway && action !== "published" && !isUnbound(caller)
      ? forbidden("Only an administrator gives a definition to another team.")
      : undefined;
  }

  /** What exists with the same content is left as it is, but for a draft that is to be published. */
  function actionOn(before: { status: VersionStatus; contentHash: string }, contentHash: string): Outcome["action"] {
    const isOwnDraft = before.status === "DRAFT" && manner.source !== "loader";
    if (before.contentHash !== contentHash) return isOwnDraft ? "replaced" : "conflict";
    return isOwnDraft && manner.publish ? "published" : "unchanged";
  }

  function take({ kind, metadata }: DefinitionDocument, contentHash: string, action: Outcome["action"]): void {
    const definition = settled.get(metadata.id) ?? {
      kind,
      ownerTeam: metadata.ownerTeam ?? caller.team,
      current: undefined,
      currentSource: undefined,
      versions: new Map(),
    };
    settled.set(metadata.id, definition);
    if (action === "unchanged") return;
    definition.versions.set(metadata.version, { status: "DRAFT", contentHash });
  }

  function publish({ metadata: { id, version } }: DefinitionDocument, outcome: Outcome): void {
    const definition = settled.get(id) as Settled;
    const place = definition.versions.get(version);
    if (place) place.status = "PUBLISHED";
    forget(id);
    const { current, currentSource } = definition;
    const isHigher = current === undefined || compare(version, current) > 0;
    if (manner.activate === "never" || (manner.activate === "ifHigher" && !isHigher)) return;
    // What somebody made current stays so, however often a folder is loaded.
    if (manner.source === "loader" && current !== undefined && currentSource !== "loader")
      outcome.warnings.push({ pointer: "", message: `${current} stays current, because it was made so by a call` });
    else Object.assign(definition, { current: version, currentSource: manner.source });
  }

  /** Members before their teams, so that a lock does not depend on the order in which they come. */
  function publishTeams(teams: Team[]): void {
    const byId = Map.groupBy(teams, ({ document }) => document.metadata.id);
    const seen = new Set<Team>();
    const queue: Team[] = [];
    const enqueue = (team: Team): void => {
      if (seen.has(team)) return;
      seen.add(team);
      for (const id of new Set(team.document.members.map((member) => member.id))) byId.get(id)?.forEach(enqueue);
      queue.push(team);
    };
    teams.forEach(enqueue);
    // Where they are members of one another, one may have to wait for another's.
    const waiting = new Map<string, Team[]>();
    for (const team of queue) {
      const { id } = team.document.metadata;
      const { lock, missing } = lockOf(team.document);
      if (missing !== undefined) waiting.set(missing, [...(waiting.get(missing) ?? []), team]);
      else {
        team.outcome.lock = lock;
        publish(team.document, team.outcome);
        queue.push(...(waiting.get(id) ?? []));
        waiting.delete(id);
      }
    }
    for (const { document, outcome } of [...waiting.values()].flat()) {
      const { faults: errors } = lockOf(document);
      const names = errors.map(({ message }) => message).join("; ");
      const problem = new Problem("member_unresolved", `${document.metadata.id} is not published: ${names}.`, {
        errors,
      });
      Object.assign(outcome, { action: "conflict", problem });
    }
  }

  function finish({ document, contentHash }: Incoming, index: number, outcome: Outcome): void {
    const { id, version } = document.metadata;
    const first = firsts.get(`${id} ${version}`) as number;
    const original = outcomes[first] as Outcome;
    // The same document again shares the fate of the first.
    if (first !== index && outcome.action === "unchanged" && original.action === "conflict")
      Object.assign(outcome, original);
    const definition = settled.get(id);
    const place = definition?.versions.get(version);
    if (outcome.action === "conflict" || place?.contentHash !== contentHash) return;
    outcome.status = place.status;
    outcome.current = definition?.current === version;
    // An administrator gives it away by naming another team; what is only published names whom it belonged to.
    if (definition && (outcome.action === "created" || outcome.action === "replaced"))
      definition.ownerTeam = document.metadata.ownerTeam ?? definition.ownerTeam;
    if (document.kind === "Agent")
      document.subagents.forEach(({ id, version: range }, index) => {
        if (meant(id, range) === undefined)
          outcome.warnings.push({ pointer: `/subagents/${index}`, message: unresolved(id, range) });
      });
    else if (place.status === "DRAFT") outcome.warnings.push(...lockOf(document).faults);
  }
}

function conflict(problem: Problem): Outcome {
  return { action: "conflict", problem, warnings: [] };
}

/** The refusal of a decision over a definition by somebody whose team does not own it. */
export function notYourDefinition({ principal }: Caller, id: string): Problem {
  return forbidden(`${principal} does not decide over ${id}: another team owns it.`);
}
