import { eventsGet } from "./get.ts";
import { eventsList } from "./list.ts";
import { eventsPublish } from "./publish.ts";
import { eventsStats } from "./stats.ts";
import { eventsStream } from "./stream.ts";

/** What happened: published, kept for a time, and brought to those who subscribed to it. */
export const events = [eventsPublish, eventsStats, eventsStream, eventsGet, eventsList];
