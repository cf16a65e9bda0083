import * as z from "zod";
import { TimestampInput } from "./common.ts";
import { EventTypePattern } from "./event.ts";

/** What is asked of the stream of events. */
export const FollowEvents = z.strictObject({
  type: EventTypePattern.optional().meta({
    description: "Only events whose type fits: `*` stands for one part, `#` at the end for any number.",
  }),
  after: TimestampInput.optional().meta({
    description:
      "Begin with what was published at or after this time, as far as it is kept; without it, and without " +
      "`Last-Event-ID`, with what is published from now on. A little of what was before may come too.",
  }),
});

/** A stream of server-sent events, as it is written: text in pieces. */
export const EventStream = z.custom<AsyncIterable<string>>().meta({
  id: "EventStream",
  description:
    "Server-sent events: each has its place in the log as `id`, and as `data` a CloudEvent (1.0, structured) in one line.",
  override: { type: "string" },
});
