import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startReceiver } from "../support/receiver.ts";
import { useService } from "../support/service.ts";
import { agentsFor } from "./agents.ts";
import { atOnce } from "./calls.ts";

const service = useService();
const { agent, running, webhook, sendTo, deliver } = agentsFor(service);

const ROUNDS = 4;
const MESSAGES = 250;
const TASKS = 400;

/** What has been recorded as a success of anybody, and what is in a hand now. */
async function recorded() {
  const [row] = await service.sql<{ successes: string; held: string }>(`
    select
      (select count(*) from cams.message_archive where status in ('ACKNOWLEDGED', 'DELIVERED'))
        + (select count(*) from cams.task_archive where state = 'COMPLETED') as successes,
      (select count(*) from cams.messages where lease_token is not null and available_at > clock_timestamp())
        + (select count(*) from cams.tasks where lease_until > clock_timestamp()) as held`);
  return { successes: Number(row?.successes), held: Number(row?.held) };
}

test("a quarantine under load: after its answer nothing is leased, acknowledged, delivered, claimed or completed", async () => {
  const receiver = await startReceiver(async (_, res) => {
    await delay(Math.random() * 30);
    res.writeHead(204).end();
  });
  const { id: definitionId } = await agentsFor(service).published({ config: { maxParallelTasks: 20 } });
  const pulling = await atOnce(2, () => agent({ type: "loaded" }));
  const pushed = await Promise.all(
    (await atOnce(2, () => webhook(receiver.url))).map(({ aiAgentAddress }) =>
      agent({ aiAgentAddress, type: "loaded" }),
    ),
  );
  const working = await atOnce(2, () =>
    running({ type: "loaded", definition: { id: definitionId }, config: { maxConcurrentTasks: 20 } }),
  );
  for (const { aiAgentAddress } of [...pulling, ...pushed]) await atOnce(MESSAGES, () => sendTo(aiAgentAddress));
  await atOnce(TASKS, () => service.post(`/v1/definitions/${definitionId}/tasks`, { type: "load" }));

  let going = true;
  const whileGoing = async (step: () => Promise<unknown>) => {
    while (going) await step();
  };
  const pull = (address: string) => async () => {
    const { body } = await service.post(`/v1/agent-inboxes/${address}/messages/pull`, { maxMessages: 3 });
    const leaseTokens = (body.messages ?? []).map(({ leaseToken }: { leaseToken: string }) => leaseToken);
    if (leaseTokens.length > 0) await service.post(`/v1/agent-inboxes/${address}/messages/ack`, { leaseTokens });
  };
  const work = (id: string) => async () => {
    const { body } = await service.post(`/v1/agents/${id}/tasks/claim`, { maxTasks: 2 });
    for (const { taskId, leaseToken } of body.tasks ?? [])
      await service.post(`/v1/tasks/${taskId}/complete`, { leaseToken });
  };
  const load = [
    ...pulling.flatMap(({ aiAgentAddress }) => [pull(aiAgentAddress), pull(aiAgentAddress)]),
    ...working.flatMap(({ id }) => [work(id), work(id)]),
    deliver,
    deliver,
  ].map(whileGoing);

  try {
    for (let round = 0; round < ROUNDS; round++) {
      const before = await recorded();
      await expect
        .poll(async () => (await recorded()).successes, { interval: 5 })
        .toBeGreaterThan(before.successes + 20);
      await delay(Math.random() * 50);
      const order = { selector: { type: "loaded" }, reason: "drill" };
      expect((await service.post("/v1/quarantine", order)).body).toEqual({ quarantined: 6 });
      const at = await recorded();
      expect(at.held, "in a hand").toBe(0);
      await delay(200);
      expect(await recorded(), "since the answer").toEqual(at);
      expect((await service.post("/v1/release", order)).body).toEqual({ released: 6 });
    }
    const left =
      "select (select count(*) from cams.messages where sender_address <> 'cams') + count(*) as n from cams.tasks";
    await expect.poll(async () => Number((await service.sql(left))[0]?.n), { timeout: 40_000 }).toBe(0);
  } finally {
    going = false;
    await Promise.all(load);
  }
  // Each came to its end once, and what was taken back counted no attempt.
  const ends = await service.sql(
    `select status, count(*)::integer as n, max(attempt) as attempt from cams.message_archive
     where sender_address <> 'cams' group by status order by status`,
  );
  expect(ends).toEqual([
    { status: "ACKNOWLEDGED", n: 2 * MESSAGES, attempt: 1 },
    { status: "DELIVERED", n: 2 * MESSAGES, attempt: 1 },
  ]);
  const done = "select state, count(*)::integer as n, max(attempt) as attempt from cams.task_archive group by state";
  expect(await service.sql(done)).toEqual([{ state: "COMPLETED", n: TASKS, attempt: 1 }]);
  const taken = 'select from cams.message_archive where attempts @> \'[{"outcome": "INTERRUPTED"}]\'';
  expect((await service.sql(taken)).length, "were in a hand when it came").toBeGreaterThan(0);
}, 100_000);
