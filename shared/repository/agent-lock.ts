import * as z from "zod";
import { type Sql, sql } from "../db/sql.ts";
import { agentNotFound, Problem } from "../errors.ts";
import { AgentState } from "../schemas/agent.ts";
import { agentsWithInbox } from "./agent-rows.ts";
import { notYours, seesInside } from "./authority.ts";
import { tell } from "./definition-store.ts";
import type { Context, Repository } from "./index.ts";

/** An agent whose row is locked. */
export type LockedAgent = z.output<typeof LockedAgent>;
const LockedAgent = z.object({
  agentId: z.string(),
  aiAgentAddress: z.string(),
  ownerTeam: z.string().optional(),
  state: AgentState,
  definitionId: z.string().optional(),
  revision: z.int(),
});

interface Deciding {
  revisions: readonly number[] | undefined;
  reason?: string | undefined;
  /** Nothing may come to refer to it meanwhile: it is to be deleted. */
  forDeletion?: boolean;
  /** Its inbox is to be changed too: locked before it, as claims do. */
  withInbox?: boolean;
}

/** 100,000 tasks take 10 s to end with their agent: a deletion gets what a scheduled function gets. */
const MANY = { statementTimeoutSeconds: 55 };

/**
 * Runs `work` in a transaction with the agent's row locked: what is decided over one agent, and what it claims, come one
 * after the other. Whatever depends on others' claims must be a statement of its own, whose snapshot shows them.
 * @throws Problem agent_not_found, revision_mismatch; forbidden when the caller does not act for it
 */
export function decidingOver<T>(
  { transaction }: Context,
  agentId: string,
  { revisions, reason, forDeletion, withInbox }: Deciding,
  work: (agent: LockedAgent, bound: Context, repo: Repository) => Promise<T>,
): Promise<T> {
  return transaction(
    async (repo, bound) => {
      if (withInbox)
        await bound.db.execute(
          "agents.lock_inbox",
          sql`select from ${agentsWithInbox} where a.agent_id = ${agentId} for no key update of i`,
        );
      const agent = await lockAgent(bound, sql`a.agent_id = ${agentId}`, forDeletion ? sql`update` : undefined);
      if (!agent) throw agentNotFound(agentId);
      if (!seesInside(bound.caller, agent)) throw notYours(bound.caller, agent.aiAgentAddress);
      if (revisions && !revisions.includes(agent.revision))
        throw new Problem("revision_mismatch", `The agent is at revision ${agent.revision}.`);
      await tell(bound, "reason", reason);
      return work(agent, bound, repo);
    },
    forDeletion ? MANY : {},
  );
}

/** Locks the agent `a` that fits the condition, if there is one. */
export function lockAgent({ db }: Context, which: Sql, lock: Sql = sql`no key update`) {
  return db.maybe(
    "agents.lock",
    LockedAgent,
    sql`
      select a.agent_id as "agentId", a.ai_agent_address as "aiAgentAddress", i.owner_team as "ownerTeam", a.state,
        a.definition_id as "definitionId", a.revision
      from ${agentsWithInbox}
      where ${which}
      for ${lock} of a`,
  );
}
