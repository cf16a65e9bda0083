import { setTimeout as delay } from "node:timers/promises";
import { createDispatcher } from "../delivery/dispatcher.ts";
import { createSender } from "../delivery/sender.ts";
import { createPubsub } from "../outbound/pubsub.ts";
import { createVault } from "../outbound/vault.ts";
import { createWebhooks } from "../outbound/webhooks.ts";
import { DELIVERIES } from "../rules/topics.ts";
import { guardOf } from "./destinations.ts";
import type { Service } from "./service.ts";

/** Delivers what is due for as long as is configured, or until `signal` aborts; answers what came of it. */
type Deliver = (signal: AbortSignal) => Promise<{ delivered: number; failed: number; deadLettered: number }>;

/** The dispatcher, and what it delivers with. */
export const delivery: Service<Deliver> = {
  rights: ["pubsub", "secrets"],
  open({ config, repo, hints, log, metrics }) {
    const webhooks = createWebhooks(guardOf(config));
    const pubsub = createPubsub({
      endpoint: config.PUBSUB_ENDPOINT,
      ...(config.PUBSUB_EMULATOR_HOST && { emulatorHost: config.PUBSUB_EMULATOR_HOST }),
    });
    const dispatch = createDispatcher({
      queue: repo.deliveries,
      send: createSender(webhooks, pubsub, createVault(config.SECRETS_KEY), log),
      subscribe: () => hints.subscribe(DELIVERIES),
      log,
      metrics,
    });
    const runs = new Set<Promise<unknown>>();
    return {
      service(signal) {
        const run = dispatch(config.DELIVER_SECONDS, signal).finally(() => runs.delete(run));
        runs.add(run);
        return run;
      },
      async close(graceMs) {
        // Also those whose caller is gone: what they have sent must be recorded.
        await Promise.race([Promise.allSettled(runs), delay(graceMs, undefined, { ref: false })]);
        webhooks.close();
        pubsub.close();
      },
    };
  },
};
