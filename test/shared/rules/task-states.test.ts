import { describe, expect, test } from "vitest";
import { isFinished, stateAfter, type TaskAct } from "../../../shared/rules/task-states.ts";
import { TaskState } from "../../../shared/schemas/task.ts";

const states = TaskState.options;
const finished: TaskState[] = ["COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED", "REJECTED"];
const same = Object.fromEntries(finished.map((state) => [state, state]));

/** What each act leads to, by the state it is done in; whatever is not here is not possible. */
const allowed: Record<TaskAct, Partial<Record<TaskState, TaskState>>> = {
  claim: { SUBMITTED: "WORKING" },
  progress: { WORKING: "WORKING" },
  complete: { WORKING: "COMPLETED" },
  fail: { WORKING: "FAILED" },
  retry: { WORKING: "SUBMITTED" },
  lapse: { WORKING: "SUBMITTED" },
  return: { WORKING: "SUBMITTED" },
  exhaust: { WORKING: "FAILED" },
  timeOut: { WORKING: "TIMED_OUT" },
  cancel: { APPROVAL_REQUIRED: "CANCELLED", SUBMITTED: "CANCELLED", WORKING: "CANCELLED" },
  dependencyFailure: { APPROVAL_REQUIRED: "FAILED", SUBMITTED: "FAILED" },
  approve: { APPROVAL_REQUIRED: "SUBMITTED" },
  reject: { APPROVAL_REQUIRED: "REJECTED" },
  rate: same,
};

describe.each(Object.keys(allowed) as TaskAct[])("%s", (act) => {
  test.each(states)(`of a task that is %s leads where it should, or nowhere`, (state) => {
    expect(stateAfter(act, state)).toBe(allowed[act][state]);
  });
});

test("finished are those that nothing but a rating follows", () => {
  expect(states.filter(isFinished)).toEqual(finished);
  const acts = (Object.keys(allowed) as TaskAct[]).filter((act) => act !== "rate");
  for (const state of finished) expect(acts.filter((act) => stateAfter(act, state))).toEqual([]);
});
