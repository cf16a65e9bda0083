import { type Call, defineEndpoint, type Services } from "../../shared/http/endpoint.ts";
import { ARCHIVES, type Archive } from "../../shared/rules/archives.ts";
import { Retained } from "../../shared/schemas/system.ts";
import { secrets } from "../../shared/services/secrets.ts";

/** Rows a statement deletes at most: its locks are short. */
const SLICE = 1000;
/** No new round after this; one is six statements of 55 s at most. The next day's run goes on. */
const BUDGET_MS = 240_000;
/** Rows of the default partition that are counted at most: one is too many. */
const COUNTED = 10_000;

export const systemRetention = defineEndpoint({
  name: "system-retention",
  method: "POST",
  path: "/v1/system/retention",
  summary: "Delete what is kept no longer, and make room for the days ahead",
  description:
    "Safe to repeat, to overlap and to be killed. Finished messages and health transitions go after `RETENTION_DAYS`, " +
    "messages by whole days (UTC); finished tasks and the history of agents after `TASK_RETENTION_DAYS`, tasks by whole " +
    "months; events and the records of schedules after `EVENT_RETENTION_DAYS`, events by whole days; keys go when they stand for nothing any more.",
  role: "system",
  status: 200,
  returns: Retained,
  errors: [],
  needs: { secrets },
  runtime: { timeoutSeconds: 600, concurrency: 1, schedule: "17 3 * * *" },
  handler: async ({ repo, services, signal }) => {
    const { retention } = repo;
    const { log, retentionDays, taskRetentionDays, eventRetentionDays } = services;
    const end = performance.now() + BUDGET_MS;
    const mayGoOn = () => performance.now() < end && !signal.aborted;

    const kept = { message_archive: retentionDays, task_archive: taskRetentionDays, events: eventRetentionDays };
    const cut = [];
    for (const archive of ARCHIVES) cut.push(await cutArchive(repo, log, archive, kept[archive], mayGoOn));
    const partitionsLeft = cut.flatMap(({ left }) => left);
    const made = cut.flatMap((one) => one.made ?? []);
    const partitionsMade = made.length === cut.length ? made.reduce((sum, n) => sum + n, 0) : undefined;

    const jobs = {
      defaultPartitionRowsDeleted: retention.deleteDefaultPartitionRows("message_archive", retentionDays),
      defaultTaskRowsDeleted: retention.deleteDefaultPartitionRows("task_archive", taskRetentionDays),
      defaultEventRowsDeleted: retention.deleteDefaultPartitionRows("events", eventRetentionDays),
      idempotencyKeysDeleted: retention.deleteIdempotencyKeys,
      messageKeysDeleted: retention.deleteMessageKeys,
      eventKeysDeleted: retention.deleteEventKeys,
      scheduleRunsDeleted: retention.deleteScheduleRuns(eventRetentionDays),
      healthTransitionsDeleted: retention.deleteHealthTransitions(retentionDays),
      agentTransitionsDeleted: retention.deleteAgentTransitions(taskRetentionDays),
    };
    const deleted = {
      defaultPartitionRowsDeleted: 0,
      defaultTaskRowsDeleted: 0,
      defaultEventRowsDeleted: 0,
      idempotencyKeysDeleted: 0,
      messageKeysDeleted: 0,
      eventKeysDeleted: 0,
      scheduleRunsDeleted: 0,
      healthTransitionsDeleted: 0,
      agentTransitionsDeleted: 0,
    };
    const reached: { [name in keyof typeof deleted]?: string | number | undefined } = {};
    const unfinished = new Set(Object.keys(jobs) as (keyof typeof jobs)[]);
    // In turns: a day of very many keys must not use up the time of everything else, day after day.
    while (unfinished.size > 0 && mayGoOn())
      for (const name of unfinished) {
        const slice = await jobs[name](SLICE, reached[name]);
        deleted[name] += slice.deleted;
        reached[name] = slice.last;
        if (slice.deleted === 0) unfinished.delete(name);
      }

    const previousSecretsDeleted = await repo.secrets.deletePrevious();
    const resealed = await services.secrets.reseal(mayGoOn);
    return {
      ...resealed,
      complete: partitionsMade !== undefined && partitionsLeft.length + unfinished.size === 0 && resealed.complete,
      partitionsMade,
      partitionsDropped: cut.flatMap(({ dropped }) => dropped),
      partitionsLeft,
      defaultPartitionRows: cut.reduce((sum, { rows }) => sum + rows, 0),
      ...deleted,
      previousSecretsDeleted,
    };
  },
});

/** Makes an archive's partitions for the days ahead, and drops those that are old. */
async function cutArchive(
  { retention }: Call["repo"],
  log: Services["log"],
  archive: Archive,
  keptDays: number,
  mayGoOn: () => boolean,
) {
  const made = await retention.makePartitions(archive);
  const dropped: string[] = [];
  const left = await retention.oldPartitions(archive, keptDays);
  // Who kept partitions from being made would keep them from being dropped too: both lock the default one.
  let inUse = made === undefined;
  for (let name = left[0]; name !== undefined && !inUse && mayGoOn(); name = left[0]) {
    const gone = await retention.dropPartition(archive, name, keptDays);
    // Who reads one reads, as a rule, the whole archive: each further attempt would make writers wait in vain.
    inUse = gone === false;
    if (gone) dropped.push(name);
    if (!inUse) left.shift();
  }
  if (inUse) log.warning("the archive is in use: its partitions are left to the next run", { archive, left });
  const rows = await retention.defaultPartitionRows(archive, COUNTED);
  if (rows > 0)
    log.alert("finished rows are in the archive's default partition: none was made for their time", { archive, rows });
  return { made, dropped, left, rows };
}
