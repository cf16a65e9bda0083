import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Context } from "./bench.ts";
import { createBenchDatabase } from "./database.ts";
import { startLoad } from "./load.ts";
import { startService } from "./service.ts";

/** What the command line asked for. */
export interface Options {
  quick: boolean;
  profileTo: string | undefined;
}

/** Makes the context of one benchmark; `end` ends all it started, in reverse order. */
export function createContext(serverUrl: string, name: string, { quick, profileTo }: Options) {
  const ends = new AsyncDisposableStack();
  let databases = 0;
  let hello: Promise<string> | undefined;
  const progress = (text: string) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${name}: ${text}`);
  };

  /** Starts a server of this folder in a process of its own; answers where it is. */
  async function server(file: string, ...args: string[]): Promise<string> {
    const child = fork(join(import.meta.dirname, file), args);
    ends.defer(() => {
      if (child.connected) child.disconnect();
    });
    const [where] = await once(child, "message");
    return where as string;
  }

  const context: Context = {
    quick,
    rounds: 3,
    turnMs: quick ? 50 : 500,
    async database(settings = {}) {
      databases += 1;
      const database = await createBenchDatabase(
        serverUrl,
        `bench_${name.replaceAll("-", "_")}_${databases}`,
        settings,
      );
      ends.defer(() => database.drop());
      return database;
    },
    async service({ url }, env = {}) {
      const service = await startService(url, env, profileTo);
      ends.defer(() => service.end());
      return service;
    },
    hello() {
      hello ??= server("hello-server.ts");
      return hello;
    },
    receivers: async (count) => (await server("receiver-server.ts", `${count}`)).split(","),
    async load(file, exported, options) {
      const load = await startLoad(file, exported, options);
      ends.defer(() => load.end());
      return load;
    },
    defer: (end) => ends.defer(async () => void (await end())),
    progress,
  };
  return {
    context,
    async end() {
      await ends.disposeAsync();
      progress("");
    },
  };
}
