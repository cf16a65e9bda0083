import type { Hints } from "../db/hints.ts";
import type { Match } from "../rules/event-matching.ts";
import { poolTopic, topicsOf } from "../rules/topics.ts";

/** Tells whoever waits that something was made for it of an event. */
export function announce(hints: Hints, matched: readonly Match[], ...others: string[]): void {
  const topics = matched.flatMap(({ aiAgentAddress, definitionId }) => [
    ...(aiAgentAddress !== undefined ? topicsOf(aiAgentAddress) : []),
    ...(definitionId !== undefined ? [poolTopic(definitionId)] : []),
  ]);
  for (const topic of new Set([...topics, ...others])) hints.publish(topic);
}
