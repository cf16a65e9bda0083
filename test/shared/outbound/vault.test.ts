import { randomBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { signatureHeaders } from "../../../shared/outbound/signature.ts";
import { createVault } from "../../../shared/outbound/vault.ts";

const key = () => randomBytes(32).toString("base64");
const [old, fresh] = [key(), key()];

function opens(keys: string | undefined, sealed: Buffer, address: string, secret: string): boolean {
  const headers = signatureHeaders("m-1", '{"a":1}', [createVault(keys).open(sealed, address)], new Date());
  new Webhook(secret).verify('{"a":1}', headers);
  return true;
}

test("what is sealed is opened with the same key for the same address", () => {
  const { secret, sealed } = createVault(old).make("a@corp.example");
  expect(opens(old, sealed, "a@corp.example", secret)).toBe(true);
});

test("a key that was replaced still opens, and no longer seals", () => {
  const before = createVault(old).make("a");
  expect(opens(`${fresh},${old}`, before.sealed, "a", before.secret)).toBe(true);
  const after = createVault(`${fresh},${old}`).make("a");
  expect(opens(fresh, after.sealed, "a", after.secret)).toBe(true);
});

function turned(sealed: Buffer, at: number): Buffer {
  const copy = Buffer.from(sealed);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

test.each([
  ["another key", (sealed: Buffer) => createVault(fresh).open(sealed, "a")],
  ["no key", (sealed: Buffer) => createVault(undefined).open(sealed, "a")],
  ["another address", (sealed: Buffer) => createVault(old).open(sealed, "b")],
  ["a bit of its beginning turned", (sealed: Buffer) => createVault(old).open(turned(sealed, 0), "a")],
  ["a bit of its tag turned", (sealed: Buffer) => createVault(old).open(turned(sealed, 20), "a")],
  ["a bit of its text turned", (sealed: Buffer) => createVault(old).open(turned(sealed, 50), "a")],
  ["its beginning alone", (sealed: Buffer) => createVault(old).open(sealed.subarray(0, 40), "a")],
])("%s does not open it, and says nothing of it", (_, open) => {
  const { secret, sealed } = createVault(old).make("a");
  expect(() => open(sealed)).toThrow(/^no key of SECRETS_KEY opens the secret of [ab]$/);
  expect(() => open(sealed)).not.toThrow(secret.slice(6));
});

test("no key is said when something is to be sealed", () => {
  expect(() => createVault(undefined).make("a")).toThrow("SECRETS_KEY must be set");
});

test("no two secrets, and no two seals of one, are alike", () => {
  const vault = createVault(old);
  const made = Array.from({ length: 100 }, () => vault.make("a"));
  expect(new Set(made.map(({ secret }) => secret)).size).toBe(100);
  expect(new Set(made.map(({ sealed }) => sealed.subarray(0, 12).toString("hex"))).size).toBe(100);
});

test("thousands of secrets, opened again and again, are each their own", () => {
  const vault = createVault(old);
  const made = Array.from({ length: 2500 }, (_, n) => ({ address: `a${n}`, ...vault.make(`a${n}`) }));
  for (const { address, secret, sealed } of [...made, ...made.slice(0, 10)]) {
    const opened = vault.open(sealed, address).export().toString("base64");
    expect(`whsec_${opened}`).toBe(secret);
  }
});
