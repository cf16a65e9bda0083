import * as z from "zod";
import { AiAgentAddress, notReserved, Page, pageOf, prose, stringMap, Timestamp, text } from "./common.ts";
import { DefinitionId, Version } from "./definition-document.ts";
import { HealthStatus } from "./inbox.ts";

export type AgentState = z.output<typeof AgentState>;
export const AgentState = z.enum(["CREATED", "RUNNING", "PAUSED", "DRAINING", "STOPPED", "FAILED"]).meta({
  id: "AgentState",
  description:
    "What was decided about it; whether it is alive is `isHealthy`. `DRAINING`: it ends what it works on and claims " +
    "nothing more. `FAILED`: it was running and went silent.",
});

export const AgentId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be 1 to 63 of a-z, 0-9 and -, and not begin with -")
  .refine((id) => id !== "count", "is reserved")
  .meta({ id: "AgentId", example: "support-1" });
export const AgentPath = z.strictObject({ agentId: AgentId });

const AgentType = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    "must be 1 to 63 of A-Z, a-z, 0-9, . _ and -, and begin with a letter or digit",
  )
  .meta({ id: "AgentType", example: "worker" });

const Resources = z
  .strictObject({
    cpuMillicores: z.int().min(0).max(1_000_000).optional(),
    memoryMb: z.int().min(0).max(100_000_000).optional(),
  })
  .meta({ id: "AgentResources", description: "What it is meant to be given; CAMS itself gives nothing." });

const config = {
  maxConcurrentTasks: z.int().min(1).max(1000).meta({
    description: "Tasks it works on at once; its definition's `maxParallelTasks` may allow fewer.",
  }),
  taskQueueSize: z.int().min(0).max(100_000).meta({
    description: "Tasks that may wait for it; of those submitted in the same moment a few more.",
  }),
  heartbeatIntervalSeconds: z.int().min(5).max(86_400).meta({ description: "Kept on its inbox." }),
  taskTimeoutSeconds: z.int().min(1).max(2_592_000).meta({
    description: "How long an attempt at a task may take that does not say so itself.",
  }),
};

const given = {
  name: text(255),
  type: AgentType,
  description: prose(10_000),
  metadata: stringMap(64).meta({ description: "Any words of one's own, string to string." }),
  tags: z.array(text(100)).max(100),
  capabilities: z.array(text(100)).max(100),
  ownerTeam: text(255),
};
const definition = z.strictObject({
  id: DefinitionId,
  version: Version.optional().meta({ description: "A published one; default the current one." }),
});

/** What registers an agent. */
export const AgentRegistration = z
  .strictObject({
    id: AgentId.optional().meta({ description: "Made when it is not given." }),
    name: given.name,
    type: given.type,
    description: given.description.optional(),
    metadata: given.metadata.default({}),
    config: z
      .strictObject({
        maxConcurrentTasks: config.maxConcurrentTasks.default(5),
        taskQueueSize: config.taskQueueSize.default(100),
        heartbeatIntervalSeconds: config.heartbeatIntervalSeconds.optional(),
        taskTimeoutSeconds: config.taskTimeoutSeconds.default(300),
        resources: Resources.optional(),
      })
      .prefault({}),
    tags: given.tags.default([]),
    capabilities: given.capabilities.default([]),
    definition: definition.optional().meta({ description: "What it is: a version of a definition of kind `Agent`." }),
    aiAgentAddress: AiAgentAddress.refine(notReserved, "is reserved for the system")
      .optional()
      .meta({
        description:
          "Where it is reached, default its id: an inbox there is, or else a `PULL_QUEUE` made with it. For a webhook or a " +
          "topic register the inbox first.",
      }),
    ownerTeam: given.ownerTeam.optional(),
  })
  .meta({ id: "AgentRegistration" });

/** A partial update: only what is given changes; `null` clears an optional field. */
export const AgentUpdate = z
  .strictObject({
    name: given.name.optional(),
    type: given.type.optional(),
    description: given.description.nullable().optional(),
    metadata: given.metadata.optional().meta({ description: "In the place of what was there." }),
    config: z
      .strictObject({
        maxConcurrentTasks: config.maxConcurrentTasks.optional(),
        taskQueueSize: config.taskQueueSize.optional(),
        heartbeatIntervalSeconds: config.heartbeatIntervalSeconds.optional(),
        taskTimeoutSeconds: config.taskTimeoutSeconds.optional(),
        resources: Resources.nullable().optional(),
      })
      .optional(),
    tags: given.tags.optional(),
    capabilities: given.capabilities.optional(),
    definition: definition.nullable().optional(),
    ownerTeam: given.ownerTeam
      .nullable()
      .optional()
      .meta({ description: "Kept on its inbox; an administrator gives it." }),
  })
  .refine((fields) => Object.keys(fields).length > 0, "at least one field must be given")
  .meta({ id: "AgentUpdate" });

export const Agent = z
  .strictObject({
    id: AgentId,
    name: z.string(),
    type: z.string(),
    description: z.string().optional(),
    state: AgentState,
    stateReason: z.string().optional(),
    isHealthy: z.boolean().meta({
      description: "Computed at the moment of reading: it last said so, and has not missed two reports since.",
    }),
    healthStatus: HealthStatus,
    metadata: z.record(z.string(), z.string()),
    config: z.strictObject({ ...config, resources: Resources.optional() }),
    tags: z.array(z.string()),
    capabilities: z.array(z.string()),
    definition: z.strictObject({ id: DefinitionId, version: Version }).optional(),
    aiAgentAddress: z.string(),
    ownerTeam: z.string().optional(),
    quarantine: z
      .strictObject({ since: Timestamp, by: z.string().optional(), reason: z.string().optional() })
      .optional()
      .meta({ description: "No delivery, pull, claim or grant until it is released." }),
    workingTasks: z.int().optional().meta({ description: "Tasks it works on; only where one agent is read." }),
    waitingTasks: z.int().optional().meta({
      description: "Tasks in its own queue, counted to 1,000, which means that or more; only where one agent is read.",
    }),
    createdAt: Timestamp,
    createdBy: z.string(),
    updatedAt: Timestamp.meta({ description: "Of the last decision; health does not count." }),
    updatedBy: z.string(),
    lastHeartbeat: Timestamp.optional(),
    revision: z.int().meta({ description: "Counts decisions, not health." }),
  })
  .meta({ id: "Agent" });

const filter = {
  type: AgentType.optional(),
  state: AgentState.optional(),
  healthy: z
    .enum(["true", "false"])
    .transform((value) => value === "true")
    .optional(),
  quarantined: z
    .enum(["true", "false"])
    .transform((value) => value === "true")
    .optional(),
  definitionId: DefinitionId.optional(),
  ownerTeam: given.ownerTeam.optional(),
  tag: text(100).optional(),
  capability: text(100).optional(),
  q: text(255).optional().meta({
    description: "Beginnings of words, all of which its id, name, type, description, tags or metadata have.",
  }),
};
export const AgentFilter = z.strictObject({ ...filter, ...Page });
export const AgentCountFilter = z.strictObject(filter);
export const AgentPage = pageOf(Agent);

const counts = z.record(z.string(), z.int());
export const AgentCount = z
  .strictObject({
    count: z.int(),
    byState: counts,
    byType: counts.meta({ description: "The 100 most frequent." }),
    byHealth: counts.meta({ description: "By health status." }),
  })
  .meta({ id: "AgentCount" });

const reason = prose(1000);
/** What is said with a command. */
export const AgentCommand = z.strictObject({
  reason: reason.optional().meta({ description: "Why, for the history." }),
});
export const AgentStop = AgentCommand.extend({
  drain: z
    .boolean()
    .default(false)
    .meta({ description: "Let it end what it works on; else that returns to its queue." }),
});
export const QuarantineOrder = z.strictObject({ reason: reason.min(1) });

/** Agents by what they have in common: all of what is given. */
export const AgentSelector = z
  .strictObject({
    ownerTeam: given.ownerTeam.optional(),
    type: AgentType.optional(),
    tag: text(100).optional(),
    definitionId: DefinitionId.optional(),
    all: z.literal(true).optional().meta({ description: "All that the caller decides over; stands alone." }),
  })
  .refine(
    ({ all, ...rest }) => Object.keys(rest).length > 0 !== (all === true),
    "must have ownerTeam, type, tag or definitionId, or else all",
  )
  .meta({ id: "AgentSelector" });
export const QuarantineMany = z.strictObject({ selector: AgentSelector, reason: reason.min(1) });
export const Quarantined = z.strictObject({
  quarantined: z.int().meta({ description: "Agents that were not before." }),
});
export const Released = z.strictObject({ released: z.int() });

/** One change of an agent's state. */
export const AgentTransition = z
  .strictObject({
    at: Timestamp,
    from: AgentState.optional().meta({ description: "None: it was registered." }),
    to: AgentState,
    reason: z.string().optional(),
    by: z.string(),
  })
  .meta({ id: "AgentTransition" });
export const AgentHistoryPage = pageOf(AgentTransition);
