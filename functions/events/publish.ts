import { forbidden } from "../../shared/errors.ts";
import { eventForms } from "../../shared/http/cloudevents.ts";
import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { isForeignSource, isOwnType, ownSource } from "../../shared/rules/event-sources.ts";
import { PlainlySaid } from "../../shared/schemas/cloudevent.ts";
import { EventPublished, EventsPublished } from "../../shared/schemas/event.ts";

export const eventsPublish = defineEndpoint({
  name: "events-publish",
  method: "POST",
  path: "/v1/events",
  summary: "Publish an event, or a batch of CloudEvents",
  description:
    "202 means that the event, and all that comes of it for its subscribers, is committed; of a batch all events are, or " +
    "none. A CloudEvent that was published before, by its source and id, is the same event: it gets its first answer, and " +
    "makes nothing again. Sources below `/v1/` and `/cams` are those of the service.",
  role: "agent",
  body: PlainlySaid,
  forms: eventForms,
  status: 202,
  returns: EventPublished.or(EventsPublished),
  location: (answer) => ("events" in answer ? "/v1/events" : `/v1/events/${answer.eventId}`),
  idempotent: true,
  errors: ["event_id_reused"],
  runtime: { maxInstances: 4, poolSize: 2 },
  handler: async ({ body, repo, caller, traceparent, replayed }) => {
    for (const { type, source } of body.events) {
      if (isOwnType(type)) throw forbidden(`${type} is what the service itself says: choose another type.`);
      if (source !== undefined && isForeignSource(source, caller.principal))
        throw forbidden(
          `The source ${source} is not yours: name another, or none, which is ${ownSource(caller.principal)}.`,
        );
    }
    const published = await repo.events.publish(body.events, traceparent);
    if (published.every((one) => one.replayed)) replayed();
    const events = published.map(({ replayed: _, ...answer }) => answer);
    const [first] = events;
    return body.mode !== "batch" && first ? first : { events };
  },
});
