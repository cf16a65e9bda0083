import * as z from "zod";
import { AgentId } from "./agent.ts";
import { JsonObject, Page, pageOf, prose, sizedObject, Timestamp, TimestampInput, text, Uuid } from "./common.ts";
import { DefinitionId, Version } from "./definition-document.ts";
import { MAX_PAYLOAD_BYTES, Priority } from "./message.ts";

export type TaskState = z.output<typeof TaskState>;
export const TaskState = z
  .enum(["APPROVAL_REQUIRED", "SUBMITTED", "WORKING", "COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED", "REJECTED"])
  .meta({ id: "TaskState" });

const CauseKind = z.enum(["MANUAL", "EVENT", "SCHEDULE", "MESSAGE"]);
const leaseToken = Uuid.meta({ description: "Of the claim: proves the right to the task until the lease ends." });
const leaseSeconds = z.int().min(5).max(3600);
const maxAttempts = z.int().min(1).max(100);

const Usage = z
  .strictObject({
    tokens: z.int().min(0).max(1e12).optional(),
    costUsd: z.number().min(0).max(1e6).optional(),
    toolCalls: z.int().min(0).max(1e9).optional(),
  })
  .meta({ id: "TaskUsage" });
const usage = Usage.optional().meta({
  description: "What this attempt has used so far, in all: said again it is not counted twice.",
});

/** What submits a task. */
export const TaskToSubmit = z
  .strictObject({
    type: text(255),
    name: text(255).optional(),
    payload: sizedObject(MAX_PAYLOAD_BYTES).default({}),
    priority: Priority.default("NORMAL"),
    cause: z
      .strictObject({ kind: z.enum(["MANUAL", "MESSAGE"]), id: text(255).optional() })
      .default({ kind: "MANUAL" })
      .meta({ description: "What it comes from: a person or program, or the message of this id." }),
    dependsOn: z
      .array(Uuid)
      .max(100)
      .default([])
      .transform((ids) => [...new Set(ids)])
      .meta({ description: "Tasks that must complete before; when one ends otherwise, this one fails." }),
    timeoutSeconds: z.int().min(1).max(2_592_000).optional().meta({
      description: "How long an attempt may take; the definition may allow less.",
    }),
    maxAttempts: maxAttempts.default(3).meta({ description: "1 where the definition has `autoRetry: false`." }),
  })
  .meta({ id: "TaskToSubmit" });

export const TaskSubmitted = z.strictObject({ taskId: z.guid(), state: TaskState }).meta({ id: "TaskSubmitted" });

const Attempt = z
  .strictObject({
    number: z.int(),
    agentId: AgentId,
    definitionVersion: Version.optional(),
    at: Timestamp,
    outcome: z
      .enum(["WORKING", "COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED", "LEASE_EXPIRED", "INTERRUPTED"])
      .meta({ description: "`INTERRUPTED`: taken back by the service, and not counted; the number comes again." }),
    detail: z.string().optional(),
    milliseconds: z.int().optional().meta({ description: "How long it was held." }),
  })
  .meta({ id: "TaskAttempt", description: "One time the task was claimed, and what came of it." });

const Progress = z
  .strictObject({ percent: z.number().min(0).max(100).optional(), message: prose(1000).optional() })
  .meta({ id: "TaskProgress" });
const TaskError = z.strictObject({ code: text(100).optional(), message: prose(10_000) }).meta({
  id: "TaskError",
  description:
    "As its agent said it, or of the service: `attempts_exhausted`, `timed_out`, `dependency_failed`, `agent_deleted`, " +
    "`definition_retired`, `cancelled`, `rejected`.",
});

/** A task with its timeline. */
export const Task = z
  .strictObject({
    taskId: z.guid(),
    state: TaskState.meta({ description: "Effective at the moment of reading, whether or not a sweep came by." }),
    agentId: AgentId.optional().meta({ description: "For whom it is; of a pooled task who works or worked on it." }),
    definitionId: DefinitionId.optional(),
    definitionVersion: Version.optional().meta({ description: "Of the agent that claimed it last." }),
    pooled: z.boolean().meta({ description: "Whether any running agent of the definition may claim it." }),
    type: z.string(),
    name: z.string().optional(),
    payload: JsonObject,
    priority: Priority,
    cause: z.strictObject({ kind: CauseKind, id: z.string().optional() }),
    dependsOn: z.array(z.guid()),
    waitingFor: z.int().optional().meta({ description: "How many of `dependsOn` have not completed." }),
    approval: z
      .strictObject({
        decision: z.enum(["REQUIRED", "APPROVED", "REJECTED"]),
        at: Timestamp.optional(),
        by: z.string().optional(),
        reason: z.string().optional(),
      })
      .optional(),
    timeoutSeconds: z.int(),
    attempt: z.int(),
    maxAttempts: z.int(),
    attempts: z.array(Attempt),
    progress: Progress.optional(),
    result: JsonObject.optional(),
    error: TaskError.optional(),
    usage: Usage.optional().meta({ description: "Of all attempts together." }),
    feedback: z
      .strictObject({ rating: z.int(), comment: z.string().optional(), at: Timestamp, by: z.string() })
      .optional(),
    traceparent: z.string().optional(),
    submittedBy: z.string(),
    submittedAt: Timestamp,
    availableAt: Timestamp.optional().meta({ description: "When it may be claimed (again), unless it is finished." }),
    startedAt: Timestamp.optional().meta({ description: "When its last attempt began." }),
    leaseExpiresAt: Timestamp.optional(),
    deadlineAt: Timestamp.optional().meta({ description: "When the attempt has taken as long as it may." }),
    finishedAt: Timestamp.optional(),
    durationSeconds: z.number().optional().meta({ description: "Of its last attempt, when it is finished." }),
  })
  .meta({ id: "Task" });

export const TaskPath = z.strictObject({ taskId: Uuid });
export const TaskFilter = z.strictObject({
  agentId: AgentId.optional(),
  definitionId: DefinitionId.optional(),
  state: TaskState.optional(),
  type: text(255).optional(),
  cause: CauseKind.optional(),
  after: TimestampInput.optional().meta({ description: "Submitted at or after." }),
  before: TimestampInput.optional().meta({ description: "Submitted before." }),
  ...Page,
});
export const TaskPage = pageOf(Task);

export const TaskClaim = z.strictObject({
  maxTasks: z.int().min(1).max(100).default(1),
  leaseSeconds: leaseSeconds.default(60).meta({ description: "How long without a word; progress renews it." }),
  waitSeconds: z.int().min(0).max(30).default(0).meta({ description: "How long to wait for a first task." }),
});
/** A task in a worker's hand. */
export const ClaimedTask = Task.extend({ leaseToken: z.guid(), leaseExpiresAt: Timestamp, deadlineAt: Timestamp }).meta(
  {
    id: "ClaimedTask",
  },
);
export const TasksClaimed = z.strictObject({ tasks: z.array(ClaimedTask) });

export const TaskReport = z.strictObject({
  leaseToken,
  leaseSeconds: leaseSeconds.optional().meta({ description: "Default that of the claim, from now." }),
  progress: Progress.optional(),
  usage,
});
export const TaskReported = z
  .strictObject({ taskId: z.guid(), leaseExpiresAt: Timestamp, deadlineAt: Timestamp })
  .meta({ id: "TaskReported" });

export const TaskCompletion = z.strictObject({
  leaseToken,
  result: sizedObject(MAX_PAYLOAD_BYTES).optional(),
  usage,
});
export const TaskFailure = z.strictObject({
  leaseToken,
  error: TaskError,
  retryable: z.boolean().default(true).meta({ description: "Whether another attempt could come to something else." }),
  retryAfterSeconds: z.int().min(0).max(86_400).optional().meta({ description: "Instead of the growing back-off." }),
  usage,
});

/** What became of an attempt that its agent ended. */
export const TaskEnded = z
  .strictObject({
    taskId: z.guid(),
    state: TaskState,
    availableAt: Timestamp.optional().meta({ description: "When it may be claimed again." }),
  })
  .meta({ id: "TaskEnded" });

const reason = prose(1000).optional();
export const TaskDecision = z.strictObject({ reason });
export const TaskFeedback = z.strictObject({ rating: z.int().min(1).max(5), comment: prose(10_000).optional() });
