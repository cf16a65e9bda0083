import * as z from "zod";
import { AiAgentAddress, Page, pageOf, Timestamp, Uuid } from "./common.ts";
import { DefinitionId, Version } from "./definition-document.ts";
import { EventTypePattern } from "./event.ts";
import { EventFilters } from "./event-filters.ts";
import { Priority } from "./message.ts";

const Target = z.union(
  [
    z.strictObject({ aiAgentAddress: AiAgentAddress }).meta({ title: "An inbox: it gets a message." }),
    z.strictObject({ definitionId: DefinitionId }).meta({ title: "A definition: a task comes into its pool." }),
  ],
  "must be an object with either aiAgentAddress or definitionId",
);

const subscribed = {
  eventType: EventTypePattern.meta({
    description: "Which events: `*` is one segment of the type, `#` at its end any number.",
  }),
  filters: EventFilters.optional(),
  to: Target,
  priority: Priority.optional().meta({ description: "Of what is made of the event; without it the event's own." }),
};

/** What makes a subscription. */
export const SubscriptionToCreate = z.strictObject(subscribed).meta({ id: "SubscriptionToCreate" });

/** Who is to be told of which events. */
export const Subscription = z
  .strictObject({
    subscriptionId: z.guid(),
    ...subscribed,
    fromVersion: Version.optional().meta({
      description: "A trigger of this version of the definition: there while that is the current one.",
    }),
    ownerTeam: z.string().optional(),
    createdAt: Timestamp,
    createdBy: z.string(),
    revision: z.int(),
  })
  .meta({ id: "Subscription" });

export const SubscriptionPath = z.strictObject({ subscriptionId: Uuid });

/** Filters of the list. */
export const SubscriptionFilter = z.strictObject({
  ...Page,
  eventType: EventTypePattern.optional().meta({ description: "Exactly this pattern." }),
  aiAgentAddress: AiAgentAddress.optional(),
  definitionId: DefinitionId.optional(),
});
export const SubscriptionPage = pageOf(Subscription).meta({ id: "SubscriptionPage" });

const Condition = z.strictObject({
  path: z.string(),
  expected: z.unknown().meta({ id: "FilterCondition" }),
  actual: z.unknown().optional().meta({ id: "EventValue" }),
});

const considered = {
  subscriptionId: z.guid(),
  eventType: z.string().meta({ description: "The pattern that fits the event's type." }),
  to: Target,
  priority: Priority,
  fromVersion: Version.optional(),
};

/** Who would get an event. */
export const SubscriptionMatches = z
  .strictObject({
    matched: z.array(z.strictObject(considered)).meta({
      description: "Who would get it: each inbox and definition once, however many of its subscriptions fit.",
    }),
    missed: z
      .array(
        z.strictObject({
          ...considered,
          because: z.array(Condition).optional().meta({ description: "The filters that do not hold." }),
          closed: z.string().optional().meta({ description: "Why the definition takes no tasks now." }),
        }),
      )
      .meta({ description: "Whose pattern fits, and who would not get it all the same." }),
    unhandled: z.boolean().meta({ description: "Whether nobody would." }),
  })
  .meta({ id: "SubscriptionMatches" });
