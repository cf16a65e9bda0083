import { expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { allPages } from "./calls.ts";
import { tasksFor } from "./task-calls.ts";

const service = useService();
const { act, claim, listed, worker, running, submitTo, pooled } = tasksFor(service);

interface Item {
  taskId: string;
}
const ids = (items: Item[]) => items.map(({ taskId }) => taskId);

test("live and finished ones, newest first, page by page, while more are added", async () => {
  const { id } = await running();
  const made: string[] = [];
  for (let n = 0; n < 9; n++) made.unshift((await submitTo(id)).body.taskId);
  for (const n of [1, 4, 5]) await act(made[n] as string, "cancel");
  const pages = await allPages(service, "/v1/tasks?pageSize=2", () => submitTo(id));
  expect(ids(pages)).toEqual(made);
});

test("each filter by itself, over live and finished ones, and all together", async () => {
  const { agentId, definitionId } = await worker();
  const { id: other } = await running();
  const live = (await submitTo(agentId, { type: "sum", cause: { kind: "MESSAGE", id: "m-1" } })).body.taskId;
  const ended = (await submitTo(agentId, { type: "sum", cause: { kind: "MESSAGE" } })).body.taskId;
  await act(ended, "cancel");
  const inPool = await pooled(definitionId, { priority: "CRITICAL" });
  const apart = (await submitTo(other)).body.taskId;
  const list = async (query: string) => ids(await listed(query));
  expect(await list(`?agentId=${agentId}`)).toEqual([ended, live]);
  expect(await list(`?definitionId=${definitionId}`)).toEqual([inPool, ended, live]);
  expect(await list("?type=sum")).toEqual([ended, live]);
  expect(await list("?cause=MESSAGE")).toEqual([ended, live]);
  expect(await list("?state=CANCELLED")).toEqual([ended]);
  expect(await list(`?agentId=${agentId}&type=sum&cause=MESSAGE&state=SUBMITTED`)).toEqual([live]);
  expect(await list("?type=nothing")).toEqual([]);
  await claim(agentId);
  expect(await list(`?agentId=${agentId}`)).toEqual([inPool, ended, live]);
  expect(await list(`?agentId=${other}`)).toEqual([apart]);
});

test("`after` is within and `before` is not, of the time of submission", async () => {
  const { id } = await running();
  const old = (await submitTo(id)).body.taskId;
  await act(old, "cancel");
  const young = (await submitTo(id)).body.taskId;
  const [{ submittedAt }] = await listed();
  await service.sql("update cams.task_archive set submitted_at = submitted_at - interval '1 h'");
  expect(ids(await listed(`?after=${submittedAt}`))).toEqual([young]);
  expect(ids(await listed(`?before=${submittedAt}`))).toEqual([old]);
});
