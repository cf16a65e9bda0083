import { type Resealed, resealSecrets } from "../delivery/reseal.ts";
import { createVault } from "../outbound/vault.ts";
import type { Service } from "./service.ts";

/** The secrets that webhooks are signed with. */
interface Secrets {
  /** A new one, as its owner gets it and as it is stored. */
  make(address: string): { secret: string; sealed: Buffer };
  /** Encrypts with the first SECRETS_KEY what was encrypted with another, as long as `mayGoOn` lets it. */
  reseal(mayGoOn: () => boolean): Promise<Resealed>;
}

export const secrets: Service<Secrets> = {
  rights: ["secrets"],
  open({ config, repo, log }) {
    const vault = createVault(config.SECRETS_KEY);
    return {
      service: { make: vault.make, reseal: (mayGoOn) => resealSecrets(repo.secrets, vault, log, mayGoOn) },
    };
  },
};
