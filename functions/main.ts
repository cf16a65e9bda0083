import type { Server } from "node:http";
import { setImmediate } from "node:timers/promises";
import { http } from "@google-cloud/functions-framework";
import { ConfigError, readConfig, targetOf } from "../shared/config.ts";
import type { Endpoint } from "../shared/http/endpoint.ts";
import type { RequestHandler } from "../shared/http/serve.ts";
import { takeOverWhenListening } from "../shared/http/takeover.ts";
import { type App, compose } from "./compose.ts";
import { endpoints } from "./index.ts";

/** The function that serves every endpoint, by method and path. */
const ALL = "cams";

/** The functions that can be deployed, by name: one for each endpoint, and one for all of them. */
const functions = new Map<string, readonly Endpoint[]>([
  ...endpoints.map((endpoint) => [endpoint.name, [endpoint]] as const),
  [ALL, endpoints],
]);

// Composed at the first use, not at import: the platform may load this file while it builds, without a configuration.
let composed: Promise<App> | undefined;

function app(): Promise<App> {
  composed ??= compose(readConfig()).catch((error) => {
    composed = undefined;
    throw error;
  });
  return composed;
}

function handlerOf(served: readonly Endpoint[]): RequestHandler {
  let handler: RequestHandler | undefined;
  return async (req, res) => {
    handler ??= (await app()).serve(served);
    await handler(req, res);
  };
}

for (const [name, served] of functions) http(name, handlerOf(served));

const target = targetOf(process.argv);
const served = functions.get(target ?? "");
if (served) takeOverWhenListening(handlerOf(served), start);

async function start(server: Server): Promise<void> {
  try {
    const config = readConfig();
    const address = server.address();
    if (config.AUTH_MODE === "none" && typeof address === "object" && !isLoopback(address?.address ?? ""))
      throw new ConfigError("configuration: AUTH_MODE: none is refused on an address that is not loopback");
    await app();
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
