import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type * as z from "zod";
import { endpoints } from "../../functions/index.ts";
import type { Endpoint } from "../../shared/http/endpoint.ts";
import { type Call, casesOf, kitFor, pathOf } from "../support/cases/index.ts";
import type { Answer } from "../support/client.ts";
import { useService } from "../support/service.ts";
import { headersOf, wrongBodies } from "./forms.ts";
import { trickedBodies, trickedTexts } from "./nasty.ts";
import { watchWrites } from "./tables.ts";
import { ask } from "./wire.ts";

/** To look for new failures: `SEED=12345 vitest run test/contract/bad-input.test.ts`. */
const seed = Number(process.env.SEED ?? 20_261_121);

// However many endpoints there come to be, the time for all of them together stays about the same. None has the garbage
// or the tricks of the others, where it does not have all.
const share = (runs: number) => Math.max(5, Math.ceil((runs * 10) / endpoints.length));

/** What a schema takes, since that reaches the endpoint; of what it refuses, which is refused before any, a sample. */
function worthTrying<T>(endpoint: Endpoint, inputs: readonly T[], isTaken: (input: T) => boolean): T[] {
  const first = endpoints.indexOf(endpoint);
  const oneIn = (stride: number, some: T[]) => some.filter((_, i) => (i + first) % stride === 0);
  const taken = new Set(inputs.filter(isTaken));
  return [
    ...oneIn(Math.ceil(endpoints.length / 40), [...taken]),
    ...oneIn(
      Math.ceil(endpoints.length / 8),
      inputs.filter((input) => !taken.has(input)),
    ),
  ];
}

const shapeOf = (schema: unknown) => (schema as { shape?: Record<string, z.ZodType> } | undefined)?.shape ?? {};

const service = useService();
const kit = kitFor(service);
let writes: () => Promise<number>;
beforeAll(async () => {
  writes = await watchWrites(service);
});
const json = { "content-type": "application/json" };
const named = (chosen: readonly Endpoint[]) => chosen.map((endpoint) => [endpoint.name, endpoint] as const);

/** Runs `send` with right calls; sees each time that nothing is our fault, and that a refusal or GET writes nothing. */
async function neverBreaks<T>(
  endpoint: Endpoint,
  inputs: fc.Arbitrary<T>,
  numRuns: number,
  send: (call: Call, input: T) => Promise<Answer>,
): Promise<void> {
  let call = await casesOf(endpoint).success(kit);
  let before = await writes();
  const property = fc.asyncProperty(inputs, async (input) => {
    const { status, body } = await send(call, input);
    expect(status, JSON.stringify(body)).toBeLessThan(500);
    if (status >= 400 || endpoint.method === "GET") expect(await writes(), `${status} wrote`).toBe(before);
    else {
      call = await casesOf(endpoint).success(kit);
      before = await writes();
    }
  });
  await fc.assert(property, { seed: seed + endpoints.indexOf(endpoint), numRuns: share(numRuns) });
}

describe.each(named(endpoints.filter(({ method }) => method !== "GET")))("%s", (_, endpoint) => {
  test("no 5xx to any trick in any place of its body", async () => {
    const call = await casesOf(endpoint).success(kit);
    const before = await writes();
    const texts = trickedBodies(endpoint).map((mutate) => mutate(call.body ?? {}));
    const isTaken = (text: string) => endpoint.body?.safeParse(JSON.parse(text)).success ?? false;
    const statuses = await inTurns(worthTrying(endpoint, texts, isTaken), async (text) => {
      const { status } = await service.raw(endpoint.method, pathOf(endpoint, call), text, json);
      expect(status, text).toBeLessThan(500);
      return status;
    });
    expect(statuses.length).toBeGreaterThan(5);
    if (statuses.every((status) => status >= 400)) expect(await writes()).toBe(before);
  });

  test("no 5xx to a right body that was made wrong", async () => {
    await neverBreaks(endpoint, wrongBodies(endpoint), endpoint.body ? 100 : 20, (call, wrong) => {
      const { body, headers } = wrong(call.body ?? {});
      return service.raw(endpoint.method, pathOf(endpoint, call), body, headers);
    });
  });

  test("no 5xx to random bytes, and to a right body cut short or with bytes exchanged", async () => {
    const bytes = fc.uint8Array({ maxLength: 500 });
    const inputs = fc.oneof(
      bytes.map((noise) => () => noise),
      fc.nat().map((at) => (right: Uint8Array) => right.slice(0, at % (right.length + 1))),
      fc.tuple(fc.nat(), bytes).map(([at, noise]) => (right: Uint8Array) => {
        const changed = right.slice();
        const from = at % changed.length;
        changed.set(noise.slice(0, changed.length - from), from);
        return changed;
      }),
    );
    await neverBreaks(endpoint, fc.tuple(inputs, headersOf(endpoint)), 30, (call, [input, headers]) => {
      const bytes = new Uint8Array(input(Buffer.from(JSON.stringify(call.body ?? {}))));
      return service.raw(endpoint.method, pathOf(endpoint, call), bytes, headers);
    });
  });
});

const garbage = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom("%", "%zz", "%0", "%00", "%C0%80", "%c0%ae%c0%ae", "%ED%A0%80", "%FF", "%F4%90%80%80"),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ".",
      "..",
      "%2e%2e",
      "%2F",
      "/",
      "//",
      "\\",
      ";",
      "+",
      "&",
      "=",
      "?",
      "%u0041",
      "*",
      "~",
      "'--",
    ),
  },
  {
    weight: 2,
    arbitrary: fc.string({ unit: "binary", maxLength: 60 }).map((text) => encodeURIComponent(text.toWellFormed())),
  },
  {
    weight: 2,
    arbitrary: fc
      .array(fc.integer({ min: 0x21, max: 0xff }), { maxLength: 20 })
      .map((codes) => String.fromCharCode(...codes.filter((code) => code !== 0x23))),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("a".repeat(8000), "%00".repeat(2000), "/..".repeat(2000), "a=1&".repeat(3000)),
  },
);
const segments = fc.array(garbage, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join("").slice(0, 12_000));

describe.each(named(endpoints))("%s", (_, endpoint) => {
  const send = (call: Call, path: string) =>
    ask(service.url, endpoint.method, path, call.body ? json : {}, call.body && JSON.stringify(call.body));
  const prefix = "/v1/";

  test("no 5xx to garbage in its path", async () => {
    await neverBreaks(endpoint, segments, 25, (call, text) => {
      const [param] = Object.keys(call.params ?? {});
      const marked = { ...call, params: { ...call.params, ...(param && { [param]: "HERE" }) } };
      const path = pathOf(endpoint, marked);
      return send(call, param ? path.replace("HERE", text) : prefix + text);
    });
  });

  test("no 5xx to any trick in any parameter", async () => {
    const call = await casesOf(endpoint).success(kit);
    const tricks = (["query", "params"] as const).flatMap((part) =>
      Object.entries(shapeOf(endpoint[part])).flatMap(([name, schema]) =>
        trickedTexts.map((text) => ({ part, name, schema, text })),
      ),
    );
    const chosen = worthTrying(endpoint, tricks, ({ schema, text }) => schema.safeParse(text).success);
    await inTurns(chosen, async ({ part, name, text }) => {
      const path = pathOf(endpoint, { ...call, [part]: { ...call[part], [name]: text } });
      const answer = await send(call, path);
      expect(answer.status, path).toBeLessThan(500);
    });
  });

  test("no 5xx to garbage in its query", async () => {
    const names = Object.keys(shapeOf(endpoint.query));
    const parameter = fc.tuple(fc.oneof(fc.constantFrom("x", "__proto__", ...names), segments), fc.boolean(), segments);
    const query = fc.array(parameter, { minLength: 1, maxLength: 3 });
    await neverBreaks(endpoint, query, names.length > 0 ? 60 : 10, (call, parameters) => {
      const text = parameters.map(([name, assigned, value]) => name + (assigned ? "=" : "") + value).join("&");
      return send(call, `${pathOf(endpoint, { ...call, query: {} })}${text}`.slice(0, 15_000));
    });
  });
});

/** Does it to all, eight at a time. */
async function inTurns<T, R>(inputs: T[], act: (input: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = [...inputs];
  const worker = async () => {
    for (let input = left.shift(); input !== undefined; input = left.shift()) results.push(await act(input));
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return results;
}
