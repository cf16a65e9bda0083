import type { AgentState } from "../schemas/agent.ts";

/** Which states may follow each; the database refuses every other change too. */
export const FOLLOWING: Record<AgentState, readonly AgentState[]> = {
  CREATED: ["RUNNING", "STOPPED"],
  RUNNING: ["PAUSED", "DRAINING", "STOPPED", "FAILED"],
  PAUSED: ["RUNNING", "STOPPED"],
  DRAINING: ["STOPPED"],
  STOPPED: ["RUNNING"],
  FAILED: ["RUNNING", "STOPPED"],
};

/** What can be asked of an agent; `drain` is a stop that lets it end what it works on. */
export type AgentVerb = "start" | "stop" | "drain" | "pause" | "resume" | "restart";

/** From which states each is possible, and the states that it leads through. */
const VERBS: Record<AgentVerb, { from: readonly AgentState[]; through: readonly AgentState[] }> = {
  start: { from: ["CREATED", "STOPPED", "FAILED"], through: ["RUNNING"] },
  stop: { from: ["CREATED", "RUNNING", "PAUSED", "DRAINING", "FAILED"], through: ["STOPPED"] },
  drain: { from: ["RUNNING"], through: ["DRAINING"] },
  pause: { from: ["RUNNING"], through: ["PAUSED"] },
  resume: { from: ["PAUSED"], through: ["RUNNING"] },
  restart: { from: ["CREATED", "RUNNING", "PAUSED", "DRAINING", "FAILED"], through: ["STOPPED", "RUNNING"] },
};

/** The states that a command leads an agent through, or nothing when it cannot be given to one in this state. */
export function statesOf(verb: AgentVerb, state: AgentState): readonly AgentState[] | undefined {
  const { from, through } = VERBS[verb];
  return from.includes(state) ? through : undefined;
}

/** What an agent in this state can be told. */
export function verbsFor(state: AgentState): AgentVerb[] {
  return (Object.keys(VERBS) as AgentVerb[]).filter((verb) => VERBS[verb].from.includes(state));
}

/** The states in which an agent may have tasks in its hand, and is not deleted. */
export const BUSY_STATES: readonly AgentState[] = ["RUNNING", "PAUSED", "DRAINING"];
/** The states in which tasks may be submitted to it; one that went silent keeps its queue, as an inbox keeps messages. */
export const ACCEPTING_STATES: readonly AgentState[] = ["CREATED", "RUNNING", "PAUSED", "FAILED"];
