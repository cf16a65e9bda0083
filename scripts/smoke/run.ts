import { randomBytes } from "node:crypto";
import { type Check, described, Failed, type Installation, Skipped, type Smoke } from "./check.ts";
import { credentialChecks } from "./credentials.ts";
import { messageChecks } from "./messages.ts";
import { publicChecks } from "./public.ts";
import { runsJob } from "./scheduler.ts";

/**
 * Makes every check, one after the other, and prints a line for each; at the end the inbox is deleted, whatever failed.
 * `checked` tells whether none failed; `cleanUp` deletes the inbox at once.
 */
export function runChecks(installation: Installation, print: (line: string) => void) {
  const address = `smoke-${randomBytes(6).toString("hex")}@example`;
  const smoke: Smoke = { ...installation, address, inbox: `/v1/agent-inboxes/${address}` };
  const checks: Check[] = [
    ...publicChecks,
    ["an inbox can be registered", register],
    ...credentialChecks,
    ...messageChecks,
    ["Scheduler runs a job", runsJob],
    ["nothing is left behind", deleteInbox],
  ];
  const checked = (async () => {
    let failed = 0;
    for (const check of checks) if (!(await made(check, smoke, print))) failed++;
    print(failed === 0 ? "all is well" : `${failed} failed`);
    return failed === 0;
  })();
  return { checked, cleanUp: () => deleteInbox(smoke).catch(() => {}) };
}

async function made([title, make]: Check, smoke: Smoke, print: (line: string) => void): Promise<boolean> {
  try {
    const note = await make(smoke);
    print(`ok       ${title}${note ? `: ${note}` : ""}`);
    return true;
  } catch (error) {
    const isSkipped = error instanceof Skipped;
    print(`${isSkipped ? "skipped" : "FAILED "}  ${title}: ${(error as Error).message}`);
    return isSkipped;
  }
}

async function register(smoke: Smoke): Promise<undefined> {
  const { client, address } = smoke;
  if (client.credentials.length === 0) throw new Skipped("give --key, --account or --token");
  const body = { aiAgentAddress: address, inboxDestinationType: "PULL_QUEUE", description: "smoke test" };
  const answer = await client.call("POST", "/v1/agent-inboxes", { body });
  const { updatedBy } = (answer.json ?? {}) as { updatedBy?: unknown };
  if (answer.status !== 201 || typeof updatedBy !== "string")
    throw new Failed(`registering ${address} answers ${described(answer)}`);
  smoke.registeredBy = updatedBy;
}

/** Also when registering failed: its answer may be what was lost. In both spellings: one of them may be what is broken. */
async function deleteInbox({ client, inbox, registeredBy }: Smoke): Promise<undefined> {
  if (client.credentials.length === 0) throw new Skipped("nothing was made");
  const spellings = [inbox, inbox.replace("@", "%40")];
  let refusal: string | undefined;
  for (const path of spellings) {
    const deleted = await client.call("DELETE", path);
    if (deleted.status !== 204) refusal ??= described(deleted);
    else {
      const after = await client.call("GET", path);
      if (after.status === 404) return;
      throw new Failed(`${path} is deleted, and still answers ${described(after)}`);
    }
  }
  if (registeredBy === undefined) throw new Skipped("nothing was made");
  throw new Failed(`delete ${inbox} yourself, it answers ${refusal}`);
}
