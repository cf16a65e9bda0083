import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { readDefinitions } from "../shared/rules/definition-yaml.ts";
import { AgentDocument, DefinitionMetadata, Trigger } from "../shared/schemas/definition-document.ts";
import { load } from "./support/definitions-folder.ts";
import { bash, scriptsOf } from "./support/guides.ts";
import { makerFor } from "./support/make.ts";
import { useService } from "./support/service.ts";

const service = useService();
const make = makerFor(service);
const guide = "docs/definitions.md";
const here = (script = "") => script.replaceAll("localhost:8080", new URL(service.url).host);

test("the document it shows is one, with a value for every field that an agent has", async () => {
  const [, shown = ""] = /```yaml\n(.*?)```/s.exec(await readFile(guide, "utf8")) ?? [];
  const [read] = readDefinitions(shown);
  expect(read?.faults).toEqual([]);
  const fields = shown.split("\n").flatMap((line) => /^ *(?:- )?(\w+):/.exec(line)?.[1] ?? []);
  const schemas = [AgentDocument, DefinitionMetadata, Trigger, AgentDocument.shape.config.unwrap()];
  for (const schema of schemas) expect(fields).toEqual(expect.arrayContaining(Object.keys(schema.shape)));
});

test("its commands work as printed: a life, an import, an export, and following", async () => {
  expect((await load(service.url, "examples/definitions")).code).toBe(0);
  const [examples, life] = await scriptsOf(guide, "A life");
  const [list, manager] = (await bash(here(examples))).map((line) => JSON.parse(line));
  expect(list.items.map(({ id }: { id: string }) => id)).toContain(manager.id);

  const lines = (await bash(here(life))).map((line) => JSON.parse(line));
  expect(lines).toMatchObject([
    { version: "1.0.0", status: "DRAFT" },
    { version: "1.0.0", status: "PUBLISHED", current: true },
    { version: "1.0.1", current: true, document: { config: { timeoutSeconds: 60 } } },
    { from: "1.0.0", to: "1.0.1" },
    { version: "1.0.0", current: true },
    { version: "1.0.1", status: "DEPRECATED" },
    { version: "1.0.1", status: "DEPRECATED" },
    { items: [{ version: "1.0.1" }, { version: "1.0.0", current: true }] },
    { items: expect.any(Array) },
  ]);
  const reasons = lines[8].items.map(({ reason }: { reason?: string }) => reason);
  expect(reasons).toEqual(expect.arrayContaining(["first", "faster", "too fast"]));

  const [imports] = await scriptsOf(guide, "Import and export");
  const [dry = "", wet = "", ...exported] = await bash(here(imports));
  expect(JSON.parse(dry)).toMatchObject({ dryRun: true, results: [{ action: "created" }, { action: "created" }] });
  expect(JSON.parse(wet)).toMatchObject({ dryRun: false, results: [{ current: true }, { current: true }] });
  expect(readDefinitions(exported.join("\n"))).toMatchObject([{ id: "front-desk", faults: [] }]);

  const [follow] = await scriptsOf(guide, "Following what is current");
  expect(await bash(here(follow))).toEqual(["304"]);
});

test("the commands it shows for a folder are the loader's", async () => {
  const [folder = ""] = await scriptsOf(guide, "A folder of them");
  const [dry, wet] = folder
    .trim()
    .split("\n")
    .map((line) => line.split(" -- ")[1]?.split(" ") ?? []);
  const [path = "", ...args] = dry ?? [];
  expect((await load(service.url, path, args)).lines.at(-1)).toMatch(/created \(dry run: nothing was written\)$/);
  expect(wet).toEqual([path]);
});

test("its loop applies each version that becomes current, and each once", async () => {
  await make.published({ metadata: { id: "greeter" } });
  const [, loop = ""] = /```js\n(.*?)```/s.exec(await readFile(guide, "utf8")) ?? [];
  const apply = "const apply = (version, { skills }) => console.log(version, skills.join());";
  const child = spawn(process.execPath, ["--input-type=module", "-e", `${apply}\n${loop}`], {
    env: { ...process.env, CAMS_URL: service.url },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let applied = "";
  child.stdout.on("data", (data) => (applied += data));
  await expect.poll(() => applied).toBe("1.0.0 \n");
  const change = { "content-type": "application/merge-patch+json" };
  await service.raw("PATCH", "/v1/definitions/greeter", '{"skills":["draft"]}', change);
  await service.raw("PATCH", "/v1/definitions/greeter?publish=true", '{"skills":["new"]}', change);
  await expect.poll(() => applied).toBe("1.0.0 \n1.0.2 new\n");
});
