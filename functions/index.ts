import type { Endpoint } from "../shared/http/endpoint.ts";
import { agents } from "./agents/index.ts";
import { audit } from "./audit/index.ts";
import { definitions } from "./definitions/index.ts";
import { events } from "./events/index.ts";
import { health } from "./health/index.ts";
import { inboxes } from "./inboxes/index.ts";
import { messages } from "./messages/index.ts";
import { principals } from "./principals/index.ts";
import { schedules } from "./schedules/index.ts";
import { subscriptions } from "./subscriptions/index.ts";
import { system } from "./system/index.ts";
import { tasks } from "./tasks/index.ts";

/** Every endpoint there is, room by room in reading order. */
export const endpoints: readonly Endpoint[] = [
  ...inboxes,
  ...messages,
  ...health,
  ...agents,
  ...tasks,
  ...definitions,
  ...events,
  ...subscriptions,
  ...schedules,
  ...audit,
  ...principals,
  ...system,
];

/** What each room is for. */
export const rooms: Record<string, string> = {
  inboxes: "Where agents can be reached.",
  messages: "From the sender's hand to their end.",
  health: "Whether agents are alive.",
  agents: "Who is there, what state it is in, and what it is told.",
  definitions: "What agents and teams of agents are, in versions.",
  events: "What happened: published, kept for a time, and brought to those who subscribed to it.",
  subscriptions: "Who is to be told of which events.",
  schedules: "What publishes events by the clock.",
  tasks: "Work for agents, from its submission to its end.",
  audit: "Who decided what, unforgeably.",
  principals: "Who may call, and their keys.",
  system: "The service about itself.",
};
