import { barePool, httpLanes, type StartLoad } from "../support/lanes.ts";

interface Options {
  url: string;
  agents: number;
}

const agentOf = (lane: number, agents: number) => `agent-${1 + (lane % agents)}`;

/** What a task goes through: it is submitted into the pool, claimed and completed. */
export const viaHttp: StartLoad<Options> = ({ url, agents }) => {
  const { request, close } = httpLanes(url);
  return {
    async once(lane) {
      await request(lane, 202, "POST", "/v1/definitions/bench/tasks", { type: "bench", payload: { n: lane } });
      const agent = agentOf(lane, agents);
      const claimed = await request(lane, 200, "POST", `/v1/agents/${agent}/tasks/claim`, { maxTasks: 1 });
      for (const { taskId, leaseToken } of JSON.parse(`${claimed.body}`).tasks)
        await request(lane, 200, "POST", `/v1/tasks/${taskId}/complete`, { leaseToken, result: { n: lane } });
      return { units: 1 };
    },
    close,
  };
};

const SUBMIT = `
  insert into cams.tasks (
    task_id, pool, definition_id, type, payload, priority, cause_kind, timeout_seconds, max_attempts, submitted_at,
    submitted_by, rank_at, available_at)
  values (uuidv7(), 'bench', 'bench', 'bench', '{"n":1}', 3, 'MANUAL', 300, 3, now(), 'bench', now(), now())`;

/** Neither capacity nor policy nor receipt: what the tables alone cost. */
const CLAIM = `
  with due as materialized (
    select t.task_id from cams.tasks t
    where t.queue = 'definition/bench' and t.lease_token is null and not t.waiting
      and t.rank_at <= now() + interval '180 s' and t.available_at <= now()
    order by t.rank_at, t.seq
    limit 1
    for update skip locked
  )
  update cams.tasks t set agent_id = $1, lease_token = gen_random_uuid(), lease_seconds = 60, leased_at = now(),
    lease_until = now() + interval '60 s', deadline_at = now() + interval '300 s',
    available_at = now() + interval '61 s', attempt = 1
  from due where t.task_id = due.task_id
  returning t.task_id`;
const COMPLETE = "delete from cams.tasks where task_id = $1 returning *";

/** The same three commits by the driver alone. */
export const viaPg: StartLoad<Options> = ({ url, agents }) => {
  const pool = barePool(url);
  return {
    async once(lane) {
      await pool.query({ name: "submit", text: SUBMIT });
      const { rows } = await pool.query({ name: "claim", text: CLAIM, values: [agentOf(lane, agents)] });
      for (const { task_id } of rows) await pool.query({ name: "complete", text: COMPLETE, values: [task_id] });
      return { units: 1 };
    },
    close: () => pool.end(),
  };
};
