import { randomUUID } from "node:crypto";
import type { Service } from "./service.ts";

type Fields = Record<string, unknown>;

/** Things to test with: every field has a default, and what is given overrides it. */
export function makerFor(service: Service) {
  async function created(path: string, fields: Fields, status: number) {
    const answer = await service.post(path, fields);
    if (answer.status !== status) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }
  const make = {
    address: () => `agent-${randomUUID().slice(0, 8)}@corp.example`,

    /** Registers an inbox, a pull queue unless told otherwise. */
    async inbox(fields: Fields = {}) {
      const defaults = { aiAgentAddress: make.address(), inboxDestinationType: "PULL_QUEUE" };
      return created("/v1/agent-inboxes", { ...defaults, ...fields }, 201);
    },

    /** Registers a principal, an agent that speaks for nobody unless told otherwise; without the service's wait. */
    async principal(fields: Fields = {}) {
      const { principalId = `principal-${randomUUID().slice(0, 8)}@corp.example`, ...given } = fields;
      const body = { role: "agent", addresses: [], ...given };
      await service.sql(
        `insert into cams.principals (principal_id, role, team, addresses, created_at, updated_at, updated_by)
         values ($1, $2, $3, $4, now(), now(), 'test')`,
        [principalId, body.role, fields.team, body.addresses],
      );
      return { principalId: principalId as string, ...body };
    },

    /** Gives a principal a key. */
    async key(principalId: string, fields: Fields = {}) {
      return created(`/v1/principals/${encodeURIComponent(principalId)}/keys`, fields, 201);
    },

    /** The document of an agent; what is given of its metadata is merged in. */
    document({ metadata, ...fields }: Fields = {}) {
      const id = `agent-${randomUUID().slice(0, 8)}`;
      const given = metadata as Fields | undefined;
      return {
        kind: "Agent",
        metadata: { id, name: "An agent", version: "1.0.0", ownerTeam: "sales", ...given },
        ...fields,
      } as Fields & {
        metadata: { id: string; version: string };
      };
    },

    /** The document of a team. */
    team({ metadata, ...fields }: Fields = {}) {
      const id = `team-${randomUUID().slice(0, 8)}`;
      const defaults = { kind: "Team", mode: "route", members: [{ id: "nobody" }] };
      return make.document({
        metadata: { id, name: "A team", ...(metadata as Fields | undefined) },
        ...defaults,
        ...fields,
      });
    },

    /** Creates a draft. */
    async definition(fields: Fields = {}) {
      return created("/v1/definitions", make.document(fields), 201);
    },

    /** Creates a version and publishes it. */
    async published(fields: Fields = {}) {
      const { id, version } = await make.definition(fields);
      return created(`/v1/definitions/${id}/versions/${version}/publish`, {}, 200);
    },

    /** Registers an agent, with a pull queue at its id unless told otherwise. */
    async agent(fields: Fields = {}) {
      const id = `agent-${randomUUID().slice(0, 8)}`;
      return created("/v1/agents", { id, name: "An agent", type: "worker", ...fields }, 201);
    },

    /** Registers an agent and starts it. */
    async running(fields: Fields = {}) {
      const { id } = await make.agent(fields);
      return created(`/v1/agents/${id}/start`, {}, 200);
    },

    /** Submits a task, to a new running agent unless told otherwise; answers the agent's id with it. */
    async task({ agentId, ...fields }: Fields = {}) {
      const to = agentId ?? (await make.running({ ownerTeam: "sales" })).id;
      return { agentId: to, ...(await created(`/v1/agents/${to}/tasks`, { type: "report", ...fields }, 202)) };
    },

    /** Claims for an agent; answers the tasks. */
    async claim(agentId: string, fields: Fields = {}) {
      return (await created(`/v1/agents/${agentId}/tasks/claim`, fields, 200)).tasks;
    },

    /** Submits a task and claims it; answers it as claimed. */
    async claimed(fields: Fields = {}, claim: Fields = {}) {
      const { agentId } = await make.task(fields);
      return (await make.claim(agentId, claim))[0];
    },

    /** Publishes an event. */
    async event(fields: Fields = {}) {
      return created("/v1/events", { type: "order.placed", payload: { order: 7 }, ...fields }, 202);
    },

    /** Subscribes an inbox, a new one unless told otherwise. */
    async subscription({ to, ...fields }: Fields = {}) {
      const target = to ?? { aiAgentAddress: (await make.inbox()).aiAgentAddress };
      return created("/v1/subscriptions", { eventType: "order.*", to: target, ...fields }, 201);
    },

    /** Makes a schedule that is due once a year unless told otherwise; `ownerTeam` without that team's operator. */
    async schedule({ ownerTeam, ...fields }: Fields = {}) {
      const times = fields.runAt === undefined ? { cron: "0 0 1 1 *" } : {};
      const body = { name: "The report", eventType: "report.due", ...times, ...fields };
      const made = await created("/v1/schedules", body, 201);
      if (ownerTeam === undefined) return made;
      await service.sql("update cams.schedules set owner_team = $2 where schedule_id = $1", [
        made.scheduleId,
        ownerTeam,
      ]);
      return { ...made, ownerTeam };
    },

    /** Sends a message, to a new inbox unless told otherwise. */
    async message(fields: Fields = {}) {
      const recipientAddress = fields.recipientAddress ?? (await make.inbox()).aiAgentAddress;
      const defaults = { recipientAddress, senderAddress: "sender@corp.example", payload: { hello: "world" } };
      return created("/v1/messages", { ...defaults, ...fields }, 202);
    },

    /** Pulls from an inbox; answers the messages. */
    async pull(address: string, fields: Fields = {}) {
      return (await created(`/v1/agent-inboxes/${address}/messages/pull`, fields, 200)).messages;
    },

    /** Sends a message and leases it; answers it as pulled. */
    async leased(fields: Fields = {}, pull: Fields = {}) {
      const { recipientAddress } = await make.message(fields);
      return (await make.pull(recipientAddress, pull))[0];
    },
  };
  return make;
}
