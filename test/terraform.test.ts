import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { endpoints } from "../functions/index.ts";
import { readConfig } from "../shared/config.ts";
import { databaseRoleOf } from "../shared/http/endpoint.ts";

const run = promisify(execFile);
/** Terraform's tests print their plans with this: 7 MB each, most of it the providers' schemas. */
const WITH_PLANS = ["-json", "-verbose"];

interface Outcome {
  by: string;
  /** Why there was nothing to run. */
  missing?: string;
  /** What failed, as it was printed. */
  failure?: string;
  /** What was printed. */
  output?: string;
}

/** Runs a command; its output is what went wrong, if something did. */
async function attempt(command: string, args: readonly string[]): Promise<{ code: number | string; output: string }> {
  try {
    const { stdout, stderr } = await run(command, args, { maxBuffer: 1 << 28 });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const {
      code = 1,
      stdout = "",
      stderr = "",
    } = error as { code?: number | string; stdout?: string; stderr?: string };
    return { code, output: stdout + stderr };
  }
}

/** By the wrapper that `TERRAFORM_CHECK` names, which brings the providers' schemas; else by terraform itself. */
async function check(folder: string): Promise<Outcome> {
  const wrapper = process.env.TERRAFORM_CHECK;
  if (!wrapper) return checkPlainly(folder);
  const { code, output } = await attempt(wrapper, [folder, "all", "--", ...WITH_PLANS]);
  return { by: wrapper, output, ...(code !== 0 && { failure: faultsIn(output) }) };
}

async function checkPlainly(folder: string): Promise<Outcome> {
  const by = "terraform";
  const terraform = (...args: string[]) => attempt("terraform", [`-chdir=${folder}`, ...args, "-no-color"]);
  const init = await terraform("init", "-backend=false", "-input=false");
  if (init.code === "ENOENT") return { by, missing: "there is no terraform" };
  if (init.output.includes("Failed to query available provider packages"))
    return { by, missing: "terraform finds no registry of providers" };
  if (init.code !== 0) return { by, failure: init.output };
  for (const args of [["fmt", "-check", "-recursive"], ["validate"]]) {
    const { code, output } = await terraform(...args);
    if (code !== 0) return { by, failure: output };
  }
  const { code, output } = await terraform("test", ...WITH_PLANS);
  return { by, output, ...(code !== 0 && { failure: faultsIn(output) }) };
}

/** What went wrong, of lines for machines; lines for people stay. */
function faultsIn(output: string): string {
  const lines = output.split("\n").flatMap((text) => {
    if (!text.trim().startsWith("{")) return text;
    const line = JSON.parse(text);
    if (line["@level"] !== "error") return [];
    return `${line["@testfile"]} ${line["@testrun"]}: ${line["@message"]} ${line.diagnostic?.detail ?? ""}`;
  });
  return lines.join("\n");
}

/** A copy in a work tree of its own: what is made there is not for here, and what other tests make is not for there. */
async function copied(): Promise<{ folder: string; remove(): Promise<void> }> {
  const tree = await mkdtemp(join(tmpdir(), "cams-terraform-"));
  await mkdir(join(tree, ".git"));
  await cp("terraform", join(tree, "terraform"), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !path.includes(".terraform"),
  });
  return { folder: join(tree, "terraform"), remove: () => rm(tree, { recursive: true, force: true }) };
}

let checked: Promise<Outcome> | undefined;

/** Once for all tests here. */
function outcome(): Promise<Outcome> {
  checked ??= copied().then(({ folder, remove }) => check(folder).finally(remove));
  return checked;
}

test("Terraform's own tests pass", async ({ skip }) => {
  const { by, missing, failure } = await outcome();
  console.log(missing ? `Terraform's tests are skipped: ${missing}` : `Terraform's tests ran by ${by}`);
  skip(missing !== undefined);
  expect(failure).toBeUndefined();
}, 600_000);

interface Planned {
  build_config: { entry_point: string }[];
  service_config: {
    timeout_seconds: number;
    environment_variables: Record<string, string>;
    secret_environment_variables?: { key: string }[];
  }[];
  name: string;
}

/** The functions of each plan that Terraform's tests made, by the name of the run. */
function plansIn(output: string): Map<string, Planned[]> {
  const lines = output.split("\n").filter((text) => text.trim().startsWith("{") && text.includes('"type":"test_plan"'));
  const plans = lines.map((text): [string, Planned[]] => {
    const line = JSON.parse(text);
    const changes = (line.test_plan.resource_changes ?? []) as {
      type: string;
      change: { after: Planned; after_unknown: { service_config?: { environment_variables?: unknown }[] } };
    }[];
    const functions = changes.filter(({ type }) => type === "google_cloudfunctions2_function");
    // What is not known before an apply would be missing here.
    for (const { change } of functions)
      expect(change.after_unknown.service_config?.[0]?.environment_variables).toBeOneOf([undefined, {}]);
    return [line["@testrun"], functions.map(({ change }) => change.after)];
  });
  return new Map(plans.filter(([, functions]) => functions.length > 1));
}

/** As Cloud Run starts it. */
function environmentOf({ name, build_config: [build], service_config: [service] }: Planned): Record<string, string> {
  const secrets = service?.secret_environment_variables?.map(({ key }) => [key, Buffer.alloc(32).toString("base64")]);
  return {
    ...service?.environment_variables,
    ...Object.fromEntries(secrets ?? []),
    K_SERVICE: name,
    FUNCTION_TARGET: build?.entry_point ?? "",
    CLOUD_RUN_TIMEOUT_SECONDS: String(service?.timeout_seconds),
  };
}

test("every function of every deployment starts with the environment that it is given", async ({ skip }) => {
  const { output } = await outcome();
  skip(output === undefined);
  const plans = plansIn(output ?? "");
  const each = endpoints.length;
  expect(Object.fromEntries([...plans].map(([run, functions]) => [run, functions.length]))).toMatchObject({
    gateway: each,
    load_balancer: each,
    none: each,
    none_for_everybody: each,
    single: 2,
    as_much_as_is_taken: each,
    as_much_as_is_taken_by_one: 2,
  });
  for (const [run, functions] of plans)
    for (const planned of functions) {
      const environment = environmentOf(planned);
      const endpoint = endpoints.find(({ name }) => name === environment.FUNCTION_TARGET);
      const needsDatabase = endpoint === undefined || databaseRoleOf(endpoint) !== undefined;
      expect(() => readConfig(environment, { needsDatabase }), `${run}: ${planned.name}`).not.toThrow();
      expect(environment.INSTANCE_CONNECTION_NAME !== undefined, `${run}: ${planned.name}`).toBe(needsDatabase);
    }
}, 600_000);

test("what monitoring looks for is what the service logs", () => {
  const watched = [
    ...readFileSync("terraform/monitoring.tf", "utf8").matchAll(/severity = "(\w+)", message = "([^"]+)"/g),
  ].map(([, severity = "", message]) => `${severity.toLowerCase()}("${message}`);
  const sources = globSync("{functions,shared}/**/*.ts").map((file) => readFileSync(file, "utf8"));
  expect(watched.length).toBeGreaterThan(4);
  for (const line of [...watched, '"delivery failed'])
    expect(
      sources.some((source) => source.includes(line)),
      line,
    ).toBe(true);
});

test("Terraform's list of public endpoints is the one of the other tests", () => {
  const listed = JSON.parse(readFileSync("test/contract/public-endpoints.json", "utf8"));
  const [, names = ""] = /toset\(\[([^\]]+)\]\)\n {4}error_message = "Other endpoints/.exec(
    readFileSync("terraform/tests/functions.tftest.hcl", "utf8"),
  ) as RegExpExecArray;
  expect(JSON.parse(`[${names}]`)).toEqual(listed);
  expect(endpoints.filter(({ role }) => role === "public").map(({ name }) => name)).toEqual(listed);
});

test("the database is migrated before the new code runs, which runs before it is scheduled", () => {
  const text = ["functions", "scheduler", "gateway"]
    .map((name) => readFileSync(`terraform/${name}.tf`, "utf8"))
    .join("\n");
  const needs = (block: string) => {
    const [, body = ""] = text.split(`\n${block} {`);
    return /^ {2}depends_on = \[([^\]]*)\]/m
      .exec(body.split("\n}")[0] ?? "")?.[1]
      ?.trim()
      .split(/,\s*/);
  };
  // All that a call needs: with run_migrations = false this module is applied alone, and then it is called.
  expect(needs('module "migrate"')).toEqual(
    expect.arrayContaining([
      "google_sql_user.migrator",
      "google_sql_user.accounts",
      "google_sql_database.cams",
      "google_service_account_iam_binding.deployer",
    ]),
  );
  expect(needs('resource "terraform_data" "migrate"')).toEqual(["module.migrate"]);
  expect(needs('module "function"')).toEqual(expect.arrayContaining(["terraform_data.migrate"]));
  expect(needs('resource "google_cloud_scheduler_job" "schedules"')).toEqual(["module.function"]);
});

test("nothing secret is in Terraform's state", () => {
  const text = globSync("terraform/**/*.tf").map((file) => readFileSync(file, "utf8"));
  expect(text.join("\n")).toMatch(/secret_data_wo += /);
  // Arguments that are kept in the state as they are given, and resources that keep what they make up.
  for (const one of text) expect(one).not.toMatch(/\b(secret_data|(root_)?password) += |resource "random_|private_key/);
});
