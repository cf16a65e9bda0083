import type { Logger } from "../logging/index.ts";
import type { Vault } from "../outbound/vault.ts";
import type { Repository } from "../repository/index.ts";
import type { SealedSecrets } from "../repository/secrets.ts";

/** Secrets read in one go. */
const PAGE = 1000;

/** What became of the stored secrets; not `complete` when time was up before the last. */
export interface Resealed {
  secretsResealed: number;
  secretsUnreadable: number;
  complete: boolean;
}

/** Seals with the vault's first key what was sealed with another, so that the others can be taken away. */
export async function resealSecrets(
  secrets: Repository["secrets"],
  vault: Vault,
  log: Logger,
  mayGoOn: () => boolean,
): Promise<Resealed> {
  let [secretsResealed, secretsUnreadable] = [0, 0];
  if (!vault.hasKey) return { secretsResealed, secretsUnreadable, complete: true };

  async function reseal(was: SealedSecrets): Promise<void> {
    const { address } = was;
    try {
      const secret = vault.reseal(was.secret, address);
      const previousSecret = was.previousSecret && vault.reseal(was.previousSecret, address);
      if (!secret && !previousSecret) return;
      const by = { secret: secret ?? was.secret, previousSecret: previousSecret ?? was.previousSecret };
      if (await secrets.replace(was, by)) secretsResealed += 1;
    } catch (error) {
      // The first one stands for all: with a wrong key there are as many as webhooks.
      if (secretsUnreadable === 0) log.error("a secret cannot be read, and perhaps others", { error, address });
      secretsUnreadable += 1;
    }
  }

  for (let after = ""; mayGoOn(); ) {
    const page = await secrets.list(after, PAGE);
    for (const was of page) await reseal(was);
    after = page.at(-1)?.address ?? "";
    if (page.length < PAGE) return { secretsResealed, secretsUnreadable, complete: true };
  }
  return { secretsResealed, secretsUnreadable, complete: false };
}
