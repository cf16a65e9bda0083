import * as z from "zod";
import { Page, pageOf, Timestamp, TimestampInput, text, Uuid, wholeNumber } from "./common.ts";
import { EventData, EventType } from "./event.ts";
import { Priority } from "./message.ts";

const Misfire = z.enum(["skip", "once", "all"]).meta({
  id: "Misfire",
  description:
    "What becomes of times that were missed by more than two minutes: none is made up for, the latest is (unless a time is " +
    "due now), or all are, the latest 100.",
});
const cron = text(255).meta({
  description:
    "Minute, hour, day of month, month, day of week. When clocks change: a fixed time that is left out comes right after " +
    "the change, one that is shown twice comes once; what has a `*` or a step keeps its rhythm.",
  example: "0 6 * * MON-FRI",
});
const timeZone = text(100).meta({ description: "IANA name of a time zone.", example: "Europe/Berlin" });
const runAt = TimestampInput.meta({ description: "Once, at this time, in place of `cron`." });

const said = {
  name: text(255),
  eventType: EventType.meta({ description: "Type of the event that it publishes." }),
  payload: EventData.optional(),
  priority: Priority,
  enabled: z.boolean(),
  misfire: Misfire,
};

/** What makes a schedule. */
export const ScheduleToCreate = z
  .strictObject({
    ...said,
    priority: said.priority.default("NORMAL"),
    enabled: said.enabled.default(true),
    misfire: said.misfire.default("once"),
    cron: cron.optional(),
    timeZone: timeZone
      .optional()
      .meta({ description: "IANA name of a time zone; default UTC.", example: "Europe/Berlin" }),
    runAt: runAt.optional(),
  })
  .meta({ id: "ScheduleToCreate" });

/** What changes one: what is given. `cron` takes the place of `runAt`, and the other way round. */
export const ScheduleUpdate = z
  .strictObject({
    ...said,
    cron,
    timeZone,
    runAt,
  })
  .partial()
  .refine((body) => Object.keys(body).length > 0, "must have at least one field")
  .meta({ id: "ScheduleUpdate" });

/** What publishes an event by the clock. */
export const Schedule = z
  .strictObject({
    scheduleId: z.guid(),
    ...said,
    cron: cron.optional(),
    timeZone: timeZone.optional(),
    runAt: Timestamp.optional(),
    nextRunAt: Timestamp.optional().meta({
      description: "When it is due; absent when it is never again, or not enabled.",
    }),
    lastRunAt: Timestamp.optional().meta({
      description: "When it last published an event by the clock; runs by hand are not meant.",
    }),
    preview: z.array(Timestamp).optional().meta({ description: "The next times, where they were asked for." }),
    ownerTeam: z.string().optional(),
    createdAt: Timestamp,
    createdBy: z.string(),
    updatedAt: Timestamp,
    updatedBy: z.string(),
    revision: z.int(),
  })
  .meta({ id: "Schedule" });

export const SchedulePath = z.strictObject({ scheduleId: Uuid });
export const ScheduleQuery = z.strictObject({
  preview: wholeNumber().min(0).max(100).default(0).meta({ description: "How many of the next times to answer." }),
});

/** Filters of the list. */
export const ScheduleFilter = z.strictObject({
  ...Page,
  eventType: EventType.optional(),
  enabled: z
    .enum(["true", "false"])
    .optional()
    .transform((value) => value && value === "true"),
});
export const SchedulePage = pageOf(Schedule).meta({ id: "SchedulePage" });

/** What became of a time that came due. */
const ScheduleRun = z
  .strictObject({
    runId: z.guid(),
    scheduledFor: Timestamp,
    outcome: z.enum(["FIRED", "SKIPPED"]),
    late: z.boolean().meta({ description: "The time was missed by more than two minutes." }),
    manual: z.boolean(),
    at: Timestamp.meta({ description: "When that was decided." }),
    eventId: z.guid().optional(),
    actor: z.string(),
  })
  .meta({ id: "ScheduleRun" });
export const ScheduleRunPage = pageOf(ScheduleRun).meta({ id: "ScheduleRunPage" });

/** A run by hand. */
export const ScheduleStarted = z.strictObject({ runId: z.guid(), eventId: z.guid() }).meta({ id: "ScheduleStarted" });

/** What a tick did. */
export const Ticked = z
  .strictObject({
    schedules: z.int().meta({ description: "Schedules that were due." }),
    fired: z.int(),
    skipped: z.int(),
    failed: z.int().meta({ description: "Schedules that stay due: the log says why." }),
    eventsRouted: z
      .int()
      .meta({ description: "Events of the service itself that were still to be brought to subscribers." }),
  })
  .meta({ id: "Ticked" });
