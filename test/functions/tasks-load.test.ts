import { expect, test } from "vitest";
import { type Connection, openConnection } from "../../bench/support/http.ts";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";

const service = useService();
const make = makerFor(service);

const TASKS = 5000;
/** Of them by HTTP, while the others are worked on. */
const SUBMITTED = 1000;
const WORKERS = 8;
/** Two workers share an agent: what one claims takes from the room of the other. */
const AGENTS = [1, 2, 4, 32];
const MAX_PARALLEL = 20;
const SUBMITTERS = 6;
const MAX_ATTEMPTS = 4;

interface Held {
  taskId: string;
  leaseToken: string;
}
/** What workers were told; all of it must be true afterwards. */
const told = { completed: new Map<string, string>(), ended: 0, submitted: [] as string[] };

const chance = (share: number) => Math.random() < share;
const pick = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)] as T;

/** A client with one connection, which may be gone before the answer comes. */
function client() {
  let open: Promise<Connection> | undefined;
  return async (path: string, body: object, dies = false) => {
    open ??= openConnection(service.url);
    const connection = await open;
    const end = dies ? setTimeout(() => connection.close(), Math.random() * 6) : undefined;
    try {
      const answer = await connection.request("POST", path, body);
      return { status: answer.status, body: JSON.parse(`${answer.body}`) };
    } catch {
      throw new Gone();
    } finally {
      clearTimeout(end);
      if (dies) {
        connection.close();
        open = undefined;
      }
    }
  };
}
type Post = ReturnType<typeof client>;
class Gone extends Error {}

/** Ends the leases of what a worker that was killed had in its hands, as time would. */
async function lapse(held: readonly Held[]) {
  await service.sql(
    `update cams.tasks set lease_until = clock_timestamp(), available_at = clock_timestamp() + interval '2 ms'
     where lease_token = any ($1::uuid[]) and lease_until > clock_timestamp()`,
    [held.map(({ leaseToken }) => leaseToken)],
  );
}

/** Most tasks at once, as so many submissions would leave them: what comes in by HTTP is below. */
async function submitMany(definitionId: string): Promise<void> {
  const rows = await service.sql<{ id: string }>(
    `insert into cams.tasks (task_id, pool, agent_id, definition_id, type, payload, priority, cause_kind, timeout_seconds,
       max_attempts, submitted_at, submitted_by, rank_at, available_at)
     select cams.uuid7(now()), case when n % 10 < 9 then $1 end, case when n % 10 >= 9 then 'load-' || (array[1, 2, 4, 32])[1 + n % 4] end, $1,
       'load', '{}', 1 + n % 4, 'MANUAL', 300, $2, now(), 'test', now() + (n % 4) * interval '1 min', now()
     from generate_series(1, $3::integer) n returning task_id as id`,
    [definitionId, MAX_ATTEMPTS, TASKS - SUBMITTED],
  );
  told.submitted.push(...rows.map(({ id }) => id));
}

async function submitter(definitionId: string): Promise<void> {
  const post = client();
  while (told.submitted.length < TASKS) {
    const dependsOn = chance(0.6) && told.submitted.length > 0 ? [pick(told.submitted), pick(told.submitted)] : [];
    const queue = chance(0.9) ? `/v1/definitions/${definitionId}/tasks` : `/v1/agents/load-${pick(AGENTS)}/tasks`;
    const priority = pick(["CRITICAL", "HIGH", "NORMAL", "LOW"]);
    const { status, body } = await post(queue, { type: "load", priority, dependsOn, maxAttempts: MAX_ATTEMPTS });
    if (status === 202) told.submitted.push(body.taskId);
    else expect(body.code, JSON.stringify(body)).toBe("dependency_failed");
  }
}

async function finish(post: Post, task: Held): Promise<void> {
  if (chance(0.1)) {
    const given = { error: { message: "unlucky" }, retryable: chance(0.95), retryAfterSeconds: 0 };
    await post(`/v1/tasks/${task.taskId}/fail`, { leaseToken: task.leaseToken, ...given });
    return;
  }
  if (chance(0.1)) await post(`/v1/tasks/${task.taskId}/progress`, { leaseToken: task.leaseToken });
  const answer = await post(`/v1/tasks/${task.taskId}/complete`, { leaseToken: task.leaseToken }, chance(0.05));
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  expect(told.completed.has(task.taskId), "completed twice").toBe(false);
  told.completed.set(task.taskId, task.leaseToken);
}

/** Claims and works until nothing is left; is killed now and then, with what it holds, and begins again. */
async function worker(agentId: string): Promise<void> {
  const post = client();
  for (let idle = 0; idle < 2; ) {
    let held: Held[] = [];
    try {
      const maxTasks = 1 + Math.floor(Math.random() * 12);
      held = (
        await post(`/v1/agents/${agentId}/tasks/claim`, { maxTasks, leaseSeconds: 5, waitSeconds: 1 }, chance(0.02))
      ).body.tasks;
      idle = held.length > 0 ? 0 : idle + 1;
      for (const [index, task] of held.entries()) {
        if (chance(0.05)) {
          await lapse(held.slice(index));
          break;
        }
        await finish(post, task);
      }
    } catch (error) {
      // It was gone before its answer came: whatever that was, it does not know.
      if (!(error instanceof Gone)) throw error;
      await lapse(held);
    }
  }
}

interface Row {
  task_id: string;
  state: string;
  lease_token: string | null;
  attempt: number;
  depends_on: string[];
  finished_at: Date;
  error: { code?: string } | null;
  attempts: { number: number; agentId: string; at: string; outcome: string; milliseconds: number }[];
}

test("8 workers over 5,000 tasks with failures and kills: none lost, none twice, never beyond capacity or attempts", async () => {
  const { id } = await make.published({ config: { maxParallelTasks: MAX_PARALLEL } });
  for (const most of AGENTS) {
    const config = { maxConcurrentTasks: most, taskQueueSize: 100_000 };
    await service.post("/v1/agents", { id: `load-${most}`, name: "Load", type: "load", config, definition: { id } });
    await service.post(`/v1/agents/load-${most}/start`, {});
  }
  await submitMany(id);
  const workers = Array.from({ length: WORKERS }, (_, n) => worker(`load-${AGENTS[n % AGENTS.length]}`));
  await Promise.all([...Array.from({ length: SUBMITTERS }, () => submitter(id)), ...workers]);
  // What died in an answer nobody read holds its lease still; then there may be work once more.
  for (let live = 1; live > 0; ) {
    await service.sql("update cams.tasks set lease_until = now() where lease_until > now()");
    await service.sql("update cams.tasks set available_at = now() where available_at > now()");
    await service.post("/v1/agent-health-sweep");
    await Promise.all(AGENTS.map((most) => worker(`load-${most}`)));
    live = Number((await service.sql("select count(*) from cams.tasks"))[0]?.count);
  }

  const rows = await service.sql<Row>("select * from cams.task_archive");
  const byId = new Map(rows.map((row) => [row.task_id, row]));
  expect(byId.size, "none twice").toBe(rows.length);
  expect([...byId.keys()].toSorted(), "none lost, none made up").toEqual(told.submitted.toSorted());

  for (const [taskId, token] of told.completed)
    expect(byId.get(taskId), "what was answered 200 is recorded").toMatchObject({
      state: "COMPLETED",
      lease_token: token,
    });
  expect(told.completed.size).toBeGreaterThan(TASKS / 2);

  const outcomes = Map.groupBy(
    rows.flatMap(({ attempts }) => attempts),
    ({ outcome }) => outcome,
  );
  for (const outcome of ["COMPLETED", "FAILED", "LEASE_EXPIRED"])
    expect(outcomes.get(outcome)?.length, outcome).toBeGreaterThan(100);
  for (const row of rows) {
    const { state, attempts, error } = row;
    const ends = attempts.filter(({ outcome }) => outcome === "COMPLETED");
    expect(ends.length, "completed exactly once").toBe(state === "COMPLETED" ? 1 : 0);
    expect(row.attempt).toBeLessThanOrEqual(MAX_ATTEMPTS);
    expect(attempts.filter(({ outcome }) => outcome !== "INTERRUPTED").length).toBe(row.attempt);
    if (state === "FAILED" && error?.code === "attempts_exhausted") expect(row.attempt).toBe(MAX_ATTEMPTS);
    respectsDependencies(row, byId);
  }
  for (const most of AGENTS)
    expect(mostAtOnce(rows, `load-${most}`), `load-${most}`).toBeLessThanOrEqual(Math.min(most, MAX_PARALLEL));
  // The room that there was has been used.
  expect(mostAtOnce(rows, "load-4")).toBe(4);
}, 170_000);

function respectsDependencies({ state, attempts, depends_on, error }: Row, byId: ReadonlyMap<string, Row>): void {
  const before = depends_on.map((id) => byId.get(id) as Row);
  if (before.some((row) => row.state !== "COMPLETED")) {
    expect(error?.code, "what it depends on did not complete").toBe("dependency_failed");
    expect(attempts).toEqual([]);
    expect(state).toBe("FAILED");
    return;
  }
  const begun = attempts[0] && Date.parse(attempts[0].at);
  for (const row of before) if (begun) expect(begun).toBeGreaterThanOrEqual(row.finished_at.getTime());
}

/** How many attempts an agent was in at once, by its receipts; what overlaps by their rounding to 1 ms does not count. */
function mostAtOnce(rows: readonly Row[], agentId: string): number {
  const own = rows.flatMap(({ attempts }) => attempts.filter((attempt) => attempt.agentId === agentId));
  const steps = own.flatMap(({ at, milliseconds }) => {
    const start = Date.parse(at) + 1;
    const end = Date.parse(at) + milliseconds - 1;
    return end > start
      ? [
          { time: start, by: 1 },
          { time: end, by: -1 },
        ]
      : [];
  });
  steps.sort((a, b) => a.time - b.time || a.by - b.by);
  let now = 0;
  let most = 0;
  for (const { by } of steps) {
    now += by;
    most = Math.max(most, now);
  }
  return most;
}
