import fc from "fast-check";
import { expect, test } from "vitest";
import { writeDefinition } from "../../../shared/rules/definition-export.ts";
import { readDefinitions } from "../../../shared/rules/definition-yaml.ts";
import { AgentDocument } from "../../../shared/schemas/definition-document.ts";
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
    { numRuns: 300 },
  );
});

const minimal = { kind: "Agent", metadata: { id: "a", name: "A", version: "1.0.0" } } as const;

test("fields stand in the schema's order, free objects by their keys, and empty defaults are left out", () => {
  const document = AgentDocument.parse({
    tools: [{ b: 1, 10: 2, "-": 3, a: { d: [], c: {} } }],
    triggers: [{ filters: {}, eventType: "a" }],
    instructions: "One.\n\n  Two.\nThree.\n",
    model: {},
    metadata: { version: "1.0.0", tags: [], name: "A", id: "a" },
    kind: "Agent",
  });
  expect(writeDefinition(document)).toBe(`kind: Agent
metadata:
  id: a
  name: A
  version: 1.0.0
model: {}
instructions: |
  One.

    Two.
  Three.
tools:
  - "-": 3
    "10": 2
    a:
      c: {}
      d: []
    b: 1
triggers:
  - eventType: a
    priority: NORMAL
    filters: {}
config:
  maxParallelTasks: 3
  autoRetry: true
  feedbackCollection: true
  timeoutSeconds: 3600
  enabled: true
`);
});

test("equal documents are the same bytes, whatever the order of their keys", () => {
  const reversed = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(reversed);
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([key, child]) => [key, reversed(child)]),
    );
  };
  fc.assert(
    fc.property(anyDefinition, (definition) => {
      expect(writeDefinition(reversed(definition) as typeof definition)).toBe(writeDefinition(definition));
    }),
    { numRuns: 100 },
  );
});

test.each([
  ["yes", '"yes"'],
  ["on", '"on"'],
  ["y", '"y"'],
  ["012", '"012"'],
  ["1:30", '"1:30"'],
  ["1_000", '"1_000"'],
  ["2001-12-14", '"2001-12-14"'],
  ["1e3", '"1e3"'],
  ["<<", '"<<"'],
  ["=", '"="'],
  ["~", '"~"'],
  ["", '""'],
  ["a\u0085\u2028\ufeffb", '"a\\u0085\\u2028\\ufeffb"'],
  [" \n", '"\\ \\n"'],
  ["x ".repeat(200).trim(), "x ".repeat(200).trim()],
  [1e21, "1.0e+21"],
  [-1e-7, "-1.0e-7"],
  [1.5e300, "1.5e+300"],
  [-0, "0"],
])("readers of YAML 1.1 take %j for what it is", (value, written) => {
  const yaml = writeDefinition(AgentDocument.parse({ ...minimal, settings: { a: value, [`${value}`]: 1 } }));
  expect(yaml).toContain(`  a: ${written}\n`);
  expect(readDefinitions(yaml)[0]?.document?.settings).toEqual({ a: value === 0 ? 0 : value, [`${value}`]: 1 });
});
