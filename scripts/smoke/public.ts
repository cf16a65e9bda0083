import { setTimeout as sleep } from "node:timers/promises";
import { type Exchanged, problemOf } from "../exchange.ts";
import { type Check, described, expectStatus, Failed, type Smoke } from "./check.ts";

/** What needs no credential. */
export const publicChecks: Check[] = [
  ["the process answers", isLive],
  ["the database answers", isReady],
  ["an unknown path is 404", refusesUnknownPath],
];

async function isLive({ client }: Smoke): Promise<string> {
  const answer = await client.call("GET", "/health/live");
  if (expectStatus(answer, 200, "/health/live").status !== "live") throw new Failed("/health/live is not CAMS's");
  return `${Math.round(answer.milliseconds)} ms`;
}

/** The first connection of a new instance waits for its network, up to a minute, and is answered 503 meanwhile. */
async function isReady({ client, patienceSeconds }: Smoke): Promise<string> {
  const start = performance.now();
  for (let attempts = 1; ; attempts++) {
    const answer: Exchanged = await client.call("GET", "/health/ready");
    const seconds = (performance.now() - start) / 1000;
    if (answer.status === 200 && (answer.json as { status?: string })?.status === "ready")
      return `after ${seconds.toFixed(1)} s${attempts > 1 ? `, ${attempts} attempts` : ""}`;
    if (seconds + 2 > patienceSeconds)
      throw new Failed(`/health/ready answers ${described(answer)} after ${seconds.toFixed(1)} s`);
    await sleep(2000);
  }
}

/** A front of Google's answers paths that it does not know itself; where there is none, CAMS must. */
async function refusesUnknownPath({ client }: Smoke): Promise<string> {
  const answer = await client.call("GET", "/v1/no-such-path");
  expectStatus(answer, 404, "/v1/no-such-path");
  if (problemOf(answer)?.code === "route_not_found") return "by CAMS";
  if (/\.(run\.app|cloudfunctions\.net)$|^(127\.|localhost$|\[::1\]$)/.test(new URL(client.url).hostname))
    throw new Failed("answered, but not as application/problem+json by CAMS");
  return "by the front, which does not pass it on";
}
