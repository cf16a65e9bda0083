import { Resolver } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { hostOf, isPublicAddress, webhookFault } from "../rules/destinations.ts";

/** A name server has 2 s to answer, and is asked twice. */
const DNS = { timeout: 2000, tries: 2 };

/** Keeps webhooks out of the private network. */
export interface Guard {
  /** What is wrong with a URL as a destination, its name's addresses included; undefined when nothing is known. */
  faultOf(url: string): Promise<string | undefined>;
  /** As `faultOf`, without asking a name server. */
  faultByForm(url: string): string | undefined;
  /** Resolves for a connection: once, checked, and the connection is made to what was checked. */
  lookup: LookupFunction | undefined;
}

/** Refuses a name that leads, among others, to an address that is not public. */
export class ForbiddenAddress extends Error {
  readonly code = "FORBIDDEN_ADDRESS";
}

/** `servers`: the name servers to ask instead of the system's. `insecure`: on one's own machine, everything goes. */
export function createGuard({ servers, insecure }: { servers?: string[]; insecure: boolean }): Guard {
  // Not the system's resolver (getaddrinfo): it occupies one of four threads for as long as a slow name server likes,
  // and reads the hosts file.
  const resolver = new Resolver(DNS);
  if (servers) resolver.setServers(servers);

  async function resolve(host: string): Promise<{ address: string; family: 4 | 6 }[]> {
    const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const found = [
      ...(four.status === "fulfilled" ? four.value.map((address) => ({ address, family: 4 as const })) : []),
      ...(six.status === "fulfilled" ? six.value.map((address) => ({ address, family: 6 as const })) : []),
    ];
    if (found.length === 0 && four.status === "rejected") throw four.reason;
    // One is enough: whoever mixes a private address in among public ones means it.
    if (found.some(({ address }) => !isPublicAddress(address))) throw new ForbiddenAddress(host);
    return found;
  }

  const faultByForm = (url: string) => webhookFault(url, insecure);
  return {
    faultByForm,
    async faultOf(url) {
      const fault = faultByForm(url);
      const host = fault ? "" : hostOf(new URL(url));
      if (fault || insecure || isIP(host)) return fault;
      try {
        await resolve(host);
      } catch (error) {
        if (error instanceof ForbiddenAddress) return "must lead to a public address";
        // A name that does not resolve yet may do so when the first message comes; every delivery checks again.
      }
      return undefined;
    },
    lookup: insecure
      ? undefined
      : (host, options, callback) => {
          resolve(host).then(
            (found) => {
              const [first] = found;
              if (options.all) callback(null, found);
              else if (first) callback(null, first.address, first.family);
            },
            (error) => callback(error, []),
          );
        },
  };
}
