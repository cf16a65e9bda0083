import type { Endpoint } from "../../../shared/http/endpoint.ts";
import { agents } from "./agents.ts";
import { audit } from "./audit.ts";
import type { EndpointCases, RoomCases } from "./case.ts";
import { definitions } from "./definitions.ts";
import { events } from "./events.ts";
import { health } from "./health.ts";
import { inboxes } from "./inboxes.ts";
import { messages } from "./messages.ts";
import { principals } from "./principals.ts";
import { schedules } from "./schedules.ts";
import { subscriptions } from "./subscriptions.ts";
import { system } from "./system.ts";
import { definitionMetrics, tasks } from "./tasks.ts";

export { type Call, type Case, type Kit, kitFor, pathOf, perform } from "./case.ts";

/** How every endpoint is called, by its name. */
export const cases: RoomCases = {
  ...inboxes,
  ...messages,
  ...health,
  ...agents,
  ...definitions,
  ...definitionMetrics,
  ...tasks,
  ...events,
  ...subscriptions,
  ...schedules,
  ...audit,
  ...principals,
  ...system,
};

export function casesOf({ name }: Endpoint): EndpointCases {
  const found = cases[name];
  if (!found) throw new Error(`test/support/cases has no cases for ${name}`);
  return found;
}
