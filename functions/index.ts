import type { Endpoint } from "../shared/http/endpoint.ts";
import { health } from "./health/index.ts";
import { inboxes } from "./inboxes/index.ts";
import { messages } from "./messages/index.ts";
import { system } from "./system/index.ts";

/** Every endpoint there is, room by room in reading order. */
export const endpoints: readonly Endpoint[] = [...inboxes, ...messages, ...health, ...system];

/** What each room is for. */
export const rooms: Record<string, string> = {
  inboxes: "Where agents can be reached.",
  messages: "From the sender's hand to their end.",
  health: "Whether agents are alive.",
  system: "The service about itself.",
};
