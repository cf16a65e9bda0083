import type { TaskState } from "../../shared/schemas/task.ts";
import type { Service } from "../support/service.ts";
import { callsFor } from "./calls.ts";

type Fields = Record<string, unknown>;
type Headers_ = Record<string, string>;

/** Now, not rounded up to what is still to come. */
const NOW = "date_trunc('milliseconds', now())";

/** The calls that tests of tasks repeat, over HTTP; answers are left to the test to judge. */
export function tasksFor(service: Service) {
  const calls = callsFor(service);
  const at = (id: string, verb = "") => `/v1/tasks/${id}${verb && `/${verb}`}`;
  const own = {
    at,
    taskOf: async (id: string) => (await service.get(at(id))).body,
    /** Its states, in the order asked for. */
    statesOf: (...ids: string[]): Promise<TaskState[]> =>
      Promise.all(ids.map(async (id) => (await own.taskOf(id)).state)),
    /** The tasks of a list. */
    listed: async (query = "") => (await service.get(`/v1/tasks${query}`)).body.items,
    /** `act(taskId, "complete", { leaseToken })` */
    act: (id: string, verb: string, body: Fields = {}, headers?: Headers_) => service.post(at(id, verb), body, headers),
    submitTo: (agentId: string, fields: Fields = {}, headers?: Headers_) =>
      service.post(`/v1/agents/${agentId}/tasks`, { type: "report", ...fields }, headers),
    submitPooled: (definitionId: string, fields: Fields = {}, headers?: Headers_) =>
      service.post(`/v1/definitions/${definitionId}/tasks`, { type: "report", ...fields }, headers),
    /** As `claim`, with the whole answer. */
    claiming: (agentId: string, fields: Fields = {}, headers?: Headers_) =>
      service.post(`/v1/agents/${agentId}/tasks/claim`, fields, headers),
    tell: (agentId: string, verb: string, body: Fields = {}) => service.post(`/v1/agents/${agentId}/${verb}`, body),
    agentOf: async (agentId: string) => (await service.get(`/v1/agents/${agentId}`)).body,

    /** A published definition with this configuration; answers its id. */
    defined: async (config: Fields = {}): Promise<string> => (await calls.published({ config })).id,
    /** Publishes the next version of a definition, with another configuration. */
    redefined: (id: string, version: string, config: Fields) => calls.published({ metadata: { id, version }, config }),
    /** A running agent of a new definition with this configuration. */
    async worker(config: Fields = {}, fields: Fields = {}) {
      const definitionId = await own.defined(config);
      const { id } = await calls.running({ definition: { id: definitionId }, ...fields });
      return { definitionId, agentId: id as string };
    },
    /** A task in the pool; answers its id. */
    pooled: async (definitionId: string, fields: Fields = {}): Promise<string> =>
      (await own.submitPooled(definitionId, fields)).body.taskId,

    /** Ends every lease of a task now (all, or one), as time would; the back-off behind it too. */
    lapseTasks: (id?: string) =>
      service.sql(
        `update cams.tasks set lease_until = ${NOW}, available_at = ${NOW}
         where lease_token is not null and $1::uuid in (task_id) is not false`,
        [id ?? null],
      ),
    /** Has every attempt take as long as it may now (all, or that at one task). */
    timeOut: (id?: string) =>
      service.sql(
        `update cams.tasks set lease_until = ${NOW}, deadline_at = ${NOW}, available_at = ${NOW}
         where lease_token is not null and $1::uuid in (task_id) is not false`,
        [id ?? null],
      ),
    /** Ends the waiting of whatever backs off. */
    tasksBecomeDue: () => service.sql("update cams.tasks set available_at = now() where lease_token is null"),
    /** What was announced of tasks in an inbox, oldest first. */
    announcedTo: async (address: string) =>
      (
        await service.sql<{
          payload: { taskId: string; agentId: string; type: string };
          due: boolean;
          priority: number;
        }>(
          `select payload, priority, available_at <= now() as due from cams.messages
           where recipient_address = $1 and sender_address = 'cams' and message_type = 'task.submitted' order by seq`,
          [address],
        )
      ).map(({ payload, due, priority }) => ({ ...payload, due, priority }) as Fields),
  };
  return { ...calls, ...own };
}
