import type { Server } from "node:http";
import { setImmediate } from "node:timers/promises";
import { http } from "@google-cloud/functions-framework";
import { ConfigError, readConfig, targetOf } from "../shared/config.ts";
import { databaseRoleOf, type Endpoint } from "../shared/http/endpoint.ts";
import type { RequestHandler } from "../shared/http/serve.ts";
import { takeOverWhenListening } from "../shared/http/takeover.ts";
import { type App, compose } from "./compose.ts";

/**
 * Registers functions with the Functions Framework, each by its name with the endpoints it serves, and readies the one
 * that this process was started for.
 */
export function host(functions: Readonly<Record<string, readonly Endpoint[]>>): void {
  const target = targetOf(process.argv);
  for (const [name, served] of Object.entries(functions)) {
    const { handler, app } = hosted(served);
    http(name, handler);
    if (name === target) takeOverWhenListening(handler, (server) => start(server, app));
  }
}

/** A function's handler; it is composed at its first use: the platform may load it while it builds, unconfigured. */
function hosted(served: readonly Endpoint[]): { handler: RequestHandler; app(): Promise<App> } {
  const needsDatabase = served.some((endpoint) => databaseRoleOf(endpoint) !== undefined);
  let composed: Promise<App> | undefined;
  let serving: RequestHandler | undefined;
  const app = () => {
    composed ??= compose(readConfig(undefined, { needsDatabase })).catch((error) => {
      composed = undefined;
      throw error;
    });
    return composed;
  };
  return {
    app,
    async handler(req, res) {
      serving ??= (await app()).serve(served);
      await serving(req, res);
    },
  };
}

async function start(server: Server, app: () => Promise<App>): Promise<void> {
  try {
    const { config } = await app();
    const address = server.address();
    if (config.AUTH_MODE === "none" && typeof address === "object" && !isLoopback(address?.address ?? ""))
      throw new ConfigError("configuration: AUTH_MODE: none is refused on an address that is not loopback");
  } catch (error) {
    console.error((error as Error).message);
    process.exit(1);
  }
  // The framework is told that its server listens after us, and only then registers its own listeners, which answer
  // what is in flight with 500: ours take their place.
  await setImmediate();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const theirs = process.listeners(signal);
    process.once(signal, async () => {
      await (await app()).close(server);
      process.exit(0);
    });
    // Theirs go when ours is there: with no listener in between, a signal that has just arrived would be lost.
    for (const listener of theirs) process.off(signal, listener);
  }
}

function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}
