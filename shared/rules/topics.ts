/** The topic of hints that something may be pulled from an inbox. */
export function inboxTopic(address: string): string {
  return `inbox:${address}`;
}

/** The topic of hints that something may be delivered to a webhook or a Pub/Sub topic. */
export const DELIVERIES = "deliveries";

/** Everybody who may take what has become available in an inbox, whatever its type. */
export function topicsOf(address: string): string[] {
  return [inboxTopic(address), DELIVERIES];
}

/** The topic of hints that another version of a definition may be current. */
export function definitionTopic(id: string): string {
  return `definition:${id}`;
}

/** The topic of hints that a task for this agent may be claimed. */
export function agentTasksTopic(agentId: string): string {
  return `tasks:agent:${agentId}`;
}

/** The topic of hints that a task may be claimed from the pool of a definition. */
export function poolTopic(definitionId: string): string {
  return `tasks:definition:${definitionId}`;
}

/** The topic of hints that there is more in the event log. */
export const EVENTS = "events";
