import type { Config } from "../config.ts";
import { createGuard, type Guard } from "../outbound/guard.ts";
import type { Service } from "./service.ts";

/** Tells what is wrong with a webhook's URL: by its form alone, or with the addresses of its name. */
export const destinations: Service<Pick<Guard, "faultByForm" | "faultOf">> = {
  rights: [],
  open: ({ config }) => ({ service: guardOf(config) }),
};

/** The guard that the configuration asks for. */
export function guardOf(config: Config): Guard {
  const servers = config.DNS_SERVERS?.split(",");
  return createGuard({ insecure: config.ALLOW_INSECURE_DESTINATIONS === "true", ...(servers && { servers }) });
}
