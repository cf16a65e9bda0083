import fc from "fast-check";
import { expect, test } from "vitest";
import { writeDefinition } from "../../../shared/rules/definition-export.ts";
import { readDefinitions } from "../../../shared/rules/definition-yaml.ts";
import { anyDefinition } from "../../support/definitions.ts";

test("what is written reads as the same document, and is written as the same bytes again", () => {
  fc.assert(
    fc.property(anyDefinition, (definition) => {
      const yaml = writeDefinition(definition);
      const [read, ...more] = readDefinitions(yaml);
      expect(more).toEqual([]);
      expect(read?.faults).toEqual([]);
      expect(JSON.parse(JSON.stringify(read?.document))).toEqual(JSON.parse(JSON.stringify(definition)));
      expect(writeDefinition(read?.document ?? definition)).toBe(yaml);
    }),
    { numRuns: Number(process.env.RUNS ?? 300) },
  );
});
