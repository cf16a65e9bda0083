import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take longest, in seconds alone on two cores; a late start of one would leave the other workers idle. */
const seconds: Record<string, number> = {
  "test/terraform.test.ts": 32,
  "test/start.test.ts": 45,
  "test/functions/messages-deliver-load.test.ts": 40,
  "test/functions/tasks-load.test.ts": 35,
  "test/examples-worker.test.ts": 35,
  "test/functions/messages-deliver-run.test.ts": 42,
  "test/examples.test.ts": 40,
  "test/build.test.ts": 27,
  "test/contract/bad-input.test.ts": 25,
  "test/kill-delivery.test.ts": 24,
  "test/scripts/definitions-load.test.ts": 22,
  "test/bootstrap.test.ts": 21,
  "test/shared/http/serve.test.ts": 20,
  "test/contract/authorization.test.ts": 11,
};

/** Begins with the files that take longest, also where no earlier run is remembered. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const of = ({ moduleId }: TestSpecification) =>
      Object.entries(seconds).find(([file]) => moduleId.replaceAll("\\", "/").endsWith(`/${file}`))?.[1] ?? 0;
    return sorted.toSorted((a, b) => of(b) - of(a));
  }
}
