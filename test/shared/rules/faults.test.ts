import { expect, test } from "vitest";
import { faultsOf } from "../../../shared/rules/faults.ts";
import { AgentRegistration } from "../../../shared/schemas/agent.ts";
import { DefinitionQuery } from "../../../shared/schemas/definition.ts";
import { EventFilter, PlainEvent } from "../../../shared/schemas/event.ts";
import { InboxFilter, InboxRegistration, InboxUpdate } from "../../../shared/schemas/inbox.ts";
import { Ack, MessageToSend, Pull } from "../../../shared/schemas/message.ts";
import { SubscriptionToCreate } from "../../../shared/schemas/subscription.ts";

const inbox = { aiAgentAddress: "a", inboxDestinationType: "PULL_QUEUE" };
const PATTERN = "must be segments separated by dots, without white space; * is one segment, # at the end any number";
const NO_PLAIN_EVENT =
  "is not a field here: send a CloudEvent with Content-Type: application/cloudevents+json, or its data as payload";
const TARGET = "must be an object with either aiAgentAddress or definitionId";
const message = { recipientAddress: "a", senderAddress: "b", payload: {} };

test.each([
  [InboxRegistration, { ...inbox, aiAgentAddress: undefined }, "/aiAgentAddress is required"],
  [InboxRegistration, { ...inbox, description: 5 }, "/description must be a string"],
  [
    InboxRegistration,
    { ...inbox, inboxDestinationType: "FAX" },
    "/inboxDestinationType must be one of GCP_PUBSUB_TOPIC, HTTP_ENDPOINT, PULL_QUEUE",
  ],
  [InboxRegistration, { ...inbox, heartbeatIntervalSeconds: 4 }, "/heartbeatIntervalSeconds must be at least 5"],
  [InboxRegistration, { ...inbox, heartbeatIntervalSeconds: 5.5 }, "/heartbeatIntervalSeconds must be a whole number"],
  [InboxRegistration, { ...inbox, "a/b~c": 1 }, "/a~1b~0c is not a field here"],
  [InboxRegistration, { ...inbox, aiAgentAddress: "cams" }, "/aiAgentAddress is reserved for the system"],
  [InboxRegistration, [], " must be an object"],
  [InboxUpdate, {}, " at least one field must be given"],
  [InboxFilter, { pageSize: "many" }, "/pageSize must be a whole number"],
  [InboxFilter, { pageSize: "2.5" }, "/pageSize must be a whole number"],
  [InboxFilter, { pageSize: "0" }, "/pageSize must be at least 1"],
  [InboxFilter, { pageSize: "1001" }, "/pageSize must be at most 1000"],
  [
    AgentRegistration,
    { name: "a", type: "wörker" },
    "/type must be 1 to 63 of A-Z, a-z, 0-9, . _ and -, and begin with a letter or digit",
  ],
  [DefinitionQuery, { waitSeconds: "31" }, "/waitSeconds must be at most 30"],
  [
    MessageToSend,
    { ...message, senderAddress: "a b" },
    "/senderAddress must be printable, without white space and none of / ? # %",
  ],
  [MessageToSend, { ...message, messageType: "" }, "/messageType must not be empty"],
  [MessageToSend, { ...message, messageType: "x".repeat(256) }, "/messageType must have at most 255 characters"],
  [
    MessageToSend,
    { ...message, deliverAfter: "soon" },
    "/deliverAfter must be a time as in RFC 3339, such as 2026-11-21T10:00:00Z",
  ],
  [MessageToSend, { ...message, inReplyTo: "that" }, "/inReplyTo must be a UUID"],
  [MessageToSend, { ...message, payload: [] }, "/payload must be a JSON object"],
  [Pull, { maxMessages: 101 }, "/maxMessages must be at most 100"],
  [PlainEvent, { type: "a", specversion: "1.0" }, `/specversion ${NO_PLAIN_EVENT}`],
  [PlainEvent, { type: "a", data: 1 }, `/data ${NO_PLAIN_EVENT}`],
  [PlainEvent, { type: "a", date: 1 }, "/date is not a field here"],
  [PlainEvent, { type: "a", source: "the lab" }, "/source must be a URI reference as in RFC 3986"],
  [PlainEvent, { type: "a", subject: "\n" }, "/subject must be Unicode without control characters"],
  [EventFilter, { type: "a." }, `/type ${PATTERN}, written %23 in a URL`],
  [EventFilter, { type: "" }, `/type ${PATTERN}, written %23 in a URL`],
  [EventFilter, { type: "a*" }, `/type ${PATTERN}`],
  [SubscriptionToCreate, { eventType: "a" }, `/to ${TARGET}`],
  [SubscriptionToCreate, { eventType: "a", to: "b" }, `/to ${TARGET}`],
  [SubscriptionToCreate, { eventType: "a", to: {} }, `/to ${TARGET}`],
  [SubscriptionToCreate, { eventType: "a", to: { aiAgentAddress: "b", definitionId: "c" } }, `/to ${TARGET}`],
  [
    SubscriptionToCreate,
    { eventType: "a", to: { aiAgentAddress: "b c" } },
    "/to/aiAgentAddress must be printable, without white space and none of / ? # %",
  ],
  [Ack, { leaseTokens: Array(101).fill("x") }, "/leaseTokens must have at most 100 entries"],
])("a fault is told in the words of the API (%#): %j → %s", (schema, input, told) => {
  const faults = schema.safeParse(input).error?.issues.flatMap(faultsOf) ?? [];
  expect(faults.map(({ pointer, message: words }) => `${pointer} ${words}`)).toEqual([told]);
});
