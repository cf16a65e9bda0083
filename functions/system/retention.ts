import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { ARCHIVES } from "../../shared/rules/archives.ts";
import { Retained } from "../../shared/schemas/system.ts";
import { secrets } from "../../shared/services/secrets.ts";

/** Rows a statement deletes at most: its locks are short. */
const SLICE = 1000;
/** No new round after this; one is four statements of 55 s at most. The next day's run goes on. */
const BUDGET_MS = 300_000;
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
    "months; keys go when they stand for nothing any more.",
  role: "system",
  status: 200,
  returns: Retained,
  errors: [],
  needs: { secrets },
  runtime: { timeoutSeconds: 600, concurrency: 1, schedule: "17 3 * * *" },
  handler: async ({ repo, services, signal }) => {
    const { retention } = repo;
    const { log, retentionDays, taskRetentionDays } = services;
    const end = performance.now() + BUDGET_MS;
    const mayGoOn = () => performance.now() < end && !signal.aborted;

    const kept = { message_archive: retentionDays, task_archive: taskRetentionDays };
    let partitionsMade: number | undefined = 0;
    let defaultPartitionRows = 0;
    const partitionsDropped: string[] = [];
    const partitionsLeft: string[] = [];
    for (const archive of ARCHIVES) {
      const made = await retention.makePartitions(archive);
      partitionsMade = made === undefined || partitionsMade === undefined ? undefined : partitionsMade + made;
      const old = await retention.oldPartitions(archive, kept[archive]);
      // Who kept partitions from being made would keep them from being dropped too: both lock the default one.
      let inUse = made === undefined;
      for (let name = old[0]; name !== undefined && !inUse && mayGoOn(); name = old[0]) {
        const dropped = await retention.dropPartition(archive, name, kept[archive]);
        // Who reads one reads, as a rule, the whole archive: each further attempt would make writers wait in vain.
        inUse = dropped === false;
        if (dropped) partitionsDropped.push(name);
        if (!inUse) old.shift();
      }
      partitionsLeft.push(...old);
      if (inUse) log.warning("the archive is in use: its partitions are left to the next run", { archive, left: old });

      const rows = await retention.defaultPartitionRows(archive, COUNTED);
      defaultPartitionRows += rows;
      if (rows > 0)
        log.alert("finished rows are in the archive's default partition: none was made for their time", {
          archive,
          defaultPartitionRows: rows,
        });
    }

    const jobs = {
      defaultPartitionRowsDeleted: retention.deleteDefaultPartitionRows("message_archive", retentionDays),
      defaultTaskRowsDeleted: retention.deleteDefaultPartitionRows("task_archive", taskRetentionDays),
      idempotencyKeysDeleted: retention.deleteIdempotencyKeys,
      messageKeysDeleted: retention.deleteMessageKeys,
      healthTransitionsDeleted: retention.deleteHealthTransitions(retentionDays),
      agentTransitionsDeleted: retention.deleteAgentTransitions(taskRetentionDays),
    };
    const deleted = {
      defaultPartitionRowsDeleted: 0,
      defaultTaskRowsDeleted: 0,
      idempotencyKeysDeleted: 0,
      messageKeysDeleted: 0,
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
      partitionsDropped,
      partitionsLeft,
      defaultPartitionRows,
      ...deleted,
      previousSecretsDeleted,
    };
  },
});
