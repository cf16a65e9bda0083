import type { IncomingMessage } from "node:http";
import type { Config } from "../config.ts";
import type { Caller } from "./endpoint.ts";

const LOCAL: Caller = { principal: "local", role: "admin" };

/** Tells who calls. With `AUTH_MODE=none` everybody is the local administrator. */
export function createAuthentication(_config: Config): (req: IncomingMessage) => Promise<Caller> | Caller {
  return () => LOCAL;
}
