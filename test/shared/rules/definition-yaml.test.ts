import { expect, test } from "vitest";
import { readDefinitions } from "../../../shared/rules/definition-yaml.ts";

const head = "kind: Agent\nmetadata: { id: a, name: A, version: 1.0.0 }\n";
const settings = (yaml: string) => `${head}settings:\n  ${yaml}\n`;
const documentOf = (yaml: string) => {
  const [first, ...more] = readDefinitions(yaml);
  expect(more).toEqual([]);
  expect(first?.faults).toEqual([]);
  return first?.document;
};
const told = (yaml: string) =>
  readDefinitions(yaml).map(({ faults }) =>
    faults.map(({ line, column, pointer, message }) => `${line}:${column} ${pointer} ${message}`),
  );

test.each([
  ["a byte order mark", `\ufeff${head}`],
  ["line ends of Windows", head.replaceAll("\n", "\r\n")],
  ["a leading comment, a start and an end", `# mine\n# all\n\n---\n${head}...\n`],
  ["empty documents around it", `---\n---\n# nothing\n---\n${head}---\n~\n---\n`],
  ["a version of YAML", `%YAML 1.2\n---\n${head}`],
  ["tags of the core schema", "kind: !!str Agent\nmetadata: !!map { id: !!str a, name: ! A, version: 1.0.0 }\n"],
])("%s is ordinary", (_title, yaml) => {
  expect(documentOf(yaml)).toEqual(documentOf(head));
});

test.each([
  ["y: yes", { y: "yes" }],
  ["n: 010", { n: 10 }],
  [
    "n: [0x1F, 0o17, +1, .5, 1., 1e3, -0, 1e21, 5e-324, 1.10, 9007199254740991]",
    { n: [31, 15, 1, 0.5, 1, 1000, 0, 1e21, 5e-324, 1.1, 9007199254740991] },
  ],
  ["8080: web", { 8080: "web" }],
  [
    '{ "__proto__": 1, constructor: 2, toString: 3, "": 4, "<<": 5 }',
    JSON.parse('{ "__proto__": 1, "constructor": 2, "toString": 3, "": 4, "<<": 5 }'),
  ],
  ["a: &x [1, { b: 2 }]\n  c: *x", { a: [1, { b: 2 }], c: [1, { b: 2 }] }],
  ["a: &x 1\n  b: &x 2\n  c: *x", { a: 1, b: 2, c: 2 }],
  ["a: &x { p: 1, q: 2 }\n  b: { q: 3, <<: *x, r: 4 }", { a: { p: 1, q: 2 }, b: { p: 1, q: 3, r: 4 } }],
  ["a: [&x { p: 1 }, &y { p: 2, q: 2 }]\n  b: { <<: [*x, *y] }", { a: [{ p: 1 }, { p: 2, q: 2 }], b: { p: 1, q: 2 } }],
  ["e: 👩‍👩‍👧 ünï\n  t: 2001-12-14", { e: "👩‍👩‍👧 ünï", t: "2001-12-14" }],
])("settings are read as YAML 1.2 says: %s", (yaml, expected) => {
  const read = documentOf(settings(yaml))?.settings;
  expect(read).toEqual(expected);
  expect(Object.keys(read ?? {})).toEqual(Object.keys(expected));
});

test.each([
  ["b: [1", "is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]", "", "5:1"],
  ["b: 1\n  b: 2", "is there twice", "/settings/b", "5:3"],
  ["{ 1: a, '1': b }", "is there twice", "/settings/1", "4:11"],
  ["<<: {}\n  <<: {}", "is there twice", "/settings/<<", "5:3"],
  ["<<: 5", "must be a map or a list of maps", "/settings/<<", "4:7"],
  ["b: !!python/object:os.system x", "the tag !!python/object:os.system is not taken here", "/settings/b", "4:32"],
  ["b: !!js/function x", "the tag !!js/function is not taken here", "/settings/b", "4:20"],
  ["b: !Foo { x: 1 }", "the tag !Foo is not taken here", "/settings/b", "4:11"],
  ["b: !!binary aGk=", "the tag !!binary is not taken here", "/settings/b", "4:15"],
  ["b: !!timestamp 2001-12-14", "the tag !!timestamp is not taken here", "/settings/b", "4:18"],
  ["b: !!set { x }", "the tag !!set is not taken here", "/settings/b", "4:12"],
  ["b: !!omap [c: 1]", "the tag !!omap is not taken here", "/settings/b", "4:13"],
  ["b: !!int x", "the tag !!int is not taken here", "/settings/b", "4:12"],
  ["b: [.nan]", "must be a finite number", "/settings/b/0", "4:7"],
  ["b: -.inf", "must be a finite number", "/settings/b", "4:6"],
  ["b: 9007199254740993", "has more digits than a number keeps: put it in quotes", "/settings/b", "4:6"],
  ["b: 0x20000000000001", "has more digits than a number keeps: put it in quotes", "/settings/b", "4:6"],
  ["b: 0.12345678901234567891", "has more digits than a number keeps: put it in quotes", "/settings/b", "4:6"],
  ["b: 1e-400", "has more digits than a number keeps: put it in quotes", "/settings/b", "4:6"],
  ["? [a]\n  : b", "a key must be text: put it in quotes", "/settings", "4:5"],
  ["1.0: b", "a key must be text: put it in quotes", "/settings", "4:3"],
  ["0x10: b", "a key must be text: put it in quotes", "/settings", "4:3"],
  ["true: b", "a key must be text: put it in quotes", "/settings", "4:3"],
  ["~: b", "a key must be text: put it in quotes", "/settings", "4:3"],
  ["b: *x", "there is no &x before this in the same document", "/settings/b", "4:6"],
  ["<<: *x", "there is no &x before this in the same document", "/settings/<<", "4:7"],
  [
    "b: Nota: c",
    'is not YAML: Nested mappings are not allowed in compact mappings: text with ": " in it needs quotes, and the fields of one map stand below one another',
    "",
    "4:6",
  ],
  ["b: &x [[*x]]", "*x is a part of itself", "/settings/b/0/0", "4:11"],
  ['b: "\\0"', "must not contain a NUL character", "/settings/b", "4:6"],
  ['b: "\\ud800"', "must be well-formed Unicode", "/settings/b", "4:6"],
  ["x: &x { 'a/b': .nan }\n  y: { <<: *x }", "must be a finite number", "/settings/x/a~1b", "4:18"],
])("what cannot be kept is told, with its place: %s", (yaml, message, pointer, place) => {
  expect(told(settings(yaml))).toEqual([[`${place} ${pointer} ${message}`]]);
});

test.each([
  [
    "a: yes\n  b: [Off]",
    [
      "/settings/a yes is text in YAML 1.2: write true or false, or put it in quotes",
      "/settings/b/0 Off is text in YAML 1.2: write true or false, or put it in quotes",
    ],
  ],
  [
    "a: 0800\n  b: 00",
    [
      "/settings/a is read as 800: put it in quotes to keep its zeros",
      "/settings/b is read as 0: put it in quotes to keep its zeros",
    ],
  ],
  ["a: ['yes', \"0800\", !!str no, 0, 0.5, 0x1F, yes sir]", []],
])("what another reader takes for something else is read, with a warning: %s", (yaml, expected) => {
  const [read] = readDefinitions(settings(yaml));
  expect(read?.document).toBeDefined();
  expect(read?.warnings?.map(({ pointer, message }) => `${pointer} ${message}`) ?? []).toEqual(expected);
});

test("the same holds for line ends of Windows, a byte order mark and characters of two units", () => {
  expect(told(`\ufeff# 👍\r\n${settings("👍: .nan").replaceAll("\n", "\r\n")}`)).toEqual([
    ["5:7 /settings/👍 must be a finite number"],
  ]);
});

test("all faults of a document are told at once, in the order of the text", () => {
  const yaml = `kind: Agent
metadata:
  id: Not Me
  version: 1
colour: red
triggers:
  - priority: LOW
    colour: red
tools: [1, "", x]
settings: { a: .nan, a: 1, b: "\\0" }
config: { maxParallelTasks: 0, colour: red }
`;
  expect(told(yaml)).toEqual([
    [
      "3:3 /metadata/name is required",
      "3:7 /metadata/id must be 1 to 63 of a-z, 0-9 and -, and not begin with -",
      "4:12 /metadata/version must be a version as in semver.org, such as 1.0.0 or 1.1.0-rc.1, without +build",
      "5:1 /colour is not a field here",
      "7:5 /triggers/0/eventType is required",
      "8:5 /triggers/0/colour is not a field here",
      "9:9 /tools/0 must be a name of 1 to 255 characters or an object",
      "9:12 /tools/1 must not be empty",
      "10:16 /settings/a must be a finite number",
      "10:22 /settings/a is there twice",
      "10:31 /settings/b must not contain a NUL character",
      "11:29 /config/maxParallelTasks must be at least 1",
      "11:32 /config/colour is not a field here",
    ],
  ]);
});

test("at most 100 faults are told", () => {
  const keys = Array.from({ length: 300 }, (_, index) => `k${index}: ${"{ a: 1, a: 2 }"}\n`).join("");
  for (const yaml of [
    head + keys,
    `${head}]\n]\n`.padEnd(5000, "]\n"),
    `${settings("a: 1")}${"  a: .nan\n".repeat(300)}`,
  ])
    expect(readDefinitions(yaml)[0]?.faults).toHaveLength(100);
});

test("of what the parser says, which may quote all of a text, 200 characters are told", () => {
  const [[, fault = ""] = []] = told(`a: {}\n}${"x".repeat(5000)}`);
  expect(fault).toMatch(/^2:2 {2}is not YAML: Unexpected scalar token in YAML stream: "x+…$/);
  expect(fault.length).toBe("2:2  is not YAML: ".length + 201);
});

test("faults of one document hide nothing of the others, and tell whose they are", () => {
  const named = (id: string) => head.replace("id: a", `id: ${id}`);
  const results = readDefinitions(
    [
      named("b"),
      "a: b: c\n",
      `${named("c")}x: 1\n`,
      `${named("d")}y: ${"[".repeat(200)}\n`,
      `${named("e")}`,
      `${named("f")}z: [\n`,
    ].join("---\n"),
  );
  expect(
    results.map(({ id, version, document, faults }) => [id, version, document?.metadata.id, faults.length]),
  ).toEqual([
    ["b", "1.0.0", "b", 0],
    [undefined, undefined, undefined, 1],
    ["c", "1.0.0", undefined, 1],
    [undefined, undefined, undefined, 1],
    ["e", "1.0.0", "e", 0],
    ["f", "1.0.0", undefined, 1],
  ]);
});

test.each([
  ["", []],
  ["# nothing\n", []],
  ["---\n...\n---\n", []],
  ["%FOO bar\n---\n", [["1:1  is not YAML: Unknown directive %FOO"]]],
  [
    "%YAML 1.1\n---\nx: yes",
    [["1:1  must be YAML 1.2, and says that it is 1.1, where yes, no and 010 mean something else"]],
  ],
  ["- a", [["1:1  must have kind: Agent or kind: Team, or one of the sections agent, team or metadata"]]],
  ["a: 1", [["1:1  must have kind: Agent or kind: Team, or one of the sections agent, team or metadata"]]],
  [`${head}goal: *x`, [["3:7 /goal there is no &x before this in the same document"]]],
  ["\ufeffkind: Robot", [["1:7 /kind must be one of Agent, Team"]]],
  ["kind: Robot", [["1:7 /kind must be one of Agent, Team"]]],
  ["agent: { id: a }\nteam: { id: a }", [["2:1 /team must not stand beside agent"]]],
])("what is no definition is told as that: %j", (yaml, expected) => {
  expect(told(yaml)).toEqual(expected);
});

const bomb = (width: number, height: number) =>
  `${head}settings:\n  a0: &a0 {}\n${Array.from({ length: height }, (_, index) => `  a${index + 1}: &a${index + 1} [${Array(width).fill(`*a${index}`).join(", ")}]\n`).join("")}`;
const lines = (count: number, line: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => line(index)).join("");

// Each is a second's work at most; without its bound it is minutes, all of memory, or the end of the stack.
test.each([
  ["a million of [", "[".repeat(1e6), "must be at most 350000 words and signs in all: send it in parts"],
  ["many of [", "[".repeat(2e5), "must not be nested deeper than 64 levels"],
  ["many of -", "- ".repeat(1e5), "must not be nested deeper than 64 levels"],
  ["many of ?", "? ".repeat(1e5), "must not be nested deeper than 64 levels"],
  ["many of ]", "]".repeat(2e5), 'is not YAML: Unexpected flow-seq-end token in YAML document: "]"'],
  ["many of ,", `[${",".repeat(2e5)}`, "is not YAML: Unexpected , in flow sequence"],
  ["an alias bomb", bomb(10, 30), "must be at most 1 MiB as JSON"],
  ["aliases that nest", bomb(1, 70), "must not be nested deeper than 64 levels"],
  [
    "many merges",
    `${head}tags: &x {${lines(8000, (index) => `k${index}: 1,`)}}\n${lines(8000, (index) => `m${index}: { <<: *x }\n`)}`,
    "merges more than 1 MiB has room for",
  ],
  [
    "100,000 keys",
    lines(1e5, (index) => `k${index}: 1\n`),
    "must be at most 350000 words and signs in all: send it in parts",
  ],
  ["many keys", head + lines(3e4, (index) => `k${index}: 1\n`), "is not a field here"],
  ["many equal keys", head + "a: 1\n".repeat(3e4), "is there twice"],
  [
    "many documents",
    "--- a\n".repeat(4e4),
    "must have kind: Agent or kind: Team, or one of the sections agent, team or metadata",
  ],
  [
    "a number of a million digits",
    `${settings(`a: 1.${"1".repeat(1e6)}`)}`,
    "has more digits than a number keeps: put it in quotes",
  ],
  ["a long version", head.replace("1.0.0", `1.0.0-${"1.".repeat(5e5)}`), "must have at most 64 characters"],
  ["a text that is too long", `${head}instructions: ${"x".repeat(1024 * 1024)}`, "must be at most 1 MiB in all"],
])("a mebibyte of the worst is answered: %s", (_title, yaml, message) => {
  expect(readDefinitions(yaml).some(({ faults }) => faults.some((fault) => fault.message === message))).toBe(true);
});

test("a document of nearly a mebibyte is read", () => {
  const instructions = "x".repeat(1024 * 1024 - 1000);
  expect(documentOf(`${head}instructions: ${instructions}`)?.instructions).toBe(instructions);
  const many = readDefinitions(lines(2500, (index) => `---\n${head.replace("id: a", `id: a-${index}`)}`));
  expect(many.map(({ id, document }) => document && id)).toEqual(
    Array.from({ length: 2500 }, (_, index) => `a-${index}`),
  );
});
