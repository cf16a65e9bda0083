import { defineEndpoint } from "../../shared/http/endpoint.ts";
import { inboxTopic } from "../../shared/rules/topics.ts";
import { InboxPath } from "../../shared/schemas/inbox.ts";
import { Pull, Pulled } from "../../shared/schemas/message.ts";

export const messagesPull = defineEndpoint({
  name: "messages-pull",
  method: "POST",
  path: "/v1/agent-inboxes/{aiAgentAddress}/messages/pull",
  summary: "Pull messages, each with a lease",
  description:
    "By priority with ageing, then arrival. A message whose lease runs out is handed out again; acknowledge it before. " +
    "With `waitSeconds` the answer comes as soon as there is a message.",
  role: "agent",
  params: InboxPath,
  body: Pull,
  status: 200,
  returns: Pulled,
  errors: ["inbox_not_found", "inbox_inactive", "inbox_not_pulled"],
  runtime: { concurrency: 500, maxInstances: 4, poolSize: 2, listens: true },
  handler: async ({ params, body, repo, signal, wait }) => {
    const address = params.aiAgentAddress;
    const { messages = [], remaining = 0 } =
      (await wait(inboxTopic(address), body.waitSeconds, async () => {
        const claimed = await repo.leases.claim(address, body);
        return claimed.messages.length > 0 ? claimed : undefined;
      })) ?? {};
    if (signal.aborted && messages.length > 0) {
      // Whoever asked is gone: the next pull need not wait for these leases to run out.
      await repo.leases.giveBack(
        address,
        messages.map((message) => message.leaseToken),
      );
      return { messages: [], remaining };
    }
    return { messages, remaining };
  },
});
