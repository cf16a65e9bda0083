import fc from "fast-check";
import * as z from "zod";
import type { Endpoint } from "../../shared/http/endpoint.ts";

/** JSON as text, to be written where a value stands: what no JavaScript value can say is said as well. */
class Text {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const repeated = (piece: string, times: number) => `[${Array(times).fill(piece).join(",")}]`;
const nested = (open: string, close: string, depth: number) => `${open.repeat(depth)}0${close.repeat(depth)}`;

/** Values that have broken something somewhere. */
const tricks = [
  ...["null", "true", "false", "{}", "[]", "[[]]", "[null]", '[""]', "[{}]"],
  // None of 1 to 30: they would be good seconds to wait.
  ...["0", "-0", "-1", "0.5", "101", "1e3", "2147483648", "-2147483649", "4294967296", "9007199254740993"],
  ...["123456789012345678901234567890", "1e999", "-1e999", "1e-999", "0.1e-320", "1.7976931348623157e308"],
  ...['""', '" "', '"\\t"', '"\\n"', '"\\u0000"', '"a\\u0000b"', '"\\u001b[2J"', '"\\u0085"', '"\\u2028"', '"\\ufeff"'],
  ...[
    '"\\ud800"',
    '"\\udc00x"',
    '"\\ud83d\\ude00"',
    '"\\u202e"',
    '"\\u200b"',
    '"e\\u0301"',
    '"İ"',
    '"ß"',
    '"ﬀ"',
    '"Ａ"',
  ],
  ...[`"'; drop table cams.agent_inboxes; --"`, `"' or '1'='1"`, '"$1"', '"\\\\"', '"\\""', '"%"', '"%00"', '"_"'],
  ...['"__proto__"', '"constructor"', '"null"', '"undefined"', '"NaN"', '"true"', '"0"', '"-1"', '"{}"', '"[]"'],
  ...[
    '"../../etc/passwd"',
    '"..%2f"',
    '"http://169.254.169.254/"',
    '"https://"',
    '"https://:@"',
    '"projects//topics/"',
  ],
  ...['"0000-01-01T00:00:00Z"', '"9999-12-31T23:59:59-15:59"', '"2026-01-01T00:00:00+23:59"', '"2026-02-30T00:00:00Z"'],
  ...[`"2026-01-01T00:00:00.${"9".repeat(200)}Z"`, '"infinity"', '"now"', '"epoch"', '"2026-01-01T24:00:00Z"'],
  ...['"00000000-0000-0000-0000-000000000000"', '"ffffffff-ffff-ffff-ffff-ffffffffffff"'],
  ...['{"__proto__":{"admin":true}}', '{"constructor":{"prototype":{"admin":true}}}', '{"length":1}', '{"toJSON":1}'],
  ...['{"":0}', '{"\\u0000":0}', '{"\\ud800":0}', '{"a/b~c":0}', '{"then":1}', '{"rawJSON":"1"}'],
].map((text) => new Text(text));

/** Values that are too much of something. */
const masses = [
  JSON.stringify("x".repeat(65_536)),
  JSON.stringify("😀".repeat(32_768)),
  JSON.stringify("\u0001".repeat(10_000)),
  nested("[", "]", 10_000),
  nested('{"a":', "}", 10_000),
  repeated("0", 200_000),
  repeated('"x"', 100_000),
  repeated("{}", 100_000),
  `{${Array.from({ length: 50_000 }, (_, i) => `"k${i}":0`).join(",")}}`,
  `1${"0".repeat(65_536)}`,
].map((text) => new Text(text));

const keys = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "",
  " ",
  "a/b~c",
  "\u0000",
  "\ud800",
  "é",
  "$ref",
];

const value: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...tricks) },
  { weight: 1, arbitrary: fc.constantFrom(...masses) },
  { weight: 3, arbitrary: fc.string({ unit: "binary", maxLength: 300 }) },
  { weight: 1, arbitrary: fc.integer({ min: 31 }) },
  { weight: 1, arbitrary: fc.double() },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
);

/** Every trick in every place that an endpoint's body has. */
export function trickedBodies(endpoint: Endpoint): Mutation[] {
  return [[], ...placesIn(endpoint)].flatMap((at) =>
    tricks.map((trick) => (body) => toText(put(body, at, trick)) ?? ""),
  );
}

/** Page tokens of no list: what they hold has the right form for one of them, or nearly. */
const cursors = [
  ...[
    '["0000-01-01T00:00:00.000Z","x"]',
    '["2026-01-01T00:00:00.000Z","\\u0000"]',
    '["2026-01-01T00:00:00.000Z","\\ud800"]',
  ],
  ...['["9999-12-31T23:59:59.999Z",""]', '["2026-01-01T00:00:00.000Z"]', '["ffffffff-ffff-ffff-ffff-ffffffffffff"]'],
  ...["[9007199254740991]", "[-9007199254740991]", "[1e999]", "[0.5]", "[null]", "[]", "{}", "null", '"x"', "[[[1]]]"],
].map((text) => Buffer.from(text).toString("base64url"));

/** Every trick that is text or a number, as a value in a path or a query. */
export const trickedTexts = tricks
  .filter(({ text }) => !/^[[{]/.test(text))
  .map(({ text }) => (text.startsWith('"') ? (JSON.parse(text) as string).toWellFormed() : text))
  .concat(cursors);

/** Turns a right body into the text of one that is wrong in most cases. */
export type Mutation = (body: unknown) => string;

/** Mutations of an endpoint's body, of every place that its schema knows. */
export function mutationsOf(endpoint: Endpoint): fc.Arbitrary<Mutation> {
  const place = fc.constantFrom([], ...placesIn(endpoint));
  const edit = fc.oneof(
    { weight: 6, arbitrary: fc.record({ at: place, value }) },
    { weight: 1, arbitrary: fc.record({ at: place, value: fc.constant(undefined) }) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(place, fc.constantFrom(...keys), value)
        .map(([at, key, value]) => ({ at: [...at.slice(0, -1), key], value })),
    },
  );
  return fc.array(edit, { minLength: 1, maxLength: 3 }).map((edits) => (body) => {
    const edited = edits.reduce((result, { at, value }) => put(result, at, value), body);
    return toText(edited) ?? "";
  });
}

function placesIn({ body }: Endpoint): string[][] {
  return body ? placesOf(z.toJSONSchema(body, { io: "input", unrepresentable: "any" })) : [];
}

interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema | boolean;
}

function placesOf(schema: unknown, root = schema as Schema): string[][] {
  const { $ref, properties = {}, items, additionalProperties } = schema as Schema;
  if ($ref) return placesOf(root.$defs?.[$ref.slice($ref.lastIndexOf("/") + 1)] ?? {}, root);
  const inside = Object.entries(properties);
  if (items) inside.push(["0", items]);
  if (additionalProperties) inside.push(["extra", {}]);
  return inside.flatMap(([name, child]) => [[name], ...placesOf(child, root).map((place) => [name, ...place])]);
}

/** A copy with the value at the place, as an own property whatever its name; `undefined` removes it. */
function put(whole: unknown, [name, ...rest]: string[], value: unknown): unknown {
  if (name === undefined) return value;
  const inside = typeof whole === "object" && whole !== null && !(whole instanceof Text) ? whole : {};
  const entries = Object.entries(inside).filter(([known]) => known !== name);
  const old = Object.getOwnPropertyDescriptor(inside, name)?.value;
  const changed = put(old, rest, value);
  if (Array.isArray(inside)) return changed === undefined ? [] : [changed, ...inside.slice(1)];
  return fromEntries(changed === undefined ? entries : [...entries, [name, changed]]);
}

function fromEntries(entries: [string, unknown][]): object {
  const object = {};
  for (const [name, value] of entries)
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  return object;
}

function toText(value: unknown): string | undefined {
  if (value instanceof Text) return value.text;
  if (Array.isArray(value)) return `[${value.map((item) => toText(item) ?? "null").join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}:${toText(inner) ?? "null"}`);
  return `{${fields.join(",")}}`;
}
