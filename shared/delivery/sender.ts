import type { KeyObject } from "node:crypto";
import type { Logger } from "../logging/index.ts";
import type { Outcome } from "../outbound/destination.ts";
import type { Pubsub } from "../outbound/pubsub.ts";
import type { Vault } from "../outbound/vault.ts";
import type { Webhooks } from "../outbound/webhooks.ts";
import type { Leased } from "../repository/deliveries.ts";

/** Sends messages of one destination: one to a webhook, any number to a topic. One outcome for each; never throws. */
export type Send = (messages: readonly Leased[], signal: AbortSignal) => Promise<readonly Outcome[]>;

export function createSender(webhooks: Webhooks, pubsub: Pubsub, vault: Vault, log: Logger): Send {
  return async (messages, signal) => {
    const [first] = messages as [Leased];
    const { type, destination, recipientAddress, secret, previousSecret } = first;
    if (type === "GCP_PUBSUB_TOPIC") return pubsub.publish(destination, messages, signal);
    const keys = [secret, previousSecret].flatMap((sealed) => open(sealed, recipientAddress) ?? []);
    if (keys.length === 0) return [{ delivered: false, detail: "the inbox's secret cannot be read: rotate it" }];
    return [await webhooks.post(destination, first, keys, signal)];
  };

  /** A secret that cannot be opened (its SECRETS_KEY is lost) signs no more; the other of the two may still. */
  function open(sealed: Buffer | undefined, address: string): KeyObject | undefined {
    try {
      return sealed && vault.open(sealed, address);
    } catch (error) {
      log.error("a secret cannot be read", { error, address });
      return undefined;
    }
  }
}
