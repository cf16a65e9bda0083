import type { AgentState } from "../../shared/schemas/agent.ts";
import type { Service } from "../support/service.ts";
import { callsFor } from "./calls.ts";

type Fields = Record<string, unknown>;
type Headers_ = Record<string, string>;

/** A task's columns that say it is in somebody's hand. */
const LEASE = {
  attempt: "1",
  lease_token: "gen_random_uuid()",
  lease_seconds: "60",
  leased_at: "now()",
  lease_until: "now() + interval '60 s'",
  deadline_at: "now() + interval '300 s'",
  available_at: "now() + interval '60 s'",
};

/** The calls that tests of agents repeat, over HTTP; answers are left to the test to judge. */
export function agentsFor(service: Service) {
  const at = (id: string, verb = "") => `/v1/agents/${id}${verb && `/${verb}`}`;
  const calls = callsFor(service);
  const own = {
    at,
    tell: (id: string, verb: string, body: Fields = {}, headers?: Headers_) =>
      service.post(at(id, verb), body, headers),
    change: (id: string, fields: Fields, headers?: Headers_) => service.put(at(id), fields, headers),
    agentOf: async (id: string) => (await service.get(at(id))).body,
    historyOf: async (id: string) => (await service.get(`${at(id, "history")}?pageSize=100`)).body.items,
    /** What an agent was told of itself, oldest first: message types and payloads. */
    toldTo: (address: string) =>
      service.sql<{ type: string; payload: Fields }>(
        `select message_type as type, payload from cams.messages
         where recipient_address = $1 and sender_address = 'cams' and message_type like 'agent.%' order by seq`,
        [address],
      ),
    /** Makes a task past the service, in the agent's hand unless told otherwise; columns are SQL. Answers its id. */
    async task(agentId: string, columns: Record<string, string> = LEASE): Promise<string> {
      const all: Record<string, string> = {
        task_id: "cams.uuid7(now())",
        agent_id: `'${agentId}'`,
        type: "'t'",
        payload: "'{}'",
        priority: "3",
        cause_kind: "'MANUAL'",
        timeout_seconds: "300",
        max_attempts: "3",
        submitted_at: "now()",
        submitted_by: "'test'",
        rank_at: "now()",
        available_at: "now()",
        ...columns,
      };
      const [made] = await service.sql<{ task_id: string }>(
        `insert into cams.tasks (${Object.keys(all).join(", ")})
         values (${Object.values(all).join(", ")}) returning task_id`,
      );
      return made?.task_id as string;
    },
    /** Registers an agent and leads it into a state. */
    async inState(state: AgentState, fields: Fields = {}) {
      const { id, aiAgentAddress } = await calls.agent(fields);
      const lead: Record<AgentState, () => Promise<unknown>> = {
        CREATED: async () => {},
        RUNNING: () => own.tell(id, "start"),
        PAUSED: async () => {
          await own.tell(id, "start");
          await own.tell(id, "pause");
        },
        DRAINING: async () => {
          await own.tell(id, "start");
          await own.task(id);
          await own.tell(id, "stop", { drain: true });
        },
        STOPPED: () => own.tell(id, "stop"),
        FAILED: async () => {
          await own.tell(id, "start");
          await service.sql("update cams.agents set state = 'FAILED', updated_by = 'cams' where agent_id = $1", [id]);
        },
      };
      await lead[state]();
      return { id: id as string, aiAgentAddress: aiAgentAddress as string };
    },
  };
  return { ...calls, ...own };
}

export { LEASE };
