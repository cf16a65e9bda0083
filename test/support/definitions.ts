import fc from "fast-check";
import * as z from "zod";
import { AgentDocument, TeamDocument } from "../../shared/schemas/definition-document.ts";

/** Names and texts that a reader or writer of YAML may take for something else. */
const odd = [
  "",
  " ",
  "<<",
  "__proto__",
  "constructor",
  "toString",
  "?",
  "? a",
  "- a",
  "-",
  "---",
  "...",
  "--- a\n...\nb",
  "# no comment",
  "a #b",
  "a: b",
  "a:",
  "'",
  '"',
  "'\"\\",
  "yes",
  "No",
  "on",
  "y",
  "null",
  "~",
  "true",
  "010",
  "0o7",
  "0x1F",
  "1:30",
  "1_000",
  "1e3",
  ".5",
  ".nan",
  "-.inf",
  "2001-12-14",
  "=",
  "!a",
  "&a",
  "*a",
  "@a",
  "`a",
  "%YAML 1.1",
  "{a}",
  "[a]",
  "a, b",
  "|",
  ">",
  " a",
  "a ",
  "\ta",
  "a\t",
  "a\n",
  "a\n\n",
  "\n",
  "\n\n",
  "\na",
  "  a\nb",
  "a\n b\n",
  "a \nb",
  "a\t\nb",
  "a\n \n",
  "a\n\t",
  "a\rb",
  "a\r\nb\r\n",
  "\r",
  "a\u0085b",
  "a\u2028b\u2029",
  "\u00a0a\u00a0",
  "\ufeffa",
  "👩‍👩‍👧 ünï",
  "\u3000",
  "x".repeat(1100),
  "10",
  "2",
];
const isText = (value: string) => value.isWellFormed() && !value.includes("\0");
const unicode = fc.string({ unit: "binary", maxLength: 30 }).filter(isText);
const pieces = fc.array(fc.oneof(fc.constantFrom(...odd), unicode), { maxLength: 4 }).map((parts) => parts.join(""));
const anyText = fc.oneof(fc.constantFrom(...odd), pieces, fc.string({ maxLength: 20 }));
const refused = {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is left out
  text: /[\u0000-\u001f\u007f]/g,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is left out
  prose: /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g,
};
const prose = anyText.map((value) => value.replace(refused.prose, ""));
const text = anyText.map((value) => value.replace(refused.text, "").slice(0, 200).toWellFormed() || "x");
const number = fc.oneof(
  fc.constantFrom(0, 1e21, 1e-7, 0.1, 5e-324, 1.7976931348623157e308, 2 ** 53 - 1, -1, 100, 1.5),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
);
const scalar = fc.oneof(anyText, number, fc.boolean(), fc.constant(null));

/** A map with any keys, as a reader of YAML makes it: `__proto__` is a key like others. */
const mapOf = (value: fc.Arbitrary<unknown>) =>
  fc
    .array(fc.tuple(anyText, value), { maxLength: 5 })
    .map((entries) => Object.fromEntries(entries) as Record<string, unknown>);
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    scalar,
    fc.array(tie("value"), { maxLength: 3 }),
    mapOf(tie("value")),
  ),
})).value;

/** Any value of a free object: texts of every kind, numbers, lists, maps. */
export const anyValue = fc.oneof(scalar, value);
/** Any free object. */
export const free = mapOf(anyValue);

const id = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/);
const version = fc.constantFrom("1.0.0", "0.0.1-rc.1", "10.20.30", "1.0.0-0x1", "1.0.0-1e3");
const range = fc.constantFrom(
  "latest",
  "^1.2.0",
  ">=1.0.0 <3.0.0",
  "1.x || 2.x",
  "*",
  "1",
  "1.2",
  "~1",
  "1.0.0 - 2.0.0",
);
const names = fc.array(text, { maxLength: 3 });
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const metadata = fc.record({
  id,
  name: text,
  version,
  role: some(prose),
  author: some(text),
  description: some(prose),
  tags: some(
    fc.array(
      text.map((tag) => tag.slice(0, 50).toWellFormed()),
      { maxLength: 3 },
    ),
  ),
  ownerTeam: some(text),
  extensions: some(free),
});
const filters = fc.constantFrom(
  {},
  { severity: "critical", "a.b": null, cron: "0 6 * * *" },
  { duration_seconds: ">= 300", region: ["eu", 1, true] },
  { no: { not: ["null", "1.5"], gte: 1e21, lt: 5e-324 }, yes: { exists: false }, "1": { prefix: "- #" } },
);
const agent = fc.record({
  kind: fc.constant("Agent"),
  metadata,
  goal: some(
    fc.record({ type: fc.constantFrom("continuous", "on-demand"), description: prose, extensions: some(free) }),
  ),
  model: some(free),
  instructions: some(prose),
  tools: some(fc.array(fc.oneof(text, free), { maxLength: 3 })),
  skills: some(names),
  settings: some(free),
  triggers: some(
    fc.array(
      fc.record({
        eventType: fc.constantFrom("#", "*", "a.*", "a-b.c_d.#", "1", "1.5", "no", "null"),
        priority: some(fc.constantFrom("CRITICAL", "LOW")),
        filters: some(filters),
        extensions: some(free),
      }),
      { maxLength: 3 },
    ),
  ),
  eventPools: some(names),
  subagents: some(
    fc.array(fc.record({ id, version: some(range), delegateFor: some(names), extensions: some(free) }), {
      maxLength: 3,
    }),
  ),
  permissions: some(free),
  config: some(
    fc.record({
      maxParallelTasks: some(fc.integer({ min: 1, max: 1000 })),
      autoRetry: some(fc.boolean()),
      budgetLimitUsd: some(fc.double({ min: 0, max: 1e9, noNaN: true })),
      extensions: some(free),
    }),
  ),
  extensions: some(free),
});
const team = fc.record({
  kind: fc.constant("Team"),
  metadata,
  mode: fc.constantFrom("route", "coordinate", "collaborate"),
  model: some(free),
  instructions: some(prose),
  settings: some(free),
  storage: some(free),
  members: fc.array(fc.record({ id, version: some(range), role: some(prose), extensions: some(free) }), {
    minLength: 1,
    maxLength: 3,
  }),
  extensions: some(free),
});

/** Without the fields that are undefined, which no text has. */
const written = (document: unknown): unknown =>
  typeof document !== "object" || document === null || Array.isArray(document)
    ? document
    : Object.fromEntries(Object.entries(document).filter(([, field]) => field !== undefined));
const inAll = (document: object) =>
  Object.fromEntries(
    Object.entries(written(document) as object).map(([name, field]) => [
      name,
      Array.isArray(field) ? field.map(written) : written(field),
    ]),
  );

/** Any document of either kind, read by its schema. */
export const anyDefinition = fc
  .oneof(agent, team)
  .map((document) => z.union([AgentDocument, TeamDocument]).parse(inAll(document)));
