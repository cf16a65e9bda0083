import { expect, test } from "vitest";
import { parseLease } from "../../../shared/rules/leases.ts";

const ID = "01a1fd83-d8b4-7fad-95e3-1490fdf5ee05";
const SECRET = "83bc8267-8b06-437a-b0aa-085558a361d2";

test("a lease token is a message id and a secret", () => {
  expect(parseLease(`${ID}.${SECRET}`)).toEqual({ messageId: ID, token: SECRET });
});

test.each([
  "",
  ".",
  ID,
  `${ID}.`,
  `.${SECRET}`,
  `${ID}${SECRET}`,
  `${ID}:${SECRET}`,
  `${ID}.${SECRET}.`,
  `${ID}.${SECRET}\n`,
  ` ${ID}.${SECRET}`,
  `${ID}.${SECRET.slice(1)}`,
  `${ID}.${SECRET}0`,
  `${ID.toUpperCase()}.${SECRET}`,
  `${ID.replace("0", "g")}.${SECRET}`,
  `${ID}.' or true --`,
])("%j is none", (leaseToken) => {
  expect(parseLease(leaseToken)).toBeUndefined();
});
