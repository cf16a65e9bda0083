import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { Delivered } from "../../shared/schemas/message.ts";
import { delivery } from "../../shared/services/delivery.ts";

export const messagesDeliver = defineEndpoint({
  name: "messages-deliver",
  method: "POST",
  path: "/v1/messages/deliver",
  summary: "Deliver what is due to webhooks and Pub/Sub topics",
  description:
    "Goes on for 50 seconds (`DELIVER_SECONDS`), waiting when nothing is due; then answers what it did. Any number of " +
    "calls may run at once.",
  role: "system",
  status: 200,
  returns: Delivered,
  errors: [],
  needs: { deliver: delivery },
  runtime: {
    memoryMb: 512,
    timeoutSeconds: 90,
    concurrency: 1,
    maxInstances: 2,
    poolSize: 2,
    listens: true,
    schedule: "* * * * *",
  },
  handler: ({ services, signal }) => services.deliver(signal),
});
