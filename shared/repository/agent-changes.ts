import { randomBytes } from "node:crypto";
import * as z from "zod";
import { list, type Sql, sql } from "../db/sql.ts";
import { Problem } from "../errors.ts";
import { BUSY_STATES } from "../rules/agent-states.ts";
import type { AgentRegistration, AgentUpdate } from "../schemas/agent.ts";
import { InboxRegistration } from "../schemas/inbox.ts";
import { versionToBind } from "./agent-binding.ts";
import { wakeClaims } from "./agent-commands.ts";
import { decidingOver } from "./agent-lock.ts";
import { refusals } from "./authority.ts";
import type { Context, Repository } from "./index.ts";
import { endTasksOf } from "./task-ends.ts";

type Registration = z.output<typeof AgentRegistration>;
type Update = z.output<typeof AgentUpdate>;
type Revisions = readonly number[] | undefined;

const Anything = z.object({});

/** What somebody else did after it was looked at: the inbox was made, or is gone, or the definition is retired. */
const LOST_RACES = new Set(["agent_inboxes_address_unique", "agents_inbox", "agents_definition"]);

/** Has the transaction run again after a lost race: it then sees what the other did. */
function again(error: Error & { constraint?: string }): never {
  if (!LOST_RACES.has(error.constraint ?? "")) throw error;
  throw Object.assign(new Error("lost a race", { cause: error }), { code: "40001" });
}

/** The inbox at which an agent is reached: what of it was given with the agent is kept there, and nowhere else. */
async function settleInbox(bound: Context, repo: Repository, address: string, { config, ownerTeam }: Registration) {
  const given = {
    ...(config.heartbeatIntervalSeconds !== undefined && { heartbeatIntervalSeconds: config.heartbeatIntervalSeconds }),
    ...(ownerTeam !== undefined && { ownerTeam }),
  };
  const there = await bound.db.maybe(
    "agents.find_inbox",
    Anything,
    sql`select from cams.agent_inboxes i where i.ai_agent_address = ${address}`,
  );
  if (!there) {
    const inbox = { aiAgentAddress: address, inboxDestinationType: "PULL_QUEUE", ...given };
    await repo.inboxes.register(InboxRegistration.parse(inbox));
    return;
  }
  const refusal = (await refusals(bound, [address])).get(address);
  if (refusal) throw refusal;
  if (Object.keys(given).length > 0) await repo.inboxes.update(address, given);
}

/** The columns that an update changes. */
function columnsOf(given: Update, version: string | null | undefined): Sql[] {
  const { config = {}, definition } = given;
  const json = (value: unknown) => (value === null ? null : JSON.stringify(value));
  return [
    given.name !== undefined && sql`name = ${given.name}`,
    given.type !== undefined && sql`type = ${given.type}`,
    given.description !== undefined && sql`description = ${given.description}`,
    given.metadata && sql`metadata = ${JSON.stringify(given.metadata)}::jsonb`,
    given.tags && sql`tags = ${given.tags}::text[]`,
    given.capabilities && sql`capabilities = ${given.capabilities}::text[]`,
    config.maxConcurrentTasks && sql`max_concurrent_tasks = ${config.maxConcurrentTasks}`,
    config.taskQueueSize !== undefined && sql`task_queue_size = ${config.taskQueueSize}`,
    config.taskTimeoutSeconds && sql`task_timeout_seconds = ${config.taskTimeoutSeconds}`,
    config.resources !== undefined && sql`resources = ${json(config.resources)}::jsonb`,
    definition !== undefined && sql`definition_id = ${definition?.id ?? null}`,
    definition !== undefined && sql`definition_version = ${version ?? null}`,
  ].filter((change) => typeof change === "object");
}

/** What makes, changes and ends agents. */
export function agentChanges(context: Context) {
  return {
    /**
     * Registers an agent, and a pull queue for it when there is no inbox at its address; answers its id.
     * @throws Problem agent_exists, definition_not_found, version_not_found, version_not_published,
     * definition_kind_mismatch, definition_retired; forbidden
     */
    register(given: Registration): Promise<string> {
      return context.transaction(async (repo, bound) => {
        const { db, now, caller } = bound;
        const agentId = given.id ?? `agent-${randomBytes(6).toString("hex")}`;
        const address = given.aiAgentAddress ?? agentId;
        const version = given.definition && (await versionToBind(bound, given.definition));
        const { config } = given;
        const insert = () =>
          db.execute(
            "agents.register",
            sql`
              insert into cams.agents (
                agent_id, name, type, description, metadata, max_concurrent_tasks, task_queue_size, task_timeout_seconds,
                resources, tags, capabilities, definition_id, definition_version, ai_agent_address, created_at, created_by,
                updated_at, updated_by)
              values (
                ${agentId}, ${given.name}, ${given.type}, ${given.description}, ${JSON.stringify(given.metadata)}::jsonb,
                ${config.maxConcurrentTasks}, ${config.taskQueueSize}, ${config.taskTimeoutSeconds},
                ${config.resources && JSON.stringify(config.resources)}::jsonb, ${given.tags}::text[],
                ${given.capabilities}::text[], ${given.definition?.id}, ${version}, ${address}, ${now},
                ${caller.principal}, ${now}, ${caller.principal})`,
          );
        await settleInbox(bound, repo, address, given).then(insert).catch(again);
        return agentId;
      });
    },

    /**
     * Changes only what is given.
     * @throws Problem agent_not_found, revision_mismatch, definition_not_found, version_not_found,
     * version_not_published, definition_kind_mismatch, definition_retired; forbidden
     */
    async update(agentId: string, given: Update, revisions: Revisions): Promise<void> {
      const { heartbeatIntervalSeconds } = given.config ?? {};
      const ofInbox = {
        ...(heartbeatIntervalSeconds !== undefined && { heartbeatIntervalSeconds }),
        ...(given.ownerTeam !== undefined && { ownerTeam: given.ownerTeam }),
      };
      const withInbox = Object.keys(ofInbox).length > 0;
      await decidingOver(context, agentId, { revisions, withInbox }, async (agent, bound, repo) => {
        const { db, now, caller } = bound;
        const { config = {}, definition } = given;
        const version = definition && (await versionToBind(bound, definition));
        const change = db.execute(
          "agents.update",
          sql`
            update cams.agents a
            set ${list([...columnsOf(given, version), sql`updated_at = ${now}`])}, updated_by = ${caller.principal},
              revision = a.revision + 1
            where a.agent_id = ${agentId}`,
        );
        await change.catch(again);
        if (withInbox) await repo.inboxes.update(agent.aiAgentAddress, ofInbox);
        const definitionId = definition === undefined ? agent.definitionId : definition?.id;
        if (definition !== undefined || config.maxConcurrentTasks !== undefined)
          wakeClaims(bound, { agentId, definitionId });
      });
    },

    /**
     * Its inbox stays, and its history; what waits for it ends.
     * @throws Problem agent_not_found, agent_running, revision_mismatch; forbidden
     */
    async delete(agentId: string, revisions: Revisions): Promise<void> {
      await decidingOver(context, agentId, { revisions, forDeletion: true }, async ({ state }, bound) => {
        if (BUSY_STATES.includes(state)) throw new Problem("agent_running", `${agentId} is ${state}: stop it first.`);
        await endTasksOf(bound, agentId);
        await bound.db.execute("agents.delete", sql`delete from cams.agents a where a.agent_id = ${agentId}`);
      });
    },
  };
}
