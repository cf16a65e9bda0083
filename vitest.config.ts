import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/sequencer.ts";
import { temporaryFolder } from "./test/support/temporary.ts";

// Here, so that it also holds for the global setup and for whatever a test starts.
process.env.TMPDIR ??= temporaryFolder();

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    setupFiles: ["test/support/put-back.ts"],
    reporters: ["default", "./test/support/reporter.ts"],
    pool: "forks",
    // What is imported keeps no state, so it is loaded once by each worker and not for each file: that was 100 of 780 s of
    // processor time. What a file changes of its environment, it puts back (put-back.ts).
    isolate: false,
    sequence: { sequencer: LongestFirst },
    // A third of the time a test waits for another process: three files at once keep two cores busy (413 s, two 451 s).
    maxWorkers: 3,
    // A service in a process of its own starts in 0.6 s of processor time then, not 1.0 s; tests start dozens.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.vite/compiled") },
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
