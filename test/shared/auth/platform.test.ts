import { expect, test } from "vitest";
import { part, startIssuer, stripped } from "../../support/issuer.ts";
import { refusal, startDoor } from "./door.ts";

const AUDIENCE = "https://cams-abc.a.run.app";
const IAM = { PLATFORM_AUTH: "iam", AUTH_PLATFORM_AUDIENCES: AUDIENCE };
const NOW = Math.floor(Date.now() / 1000);

async function platformDoor(env: Record<string, string> = {}) {
  const door = await startDoor({ ...IAM, ...env });
  door.register("invoker@project.example");
  return door;
}

const bearing = (token: string) => ({ authorization: `Bearer ${token}` });

test.each([
  ["as it is", {}],
  ["the issuer without a scheme", { iss: "accounts.google.com" }],
  ["one of several audiences", { aud: ["https://x.example", AUDIENCE] }],
  ["an e-mail with capitals", { email: "Invoker@Project.Example" }],
  ["a clock a little ahead", { iat: NOW + 30, nbf: NOW + 30 }],
])("Cloud Run's word is taken: %s", async (_, claims) => {
  const door = await platformDoor();
  const { status, body } = await door.call(bearing(stripped(claims)));
  expect({ status, principal: body.principal }).toEqual({ status: 200, principal: "invoker@project.example" });
});

test.each([
  ["another issuer", { iss: "https://evil.example" }, "The token is not from Google."],
  [
    "an issuer that begins like Google",
    { iss: "https://accounts.google.com.evil.example" },
    "The token is not from Google.",
  ],
  ["no issuer", { iss: undefined }, "The token is not from Google."],
  ["an end in the past", { exp: NOW - 1 }, "The token has expired."],
  ["no end", { exp: undefined }, "The token has expired."],
  ["an end that is no number", { exp: `${NOW + 3600}` }, "The token has expired."],
  ["a begin in the future", { nbf: NOW + 90 }, "The token is not valid yet."],
  ["an issue in the future", { iat: NOW + 90 }, "The token is not valid yet."],
  ["an issue that is no number", { iat: "now" }, "The token is not valid yet."],
  ["another audience", { aud: "https://x.example" }, "The token is for another audience."],
  ["an audience that begins alike", { aud: `${AUDIENCE}.evil.example` }, "The token is for another audience."],
  ["no audience", { aud: undefined }, "The token is for another audience."],
  ["other audiences", { aud: ["x", { y: 1 }, null] }, "The token is for another audience."],
  ["an e-mail nobody verified", { email_verified: false }, "The token names no verified e-mail address."],
  ["an e-mail verified in words", { email_verified: "true" }, "The token names no verified e-mail address."],
  ["no e-mail", { email: undefined }, "The token names no verified e-mail address."],
  ["an e-mail that is none", { email: ["invoker@project.example"] }, "The token names no verified e-mail address."],
  [
    "an e-mail like an issuer's subject",
    { email: "issuer.example|a@b" },
    "The token names no verified e-mail address.",
  ],
  ["a Kelvin sign for a K", { email: "\u212Aate@project.example" }, "The token names no verified e-mail address."],
])("a platform token with %s is 401", async (_, claims, detail) => {
  const door = await platformDoor();
  door.register("kate@project.example");
  door.register("issuer.example|a@b");
  expect(refusal(await door.call(bearing(stripped(claims))))).toBe(detail);
});

test.each([
  ["a signature in the marker's place", (token: string) => token.replace(/[^.]*$/, "c2lnbmF0dXJl")],
  ["the marker in small letters", (token: string) => token.toLowerCase()],
  ["more after the marker", (token: string) => `${token}X`],
  ["a fourth part", (token: string) => `${token}.SIGNATURE_REMOVED_BY_GOOGLE`],
  ["no signature at all", (token: string) => token.replace(/[^.]*$/, "")],
  ["two parts", (token: string) => token.replace(/^[^.]*\./, "")],
])("a platform token with %s is 401", async (_, change) => {
  const door = await platformDoor();
  expect(refusal(await door.call(bearing(change(stripped()))))).toBe("The token was not checked by Cloud Run.");
});

test.each([["!!"], [""], [part([1])], [Buffer.from("{").toString("base64url")]])(
  "claims that cannot be read are 401: %j",
  async (claims) => {
    const door = await platformDoor();
    expect(refusal(await door.call(bearing(`e30.${claims}.SIGNATURE_REMOVED_BY_GOOGLE`)))).toMatch(
      /^(The token cannot|Autho)/,
    );
  },
);

test("where nobody checks, a token without its signature is forged, in either header", async () => {
  const issuer = await startIssuer();
  const google = { AUTH_ISSUERS: `https://accounts.google.com=${issuer.keysUrl}`, AUTH_AUDIENCES: AUDIENCE };
  const door = await startDoor({
    ...google,
    AUTH_PLATFORM_AUDIENCES: AUDIENCE,
    CAMS_ADMINS: "invoker@project.example",
  });
  refusal(await door.call({ authorization: `Bearer ${stripped()}` }));
  refusal(await door.call({ "x-serverless-authorization": `Bearer ${stripped()}` }));
});

test("beside what Cloud Run checked, a token without its signature is forged", async () => {
  const door = await platformDoor({ CAMS_ADMINS: "boss@project.example" });
  const forged = stripped({ email: "boss@project.example" });
  const both = { authorization: `Bearer ${forged}`, "x-serverless-authorization": `Bearer ${stripped()}` };
  refusal(await door.call(both, "admin"));
});

test("what Cloud Run did not check is not taken because of what it checked", async () => {
  const door = await platformDoor();
  const issuer = await startIssuer();
  const both = { authorization: `Bearer ${stripped()}`, "x-serverless-authorization": `Bearer ${await issuer.mint()}` };
  expect(refusal(await door.call(both))).toBe("The token was not checked by Cloud Run.");
});
