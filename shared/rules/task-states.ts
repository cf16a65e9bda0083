import type { TaskState } from "../schemas/task.ts";

/** What happens to a task: what an agent, a submitter or an operator does, and what time alone does. */
export type TaskAct =
  | "claim"
  | "progress"
  | "complete"
  | "fail"
  | "retry"
  | "lapse"
  | "return"
  | "exhaust"
  | "timeOut"
  | "cancel"
  | "dependencyFailure"
  | "approve"
  | "reject"
  | "rate";

const FINISHED_STATES = ["COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED", "REJECTED"] as const satisfies TaskState[];
const of = (states: readonly TaskState[], to?: TaskState) =>
  Object.fromEntries(states.map((state) => [state, to ?? state])) as Partial<Record<TaskState, TaskState>>;

/** For each act the states in which it is possible, and the state it leads to. */
const ACTS: Record<TaskAct, Partial<Record<TaskState, TaskState>>> = {
  claim: of(["SUBMITTED"], "WORKING"),
  progress: of(["WORKING"]),
  complete: of(["WORKING"], "COMPLETED"),
  fail: of(["WORKING"], "FAILED"),
  /** A failure that another attempt may mend. */
  retry: of(["WORKING"], "SUBMITTED"),
  /** A lease that ran out with attempts left. */
  lapse: of(["WORKING"], "SUBMITTED"),
  /** Taken back from an agent that stops, is quarantined or is gone: no attempt is counted. */
  return: of(["WORKING"], "SUBMITTED"),
  /** A lease that ran out in the last attempt. */
  exhaust: of(["WORKING"], "FAILED"),
  timeOut: of(["WORKING"], "TIMED_OUT"),
  cancel: of(["APPROVAL_REQUIRED", "SUBMITTED", "WORKING"], "CANCELLED"),
  dependencyFailure: of(["APPROVAL_REQUIRED", "SUBMITTED"], "FAILED"),
  approve: of(["APPROVAL_REQUIRED"], "SUBMITTED"),
  reject: of(["APPROVAL_REQUIRED"], "REJECTED"),
  rate: of(FINISHED_STATES),
};

/** The state an act leads a task to, or nothing when it is not possible in this state. */
export function stateAfter(act: TaskAct, state: TaskState): TaskState | undefined {
  return ACTS[act][state];
}

/** Whether a task has come to its end. */
export function isFinished(state: TaskState): boolean {
  return (FINISHED_STATES as readonly TaskState[]).includes(state);
}
