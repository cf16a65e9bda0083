import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import functions from "../terraform/functions.json" with { type: "json" };

const guide = readFileSync("docs/deploy.md", "utf8");
const example = readFileSync("terraform/terraform.tfvars.example", "utf8");
const blocks = (language: string) =>
  [...guide.matchAll(new RegExp(`^ *\`\`\`${language}\\n(.*?)^ *\`\`\``, "gms"))].map(([, block = ""]) => block);
const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name = ""]) => name);

const configuration = globSync("terraform/*.tf")
  .map((file) => readFileSync(file, "utf8"))
  .join("\n");
const deploys = existsSync("terraform/variables.tf");

test("every command of the guide is one that a shell can read", () => {
  expect(blocks("sh").length).toBeGreaterThan(15);
  for (const block of blocks("sh"))
    expect(spawnSync("bash", ["-n", "-c", block], { encoding: "utf8" }), block).toMatchObject({
      status: 0,
      stderr: "",
    });
});

test.runIf(deploys)("every setting, output and resource of Terraform that the guide names is there", () => {
  const settings = [
    ...all(example, /^#? ?([a-z_]+) += /gm),
    ...blocks("hcl").flatMap((block) => all(block, /^ *([a-z_]+) += [^{]*$/gm)),
    ...all(guide, /-var ([a-z_]+)=/g),
    ...all(guide, /`([a-z_]+) = /g),
  ].filter((name) => !name.endsWith("_instances"));
  expect(settings.length).toBeGreaterThan(20);
  const names = (kind: string) => all(configuration, new RegExp(`^${kind} "(\\w+)"`, "gm"));
  expect(names("variable")).toEqual(expect.arrayContaining(settings));
  const outputs = all(guide, /terraform output (?:-raw )?(\w+)/g);
  expect(outputs).toContain("url");
  expect(names("output")).toEqual(expect.arrayContaining(outputs));
  const resources = all(guide, /(?:import|rm) (google_\w+\.\w+)/g);
  for (const name of resources) expect(configuration).toContain(`resource "${name.replace(".", '" "')}"`);
});

test("every npm script that the guide and the contributors' table name is there", () => {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));
  const named = all(`${guide}${readFileSync("CONTRIBUTING.md", "utf8")}`, /npm run ([\w:]+)/g);
  // The build has tests of its own.
  for (const name of new Set(named.filter((name) => name !== "build"))) expect(Object.keys(scripts)).toContain(name);
});

test("before a restore every job is paused, and no other installation's", () => {
  const [, paused = ""] = /^for job in ([a-z -]+); do\n {2}gcloud scheduler jobs pause cams-\$job/m.exec(guide) ?? [];
  const scheduled = Object.entries(functions).filter(([, endpoint]) => "schedule" in endpoint);
  expect(paused.split(" ").toSorted()).toEqual(scheduled.map(([name]) => name).toSorted());
});

test("the guide's sums are those of the declarations", () => {
  const deployed = Object.values(functions);
  const instances = deployed.reduce((sum, { max_instances }) => sum + max_instances, 0);
  const atMost = Math.round(instances * 2_628_000 * 0.0000246);
  expect(guide).toContain(`${deployed.length}: one for each endpoint`);
  expect(guide).toContain(`is ${instances} instances, or at most\n${instances} × 2,628,000 s`);
  expect(guide).toContain(`= $${atMost.toLocaleString("en")} a month`);
  const withDatabase = deployed.filter(({ database_role }) => database_role !== null);
  const connections = withDatabase.map(
    ({ pool_size, listens, max_instances }) => (pool_size + (listens ? 1 : 0)) * max_instances * 2,
  );
  expect(guide).toContain(`defaults: ${connections.reduce((sum, count) => sum + count, 15)} of 400 (functions)`);
});

test("every product of the guide is what its factors make", () => {
  const products = [...guide.matchAll(/([\d.,]+(?: s)? × \([\d.×+ ]+\)|[\d.,]+ × [\d.,]+) = \$?([\d.,]+)/g)];
  expect(products.length).toBeGreaterThan(5);
  for (const [line, factors = "", product = ""] of products) {
    const value = Function(`return ${factors.replaceAll(",", "").replaceAll(" s", "").replaceAll("×", "*")}`)();
    const stated = Number(product.replaceAll(",", "").replace(/\.$/, ""));
    expect(Math.abs(value - stated), line).toBeLessThanOrEqual(0.005 + Number.EPSILON * value);
  }
});
