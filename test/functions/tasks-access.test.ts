import { beforeEach, describe, expect, test } from "vitest";
import { useGuardedService } from "../support/callers.ts";
import { tasksFor } from "./task-calls.ts";

const guarded = useGuardedService();
const { service } = guarded;
const { taskOf, at, act, claim, claiming, running, worker, submitTo, submitPooled, pooled, ...calls } =
  tasksFor(service);

type Headers_ = Record<string, string>;
interface Scene {
  definitionId: string;
  agentId: string;
  /** Speaks for this agent alone. */
  itself: Headers_;
  /** Speaks for another agent of the same definition. */
  colleague: Headers_;
}
const stranger = guarded.key("foreignAgent");
const error = { message: "no" };

/** A caller that speaks for one address. */
async function speaker(address: string): Promise<Headers_> {
  const { principalId } = await calls.principal({ addresses: [address] });
  return { "x-cams-key": (await calls.key(principalId)).key };
}

let scene: Scene;
beforeEach(async () => {
  const { definitionId, agentId } = await worker({ approvalRequiredFor: ["pay"] }, { ownerTeam: "sales" });
  const { id } = await running({ definition: { id: definitionId }, ownerTeam: "sales" });
  scene = { definitionId, agentId, itself: await speaker(agentId), colleague: await speaker(id) };
});

test("any agent may submit, and sees what it submitted; others do not", async () => {
  const { agentId, definitionId, itself, colleague } = scene;
  const direct = await submitTo(agentId, {}, stranger);
  const shared = await submitPooled(definitionId, {}, stranger);
  for (const { status, body } of [direct, shared]) {
    expect(status).toBe(202);
    expect((await service.get(at(body.taskId), stranger)).body.submittedBy).toBe("foreignAgent");
    expect((await service.get(at(body.taskId), colleague)).status).toBe(404);
    expect((await service.get(at(body.taskId), guarded.key("foreignOperator"))).status).toBe(404);
    expect((await service.get(at(body.taskId), guarded.key("operator"))).status).toBe(200);
  }
  const seenBy = async (headers: Headers_) => (await service.get("/v1/tasks", headers)).body.items.length;
  expect(await seenBy(stranger)).toBe(2);
  expect(await seenBy(itself)).toBe(1);
  expect(await seenBy(colleague)).toBe(0);
});

describe("a token", () => {
  test.each(["progress", "complete", "fail"])("proves nothing in another agent's caller's hand: %s", async (verb) => {
    const { agentId, itself, colleague } = scene;
    const { body } = await submitTo(agentId, {}, stranger);
    const [{ leaseToken }] = (await claiming(agentId, {}, itself)).body.tasks;
    const fields = { leaseToken, ...(verb === "fail" && { error }) };
    const before = await taskOf(body.taskId);
    // Who submitted it may know that it is there; who has nothing to do with it may not.
    expect((await act(body.taskId, verb, fields, stranger)).body.code).toBe("lease_expired");
    expect((await act(body.taskId, verb, fields, colleague)).body.code).toBe("task_not_found");
    expect(await taskOf(body.taskId)).toEqual(before);
    expect((await act(body.taskId, verb, fields, itself)).status).toBe(200);
  });

  test("that completed a task does so again for its agent alone", async () => {
    const { agentId, itself, colleague } = scene;
    const { body } = await submitTo(agentId, {}, stranger);
    const [{ leaseToken }] = await claim(agentId);
    const complete = (headers: Headers_) => act(body.taskId, "complete", { leaseToken }, headers);
    expect((await complete(itself)).status).toBe(200);
    expect((await complete(itself)).status).toBe(200);
    expect((await complete(stranger)).body.code).toBe("task_finished");
    expect((await complete(colleague)).body.code).toBe("task_not_found");
  });
});

test("nobody claims for another's agent, whatever there is to claim", async () => {
  const { agentId, definitionId, colleague } = scene;
  await pooled(definitionId);
  for (const headers of [colleague, stranger, guarded.key("foreignOperator")])
    expect(await claiming(agentId, {}, headers)).toMatchObject({ status: 403, body: { code: "forbidden" } });
  expect((await claiming(agentId, {}, guarded.key("operator"))).body.tasks).toHaveLength(1);
});

test("what one may not see, nothing of one's own can depend on: as if it were not there", async () => {
  const { agentId, definitionId } = scene;
  const hidden = await pooled(definitionId);
  const unknown = "019a0000-0000-7000-8000-000000000000";
  const seen = async (id: string) => {
    const { status, body } = await submitTo(agentId, { dependsOn: [id] }, stranger);
    return [status, body.code, body.detail?.replace(id, "")];
  };
  expect(await seen(hidden)).toEqual(await seen(unknown));
  expect((await seen(hidden))[1]).toBe("task_not_found");
  await act(hidden, "cancel");
  expect((await seen(hidden))[1]).toBe("task_not_found");
  const { body } = await submitTo(agentId, {}, stranger);
  expect((await submitTo(agentId, { dependsOn: [body.taskId] }, stranger)).status).toBe(202);
});

describe("a decision about a task", () => {
  test("is its definition's team's: not of another team's operator, though it submitted the task", async () => {
    const foreign = guarded.key("foreignOperator");
    for (const verb of ["approve", "reject"]) {
      const { body: mine } = await submitPooled(scene.definitionId, { type: "pay" }, foreign);
      expect((await act(mine.taskId, verb, {}, foreign)).body.code).toBe("forbidden");
      const { body: theirs } = await submitPooled(scene.definitionId, { type: "pay" });
      expect((await act(theirs.taskId, verb, {}, foreign)).body.code).toBe("task_not_found");
      expect((await act(mine.taskId, verb, {}, guarded.key("agent"))).status).toBe(403);
      const { status, body } = await act(mine.taskId, verb, {}, guarded.key("operator"));
      expect([status, body.approval.by]).toEqual([200, "operator"]);
      const audit = await service.get(`/v1/audit?resourceType=task&resourceId=${mine.taskId}`, guarded.key("operator"));
      expect(audit.body.items).toMatchObject([{ actor: "operator", ownerTeam: "sales" }]);
    }
  });

  test("to cancel is of who sees it", async () => {
    const { agentId, itself, colleague } = scene;
    for (const headers of [stranger, itself, guarded.key("operator")]) {
      const { body } = await submitTo(agentId, {}, stranger);
      expect((await act(body.taskId, "cancel", {}, colleague)).body.code).toBe("task_not_found");
      expect((await act(body.taskId, "cancel", {}, headers)).status).toBe(200);
    }
  });
});

test("who worked on a task does not rate it; who submitted it, and the team's operator, do: the last word counts", async () => {
  const { agentId, itself, colleague } = scene;
  const { body } = await submitTo(agentId, {}, stranger);
  const [{ leaseToken }] = await claim(agentId);
  await act(body.taskId, "complete", { leaseToken });
  const rate = (rating: number, headers: Headers_) => act(body.taskId, "feedback", { rating }, headers);
  expect((await rate(5, itself)).body.code).toBe("forbidden");
  expect((await rate(5, colleague)).body.code).toBe("task_not_found");
  expect((await rate(2, stranger)).body.feedback).toMatchObject({ rating: 2, by: "foreignAgent" });
  expect((await rate(3, guarded.key("operator"))).body.feedback).toMatchObject({ rating: 3, by: "operator" });
  expect((await taskOf(body.taskId)).feedback).toMatchObject({ rating: 3, by: "operator" });
});

test("a task that time alone has ended is rated before any sweep", async () => {
  const { agentId } = scene;
  const { body } = await submitTo(agentId, { maxAttempts: 1 }, stranger);
  await claim(agentId);
  await calls.lapseTasks();
  expect(await act(body.taskId, "feedback", { rating: 1 }, stranger)).toMatchObject({
    status: 200,
    body: { state: "FAILED", feedback: { rating: 1 } },
  });
});
