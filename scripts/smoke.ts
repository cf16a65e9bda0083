// Checks on a live installation what no test on one's own machine shows: docs/deploy.md.
//
//   npm run smoke -- --url URL [--key KEY | --account SERVICE_ACCOUNT | --token TOKEN] …
//
// One line for each check; ends with 1 when one failed. It registers an inbox smoke-….@example and deletes it again.
import { parseArgs } from "node:util";
import { baseOf } from "./exchange.ts";
import { idToken } from "./id-token.ts";
import { createClient, principalOf } from "./smoke/client.ts";
import { runChecks } from "./smoke/run.ts";

const USAGE = `usage: npm run smoke -- --url URL     with https:// or http://
  --key KEY | --token TOKEN     who calls: an API key (or CAMS_KEY), an ID token (or CAMS_TOKEN),
  --account SERVICE_ACCOUNT     or a service account that you may impersonate; with --key beside it, its invoker
  --audience A                  of that account's token; by default the URL
  --principal ID                who that is to CAMS; needed with a key alone, to see that it arrives
  --project P --region R        runs a Scheduler job too
  --job NAME                    that one (cams-health-sweep)
  --wait-seconds N              how long a pull is to be held, 1 to 30 (20: more than the gateway's usual 15)
  --patience-seconds N          how long the first connection may take (120)`;

try {
  process.exitCode = (await smoke(process.argv.slice(2))) ? 0 : 1;
} catch (error) {
  console.error(`smoke: ${(error as Error).message}`);
  process.exitCode = 1;
}

async function smoke(args: string[]): Promise<boolean> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: {
      help: { type: "boolean" },
      url: text,
      key: text,
      token: text,
      account: text,
      audience: text,
      principal: text,
      project: text,
      region: text,
      job: { ...text, default: "cams-health-sweep" },
      "wait-seconds": { ...text, default: "20" },
      "patience-seconds": { ...text, default: "120" },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return true;
  }
  const [waitSeconds, patienceSeconds] = [Number(values["wait-seconds"]), Number(values["patience-seconds"])];
  const url = baseOf(values.url);
  // Thirty seconds is the longest that a pull may ask for.
  if (!url || !(waitSeconds >= 1 && waitSeconds <= 30) || !(patienceSeconds >= 0)) throw new Error(USAGE);

  const { account, project, region, job } = values;
  const audience = values.audience ?? url;
  const key = values.key ?? process.env.CAMS_KEY;
  const token = account ? await idToken({ account, audience }) : (values.token ?? process.env.CAMS_TOKEN);
  const principal = values.principal ?? (token && !key ? principalOf(token) : undefined);
  const { checked, cleanUp } = runChecks(
    {
      client: createClient(url, { key, token }),
      audience,
      principal,
      waitSeconds,
      patienceSeconds,
      scheduler: project && region ? { job: `projects/${project}/locations/${region}/jobs/${job}` } : undefined,
    },
    console.log,
  );
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => cleanUp().finally(() => process.exit(130)));
  return checked;
}
