import type * as z from "zod";
import type { EventFilters } from "../schemas/event-filters.ts";
import type { Priority } from "../schemas/message.ts";
import { evaluate, type Mismatch } from "./event-filters.ts";
import { priorityRank } from "./priority.ts";

type PriorityWord = z.output<typeof Priority>;

/** A subscription whose pattern fits an event's type. */
export interface Candidate {
  subscriptionId: string;
  eventType: string;
  filters?: EventFilters | undefined;
  /** Of what is made of the event; without it the event's own. */
  priority?: PriorityWord | undefined;
  aiAgentAddress?: string | undefined;
  definitionId?: string | undefined;
  fromVersion?: string | undefined;
  /** Why the definition takes no tasks now. */
  closed?: string | undefined;
}

/** A subscription that leads an event to its target. */
export interface Match extends Candidate {
  priority: PriorityWord;
}

/** Whom an event reaches, and whom it does not though the pattern fits. */
export interface Matches {
  matched: Match[];
  missed: (Match & { because?: Mismatch[]; closed?: string | undefined })[];
}

/**
 * Decides who gets an event. Each inbox and each definition gets it once, by the subscription of the highest priority
 * of those that fit (of the oldest, where they are alike).
 */
export function matchesOf(
  event: { data?: unknown; priority: PriorityWord },
  candidates: readonly Candidate[],
): Matches {
  const found = new Map<string, Match>();
  const missed: Matches["missed"] = [];
  for (const candidate of candidates) {
    const match = { ...candidate, priority: candidate.priority ?? event.priority };
    const because = evaluate(candidate.filters ?? {}, event.data);
    if (because.length > 0) missed.push({ ...match, because });
    else if (candidate.closed !== undefined) missed.push(match);
    else {
      const target = candidate.aiAgentAddress ?? `definition/${candidate.definitionId}`;
      const before = found.get(target);
      if (!before || priorityRank(match.priority) < priorityRank(before.priority)) found.set(target, match);
    }
  }
  return { matched: [...found.values()], missed };
}
