import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { EventPublished, PlainEvent } from "../../shared/schemas/event.ts";

export const eventsPublish = defineEndpoint({
  name: "events-publish",
  method: "POST",
  path: "/v1/events",
  summary: "Publish an event",
  description:
    "202 means that the event, and all that comes of it for its subscribers, is committed. A CloudEvent that was published " +
    "before, by its source and id, is the same event: it gets its first answer, and makes nothing again.",
  role: "agent",
  body: PlainEvent,
  status: 202,
  returns: EventPublished,
  location: ({ eventId }) => `/v1/events/${eventId}`,
  idempotent: true,
  errors: ["event_id_reused"],
  runtime: { maxInstances: 4, poolSize: 2 },
  handler: async ({ body, repo, traceparent, replayed }) => {
    const { payload, ...rest } = body;
    const event = { ...rest, ...(payload !== undefined && { data: payload, datacontenttype: "application/json" }) };
    const [published] = await repo.events.publish([event], traceparent);
    if (!published) throw new Error("an event was published without an answer");
    const { replayed: known, ...answer } = published;
    if (known) replayed();
    return answer;
  },
});
