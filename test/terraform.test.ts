import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { endpoints } from "../functions/index.ts";

const run = promisify(execFile);

interface Outcome {
  by: string;
  /** Why there was nothing to run. */
  missing?: string;
  /** What failed, as it was printed. */
  failure?: string;
}

/** Runs a command; its output is what went wrong, if something did. */
async function attempt(command: string, args: readonly string[]): Promise<{ code: number | string; output: string }> {
  try {
    const { stdout, stderr } = await run(command, args, { maxBuffer: 1 << 26 });
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
  const { code, output } = await attempt(wrapper, [folder]);
  return { by: wrapper, ...(code !== 0 && { failure: output }) };
}

async function checkPlainly(folder: string): Promise<Outcome> {
  const by = "terraform";
  const terraform = (...args: string[]) => attempt("terraform", [`-chdir=${folder}`, ...args, "-no-color"]);
  const init = await terraform("init", "-backend=false", "-input=false");
  if (init.code === "ENOENT") return { by, missing: "there is no terraform" };
  if (init.output.includes("Failed to query available provider packages"))
    return { by, missing: "terraform finds no registry of providers" };
  if (init.code !== 0) return { by, failure: init.output };
  for (const args of [["fmt", "-check", "-recursive"], ["validate"], ["test"]]) {
    const { code, output } = await terraform(...args);
    if (code !== 0) return { by, failure: output };
  }
  return { by };
}

/** A copy in a work tree of its own: what is made there is not for here, and what other tests make is not for there. */
async function copied(): Promise<{ folder: string; remove(): Promise<void> }> {
  const tree = await mkdtemp(join(tmpdir(), "cams-terraform-"));
  await mkdir(join(tree, ".git"));
  await cp("terraform", join(tree, "terraform"), { recursive: true, filter: (path) => !path.includes(".terraform") });
  return { folder: join(tree, "terraform"), remove: () => rm(tree, { recursive: true, force: true }) };
}

test("Terraform's own tests pass", async ({ skip }) => {
  const { folder, remove } = await copied();
  const { by, missing, failure } = await check(folder).finally(remove);
  console.log(missing ? `Terraform's tests are skipped: ${missing}` : `Terraform's tests ran by ${by}`);
  skip(missing !== undefined);
  expect(failure).toBeUndefined();
}, 400_000);

test("what monitoring looks for is what the service logs", () => {
  const watched = [...readFileSync("terraform/monitoring.tf", "utf8").matchAll(/message = "([^"]+)"/g)].map(
    ([, message = ""]) => message,
  );
  const sources = globSync("{functions,shared}/**/*.ts").map((file) => readFileSync(file, "utf8"));
  expect(watched.length).toBeGreaterThan(4);
  for (const message of [...watched, "delivery failed"])
    expect(
      sources.some((source) => source.includes(`"${message}`)),
      message,
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
  expect(needs('module "migrate"')).toEqual(expect.arrayContaining(["google_sql_user.migrator"]));
  expect(needs('resource "terraform_data" "migrate"')).toEqual(
    expect.arrayContaining(["module.migrate", "google_sql_database.cams", "google_sql_user.accounts"]),
  );
  expect(needs('module "function"')).toEqual(expect.arrayContaining(["terraform_data.migrate"]));
  expect(needs('resource "google_cloud_scheduler_job" "schedules"')).toEqual(["module.function"]);
});

test("nothing secret is in Terraform's state", () => {
  const text = globSync("terraform/**/*.tf").map((file) => readFileSync(file, "utf8"));
  expect(text.join("\n")).toMatch(/secret_data_wo += /);
  // Arguments that are kept in the state as they are given, and resources that keep what they make up.
  for (const one of text) expect(one).not.toMatch(/\b(secret_data|(root_)?password) += |resource "random_|private_key/);
});
