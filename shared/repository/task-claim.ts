import * as z from "zod";
import { type Sql, sql } from "../db/sql.ts";
import { agentNotFound, Problem } from "../errors.ts";
import { isUnbound } from "../rules/access.ts";
import { MAX_HEAD_START_SECONDS } from "../rules/priority.ts";
import { ClaimedTask } from "../schemas/task.ts";
import { retryAt } from "./attempts.ts";
import { actsFor, notYours } from "./authority.ts";
import type { Context } from "./index.ts";
import { attemptEnded, liveTask } from "./task-rows.ts";

interface Claim {
  maxTasks: number;
  leaseSeconds: number;
}

/** Tasks looked at beyond those wanted: what others are just claiming is stepped over. */
const SPARE = 32;

/** What is said of the agent, beside each task it gets, or alone. */
const State = z.object({
  address: z.string(),
  acts: z.boolean(),
  agentState: z.string(),
  agentReason: z.string().optional(),
  reachable: z.boolean(),
  boundTo: z.string().optional(),
  enabled: z.boolean(),
  exhausted: z.boolean(),
  /** There are tasks for it, and others hold them just now. */
  contended: z.boolean(),
});
const Row = z.object({ ...ClaimedTask.partial().shape, ...State.shape });

interface Claimed {
  tasks: z.output<typeof ClaimedTask>[];
  /** The definition from whose pool it claims too. */
  boundTo?: string | undefined;
  contended: boolean;
}

/** How an agent takes tasks from its own queue and from its definition's pool, in rank order over both. */
export function claiming({ db, now, caller }: Context) {
  const own = isUnbound(caller) ? sql`true` : actsFor(caller, sql`i.ai_agent_address`);

  const claimable = sql`
    not t.waiting and t.available_at <= ${now} and (t.lease_token is null or t.ends_at is null or t.ends_at > ${now})`;

  /** Of a queue what may be claimed: what nobody held, and what was let go. */
  const candidates = (queue: Sql, wanted: number): Sql => sql`
    (
      select t.ctid as place from cams.tasks t
      where t.queue = ${queue} and t.attempt = 0 and ${claimable}
        and t.rank_at <= ${now} + make_interval(secs => ${MAX_HEAD_START_SECONDS}::integer)
      order by t.rank_at, t.seq
      limit ${wanted + SPARE}::integer
    ) union all (
      select t.ctid as place from cams.tasks t
      where t.queue = ${queue} and t.attempt > 0 and ${claimable}
      order by t.available_at
      limit ${wanted + SPARE}::integer
    )`;

  /**
   * Claims up to `maxTasks`, as many as the agent has room for. What it answers, it has leased.
   * @throws Problem agent_not_found, agent_not_running, inbox_inactive, definition_disabled, budget_exhausted, forbidden
   */
  async function claim(agentId: string, { maxTasks, leaseSeconds }: Claim): Promise<Claimed> {
    const deadline = sql`room.at + make_interval(secs => least(t.timeout_seconds, room.most_seconds))`;
    const leaseUntil = sql`least(${deadline}, room.at + make_interval(secs => ${leaseSeconds}::integer))`;
    const rows = await db.many(
      "tasks.claim",
      Row,
      sql`
        with who as materialized (
          select a.agent_id, a.ai_agent_address, a.definition_id, a.definition_version, a.state, a.state_reason,
            i.admin_status = 'ACTIVE' and i.quarantined_at is null as reachable, ${own} as acts
          from cams.agents a join cams.agent_inboxes i on i.ai_agent_address = a.ai_agent_address
          where a.agent_id = ${agentId}
        ), policy as materialized (
          -- Of the definition as a whole its current version decides, of an attempt the one the agent runs.
          select w.definition_id is null or coalesce((c.config ->> 'enabled')::boolean, false) as enabled,
            case when c.config ? 'budgetLimitUsd'
              then cams.month_cost(w.definition_id, ${now}) >= (c.config ->> 'budgetLimitUsd')::numeric
              else false end as exhausted,
            (v.config ->> 'maxParallelTasks')::integer as most,
            (v.config ->> 'timeoutSeconds')::integer as timeout_seconds,
            coalesce((v.config ->> 'autoRetry')::boolean, true) as retries
          from who w
          left join cams.definitions d on d.definition_id = w.definition_id
          left join cams.definition_versions c
            on (c.definition_id, c.version) = (d.definition_id, d.current_version)
          left join cams.definition_versions v
            on (v.definition_id, v.version) = (w.definition_id, w.definition_version)
        ), candidate as materialized (
          select t.place
          from who w join policy p on p.enabled and not p.exhausted and w.acts and w.reachable and w.state = 'RUNNING'
          cross join lateral (
            ${candidates(sql`'agent/' || w.agent_id`, maxTasks)} union all
            ${candidates(sql`'definition/' || w.definition_id`, maxTasks)}
          ) t
        ), inbox as materialized (
          -- Against quarantine; only when there is work, so that an idle agent's polling writes nothing.
          select i.ai_agent_address
          from who w join cams.agent_inboxes i on i.ai_agent_address = w.ai_agent_address
          where i.admin_status = 'ACTIVE' and i.quarantined_at is null and ${own}
            and (select true from candidate limit 1)
          for share of i
        ), agent as materialized (
          -- One claim of an agent at a time, or two would count the same room.
          select a.agent_id, a.definition_id, a.definition_version, a.max_concurrent_tasks
          from inbox
          join cams.agents a on a.ai_agent_address = inbox.ai_agent_address
          join who w on w.agent_id = a.agent_id
            and (w.definition_id, w.definition_version)
              is not distinct from (a.definition_id, a.definition_version)
          where a.state = 'RUNNING'
          for no key update of a
        ), counted as materialized (
          -- After the wait, not in the CTE that locks, which writes its columns before it waits: what ended meanwhile makes room.
          select agent.*, p.timeout_seconds as most_seconds, p.retries,
            least(${maxTasks}::integer, least(agent.max_concurrent_tasks, p.most)
              - cams.working_tasks(agent.agent_id, clock_timestamp())) as free
          from agent cross join policy p
        ), room as materialized (
          -- After the count: what that found ended has ended before what begins in its place.
          select counted.*, clock_timestamp() as at from counted
        ), due as materialized (
          -- By their places in the table: a plan made while that was small would read through it when it is large.
          select t.ctid as place from cams.tasks t
          where t.ctid = any (array(select place from candidate)) and ${claimable}
          order by t.rank_at, t.seq
          limit greatest(coalesce((select free from room), 0), 0)
          for no key update of t skip locked
        ), t as (
          update cams.tasks t set
            ${attemptEnded(now, { outcome: sql`'LEASE_EXPIRED'` })},
            progress = null, agent_id = room.agent_id, definition_id = coalesce(t.pool, room.definition_id),
            definition_version = room.definition_version,
            lease_token = gen_random_uuid(), lease_seconds = ${leaseSeconds}::integer, leased_at = room.at,
            lease_until = ${leaseUntil}, deadline_at = ${deadline},
            available_at = ${retryAt(leaseUntil, sql`(t.attempt + 1)`)},
            attempt = t.attempt + 1,
            last_attempt = t.attempt + 1 >= case when room.retries then t.max_attempts else 1 end
          from room
          where t.ctid = any (array(select place from due))
          returning t.*
        )
        select w.ai_agent_address as address, w.acts, w.state as "agentState", w.state_reason as "agentReason",
          w.reachable, w.definition_id as "boundTo", p.enabled, p.exhausted,
          coalesce((select free from room) > 0, false) and not exists (select from t) as contended,
          ${liveTask(now)}, t.lease_token as "leaseToken"
        from who w cross join policy p left join t on true
        order by t.rank_at, t.seq`,
    );
    const [state] = rows;
    if (!state) throw agentNotFound(agentId);
    refuse(agentId, state);
    return { tasks: rows.flatMap(taskOf), boundTo: state.boundTo, contended: state.contended };
  }

  /** @throws Problem forbidden, inbox_inactive, agent_not_running, definition_disabled, budget_exhausted */
  function refuse(agentId: string, state: z.output<typeof State>): void {
    const { acts, address, reachable, agentState, agentReason, boundTo, enabled, exhausted } = state;
    if (!acts) throw notYours(caller, address);
    if (!reachable) throw new Problem("inbox_inactive", `The inbox ${address} is quarantined or not active.`);
    if (agentState !== "RUNNING") {
      const why = agentReason === undefined ? "" : ` (${agentReason})`;
      throw new Problem("agent_not_running", `The agent ${agentId} is ${agentState}${why}: only a running one claims.`);
    }
    if (!enabled) throw new Problem("definition_disabled", `${boundTo} is not enabled by its current version.`);
    if (exhausted) throw new Problem("budget_exhausted", `${boundTo} has used up its budget of this month.`);
  }

  return { claim };
}

/** The task of a row, if there is one on it. */
function taskOf(row: z.output<typeof Row>): z.output<typeof ClaimedTask>[] {
  const { address: _a, acts: _b, agentState: _c, agentReason: _d, reachable: _e, boundTo: _f, ...rest } = row;
  const { enabled: _g, exhausted: _h, contended: _i, ...task } = rest;
  return task.taskId === undefined ? [] : [task as z.output<typeof ClaimedTask>];
}
