import functions from "../../terraform/functions.json" with { type: "json" };
import { type Exchanged, problemOf } from "../exchange.ts";
import { type Check, described, expectStatus, Failed, isRefused, needsInbox, Skipped, type Smoke } from "./check.ts";

/** Who the made-up tokens and headers say they are. */
const SOMEBODY_ELSE = "smoke-forged@example.com";

/** What the way to the service does to paths and credentials. */
export const credentialChecks: Check[] = [
  ["@ and %40 in a path are the same inbox", takesBothSpellings],
  ["problems come as application/problem+json", passesProblemsOn],
  ["CAMS sees who calls, not who passes it on", seesWhoCalls],
  ["without a credential nobody is let in", refusesNobody],
  ["X-Apigateway-Api-Userinfo makes nobody somebody else", ignoresUserinfo],
  ["X-Forwarded-Authorization makes nobody somebody else", ignoresForwarded],
  ["a token without its signature is refused", refusesStrippedTokens],
  ["a credential given twice is refused", refusesDuplicates],
  ["system endpoints cannot be called from here", hidesSystemEndpoints],
];

async function takesBothSpellings(smoke: Smoke): Promise<undefined> {
  needsInbox(smoke);
  const { client, inbox, address } = smoke;
  for (const path of [inbox, inbox.replace("@", "%40")]) {
    const { aiAgentAddress } = expectStatus(await client.call("GET", path), 200, path);
    if (aiAgentAddress !== address) throw new Failed(`${path} is ${aiAgentAddress}, not ${address}`);
  }
}

async function passesProblemsOn(smoke: Smoke): Promise<undefined> {
  needsInbox(smoke);
  const answer = await smoke.client.call("GET", smoke.inbox.replace("smoke-", "smoke-none-"));
  if (answer.status !== 404 || problemOf(answer)?.code !== "inbox_not_found")
    throw new Failed(`an unknown inbox is answered ${described(answer)}, as ${answer.headers["content-type"]}`);
}

async function seesWhoCalls(smoke: Smoke): Promise<string> {
  needsInbox(smoke);
  const { registeredBy, principal } = smoke;
  if (principal === undefined) throw new Skipped(`it sees ${registeredBy}; give --principal to compare`);
  if (registeredBy !== principal) throw new Failed(`it sees ${registeredBy}, and we are ${principal}`);
  return principal;
}

async function refusesNobody({ client, inbox }: Smoke): Promise<undefined> {
  const answer = await client.call("GET", inbox, { as: [] });
  if (!isRefused(answer)) throw new Failed(`answered ${described(answer)}`);
}

async function ignoresUserinfo(smoke: Smoke): Promise<undefined> {
  const claims = { iss: "https://accounts.google.com", sub: "1", email: SOMEBODY_ELSE, email_verified: true };
  await staysWhoItIs(smoke, ["X-Apigateway-Api-Userinfo", base64(claims)], false);
}

async function ignoresForwarded(smoke: Smoke): Promise<undefined> {
  // Behind the gateway that header is where a caller's token goes: there a second credential is refused.
  await staysWhoItIs(smoke, ["X-Forwarded-Authorization", `Bearer ${forged(smoke)}`], true);
}

async function staysWhoItIs(smoke: Smoke, headers: string[], mayBeRefused: boolean): Promise<void> {
  const { client, inbox, registeredBy } = smoke;
  const alone = await client.call("GET", inbox, { as: [], headers });
  if (!isRefused(alone)) throw new Failed(`alone it is answered ${described(alone)}`);
  if (registeredBy === undefined) return;
  const both = await client.call("PUT", inbox, { headers, body: { description: "smoke test, changed" } });
  if (mayBeRefused && isRefused(both)) return;
  const { updatedBy } = expectStatus(both, 200, "beside our credential it");
  if (updatedBy !== registeredBy) throw new Failed(`with it we are ${updatedBy}, without it ${registeredBy}`);
}

async function refusesStrippedTokens(smoke: Smoke): Promise<undefined> {
  const { client, inbox } = smoke;
  const tokens = client.token ? [forged(smoke), stripped(client.token)] : [forged(smoke)];
  for (const token of tokens)
    for (const header of ["Authorization", "X-Serverless-Authorization"]) {
      const answer = await client.call("GET", inbox, { as: [header, `Bearer ${token}`] });
      if (!isRefused(answer)) throw new Failed(`in ${header} it is answered ${described(answer)}`);
    }
}

async function refusesDuplicates(smoke: Smoke): Promise<undefined> {
  needsInbox(smoke);
  const { client, inbox } = smoke;
  const [name = "", value = ""] = client.credentials.slice(-2);
  const other = name === "X-Cams-Key" ? "cams_00000000-0000-7000-8000-000000000000_x" : `Bearer ${forged(smoke)}`;
  const invoker = client.credentials.slice(0, -2);
  // Whichever of two is believed, another part of the way may have checked the other one.
  for (const [first, second] of [
    [value, other],
    [other, value],
  ] as [string, string][]) {
    const answer = await client.call("GET", inbox, { as: [...invoker, name, first, name, second] });
    if (!isRefused(answer))
      throw new Failed(`${name}, ours ${first === value ? "first" : "last"}: ${described(answer)}`);
  }
}

/** Safe where it fails: what these endpoints do, Scheduler and every deploy have them do anyway. */
async function hidesSystemEndpoints({ client }: Smoke): Promise<undefined> {
  for (const { role, method, path } of Object.values(functions)) {
    if (role !== "system") continue;
    const answer: Exchanged = await client.call(method, path, { timeoutMs: 70_000 });
    if (![401, 403, 404, 405].includes(answer.status)) throw new Failed(`${path} answers ${described(answer)}`);
  }
}

/** A token that only somebody who looks at no signature believes: of Google, for this installation. */
function forged({ client, audience }: Smoke): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: "https://accounts.google.com",
    aud: [...new Set([audience, client.url])],
    sub: "1",
    email: SOMEBODY_ELSE,
    email_verified: true,
    iat: now,
    exp: now + 3600,
  };
  return stripped(`${base64({ alg: "RS256", kid: "smoke", typ: "JWT" })}.${base64(claims)}.`);
}

/** As Cloud Run hands tokens on that it has checked. */
function stripped(token: string): string {
  return `${token.slice(0, token.lastIndexOf("."))}.SIGNATURE_REMOVED_BY_GOOGLE`;
}

function base64(content: object): string {
  return Buffer.from(JSON.stringify(content)).toString("base64url");
}
