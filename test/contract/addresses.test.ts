import fc from "fast-check";
import { expect, test } from "vitest";
import { AiAgentAddress } from "../../shared/schemas/common.ts";
import { useService } from "../support/service.ts";
import { ask } from "./wire.ts";

const service = useService();

const register = (aiAgentAddress: string) =>
  service.post("/v1/agent-inboxes", { aiAgentAddress, inboxDestinationType: "PULL_QUEUE" });

test.each([
  ["letters of any case", "Sales@Corp.EXAMPLE", "sales@corp.example"],
  ["İ, which has two characters in lower case", "İstanbul", "i̇stanbul"],
  ["ß, which is one and stays one", "Straße", "straße"],
  ["ẞ, which is ß in lower case", "STRAẞE", "straße"],
  ["the Kelvin sign, which is k", "\u212aelvin", "kelvin"],
  ["a combining mark, composed by NFC", "cafe\u0301", "caf\u00e9"],
  ["marks in another order, ordered by NFC", "a\u0323\u0302", "\u1ead"],
  ["marks that NFC composes only in lower case", "J\u030c", "\u01f0"],
  ["Greek with a final sigma", "ΟΔΟΣ", "οδος".replace(/σ$/, "ς")],
  ["Hangul in parts", "\u1112\u1161\u11ab", "\ud55c"],
  ["full-width letters, which stay", "ＡＢ", "ａｂ"],
  ["ligatures, which stay", "oﬃce", "oﬃce"],
  ["emoji", "🤖@corp", "🤖@corp"],
  ["punctuation of all kinds", "!$&'()*+,;=:@[]{}|\\^`\"<>~-_.", "!$&'()*+,;=:@[]{}|\\^`\"<>~-_."],
  ["words that objects know", "__proto__", "__proto__"],
  ["three dots", "...", "..."],
  ["255 characters", "A".repeat(255), "a".repeat(255)],
  ["127 letters beyond the basic plane", "𐐀".repeat(127), "𐐨".repeat(127)],
])("registered and found: %s", async (_, given, canonical) => {
  const { status, body, headers } = await register(given);
  expect(status, JSON.stringify(body)).toBe(201);
  expect(body.aiAgentAddress).toBe(canonical);
  for (const spelling of [given, canonical]) {
    expect((await register(spelling)).body.code).toBe("inbox_exists");
    const found = await service.get(`/v1/agent-inboxes/${encodeURIComponent(spelling)}`);
    expect(found.body.aiAgentAddress).toBe(canonical);
  }
  expect((await service.get(headers.get("location") as string)).status).toBe(200);
});

test.each([
  ["nothing", ""],
  ["256 characters", "a".repeat(256)],
  ["255 characters that are 510 in lower case", "İ".repeat(255)],
  ["a space", "a b"],
  ["a no-break space", "a\u00a0b"],
  ["an ideographic space", "a\u3000b"],
  ["a zero-width space", "a\u200bb"],
  ["a zero-width joiner", "a\u200db"],
  ["a word joiner", "a\u2060b"],
  ["a byte order mark", "\ufeffa"],
  ["a soft hyphen", "a\u00adb"],
  ["a right-to-left mark", "a\u200fb"],
  ["a right-to-left override", "a\u202eb"],
  ["a NUL", "a\u0000b"],
  ["a line end", "a\n"],
  ["a next-line character", "a\u0085b"],
  ["a tag character", "a\u{e0041}b"],
  ["a lone surrogate", "a\ud800"],
  ["a private character", "a\ue000"],
  ["a slash", "a/b"],
  ["a question mark", "a?b"],
  ["a hash", "a#b"],
  ["a per cent sign", "a%40b"],
  ["a dot, which a URL cannot end in", "."],
  ["two dots, which a URL cannot end in", ".."],
])("400 naming the address with %s", async (_, aiAgentAddress) => {
  const fault = {
    status: 400,
    body: {
      code: "invalid_request",
      errors: expect.arrayContaining([expect.objectContaining({ pointer: "/aiAgentAddress" })]),
    },
  };
  expect(await register(aiAgentAddress)).toMatchObject(fault);
  const segment = encodeURIComponent(aiAgentAddress.toWellFormed());
  if (segment !== "" && aiAgentAddress.isWellFormed())
    expect(await ask(service.url, "GET", `/v1/agent-inboxes/${segment}`)).toMatchObject(fault);
  expect(await service.sql("select from cams.agent_inboxes")).toEqual([]);
});

test("its canonical form is its own canonical form", () => {
  const address = fc.string({ unit: "binary", minLength: 1, maxLength: 8 });
  const property = fc.property(address, (given) => {
    const { success, data } = AiAgentAddress.safeParse(given);
    if (success) expect(AiAgentAddress.parse(data)).toBe(data);
  });
  fc.assert(property, { seed: 20_261_121, numRuns: 5000 });
});
