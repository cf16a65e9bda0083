import type { CallerRole } from "../rules/access.ts";
import type { Context } from "./index.ts";

interface Registered {
  principal: string;
  role: Exclude<CallerRole, "system">;
  addresses: string[];
}

/** Who may call, and their keys. */
export function principals(_context: Context) {
  return {
    async principal(_id: string): Promise<Registered | undefined> {
      return undefined;
    },
    async key(_keyId: string): Promise<(Registered & { hash: Buffer }) | undefined> {
      return undefined;
    },
  };
}
