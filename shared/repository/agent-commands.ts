import * as z from "zod";
import { sql } from "../db/sql.ts";
import { Problem } from "../errors.ts";
import { type AgentVerb, statesOf, verbsFor } from "../rules/agent-states.ts";
import { topicsOf } from "../rules/topics.ts";
import type { AgentState } from "../schemas/agent.ts";
import { decidingOver, type LockedAgent, lockAgent } from "./agent-lock.ts";
import type { Context } from "./index.ts";
import { returnTasks } from "./returns.ts";
import { announceQueues } from "./task-rows.ts";

const Working = z.object({ tasks: z.int() });
const Named = z.object({ agentId: z.string() });

interface Command {
  reason?: string | undefined;
  revisions?: readonly number[] | undefined;
}

const STOPPED_BY_COMMAND = "the agent was stopped";
const DRAINED = "drained";

/** One step along the states that are allowed; the database records it, and refuses any other. */
async function moveTo(
  { db, now, caller }: Context,
  agentId: string,
  state: AgentState,
  reason: string | undefined,
): Promise<void> {
  await db.execute(
    "agents.move",
    sql`
      update cams.agents a set
        state = ${state}, state_reason = ${reason}, updated_at = ${now}, updated_by = ${caller.principal},
        revision = a.revision + 1
      where a.agent_id = ${agentId}`,
  );
}

async function worksOnNothing({ db, now }: Context, agentId: string): Promise<boolean> {
  const { tasks } = await db.one(
    "agents.working",
    Working,
    sql`select cams.working_tasks(${agentId}, ${now}) as tasks`,
  );
  return tasks === 0;
}

/** Leads an agent from state to state; answers in which it is now. */
async function lead(
  bound: Context,
  agentId: string,
  through: readonly AgentState[],
  reason: string | undefined,
): Promise<AgentState | undefined> {
  for (const state of through) {
    await moveTo(bound, agentId, state, reason);
    if (state === "STOPPED") await returnTasks(bound, [agentId], STOPPED_BY_COMMAND);
    if (state === "DRAINING" && (await worksOnNothing(bound, agentId)))
      return lead(bound, agentId, ["STOPPED"], DRAINED);
  }
  return through.at(-1);
}

interface Told {
  state: AgentState | undefined;
  reason?: string | undefined;
  drain?: boolean;
}

/** Tells an agent what it was told to do, in its inbox; one that takes no messages is not told. */
async function tellAgent(
  { db, now, hints }: Context,
  { agentId, aiAgentAddress }: LockedAgent,
  verb: string,
  told: Told,
): Promise<void> {
  const payload = JSON.stringify({ agentId, ...told });
  await db.execute(
    "agents.tell",
    sql`select cams.send_from_cams(${aiAgentAddress}, ${`agent.${verb}`}, ${payload}::json, 3, ${now})`,
  );
  for (const topic of topicsOf(aiAgentAddress)) db.afterCommit(() => hints.publish(topic));
}

/** Whoever waits for tasks of this agent looks again: for what it may claim, or that it may not any more. */
export function wakeClaims(
  { db, hints }: Context,
  { agentId, definitionId }: { agentId: string; definitionId?: string | undefined },
) {
  db.afterCommit(() => announceQueues(hints, [{ agentId }, { pool: definitionId }]));
}

/** What is done with agents, by those who act for them. */
export function agentCommands(context: Context) {
  async function endDrain(agentId: string): Promise<number> {
    return context.transaction(async (_, bound) => {
      const agent = await lockAgent(bound, sql`a.agent_id = ${agentId} and a.state = 'DRAINING'`);
      if (!agent || !(await worksOnNothing(bound, agentId))) return 0;
      await moveTo(bound, agentId, "STOPPED", DRAINED);
      await tellAgent(bound, agent, "stop", { state: "STOPPED", reason: DRAINED });
      return 1;
    });
  }

  return {
    /**
     * Leads an agent through the states of a command, and tells it. One that drains and has nothing to end is stopped at
     * once.
     * @throws Problem agent_not_found, agent_transition_refused, revision_mismatch; forbidden
     */
    async command(agentId: string, verb: AgentVerb, { reason, revisions }: Command): Promise<void> {
      await decidingOver(context, agentId, { revisions, reason }, async (agent, bound) => {
        const through = statesOf(verb, agent.state);
        if (!through) throw refusal(agent, verb);
        const state = await lead(bound, agentId, through, reason);
        const drain = verb === "drain";
        await tellAgent(bound, agent, drain ? "stop" : verb, { state, reason, ...(drain && { drain }) });
        wakeClaims(bound, state === "RUNNING" ? agent : { agentId });
      });
    },

    /**
     * Stops an agent that drains and has nothing in its hand any more, whoever the caller is; answers how many that are.
     */
    endDrain,

    /** The same for all of them, up to `limit`. */
    async endDrains(limit: number): Promise<number> {
      const { db, now } = context;
      const drained = await db.many(
        "agents.drained",
        Named,
        sql`
          select a.agent_id as "agentId"
          from cams.agents a
          where a.state = 'DRAINING' and not exists (
            select from cams.tasks t
            where t.agent_id = a.agent_id and t.lease_token is not null and t.lease_until > ${now})
          order by a.agent_id
          limit ${limit}`,
      );
      let ended = 0;
      for (const { agentId } of drained) ended += await endDrain(agentId);
      return ended;
    },
  };
}

function refusal({ agentId, state }: LockedAgent, verb: AgentVerb): Problem {
  const can = verbsFor(state).map((one) => (one === "drain" ? "stop with drain" : one));
  const told = verb === "drain" ? "stop with drain" : verb;
  return new Problem(
    "agent_transition_refused",
    `${agentId} is ${state}: ${told} is not for it, but ${can.join(", ")}.`,
  );
}
