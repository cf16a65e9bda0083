import { globSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyDefinition } from "../support/definitions.ts";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { definitionCalls } from "./definition-calls.ts";

const service = useService();
const make = makerFor(service);
const { get, ...calls } = definitionCalls(service);

type Result = { id: string; version: string; action: string; warnings?: object[]; current?: boolean };

test("every example is imported without a warning, and what is exported of it is unchanged", async () => {
  const files = globSync("examples/definitions/*.yaml").toSorted();
  const text = files.map((file) => readFileSync(file, "utf8")).join("\n---\n");
  const imported: Result[] = (await calls.import(text, "?publish=true")).body.results;
  expect(imported.length).toBeGreaterThan(files.length);
  for (const { id, version, ...result } of imported) {
    expect({ id, ...result }).toEqual({ id, action: "created", status: "PUBLISHED", current: true });
    const exported = await get(id, "/export");
    expect(exported.headers.get("content-type")).toBe("application/yaml");
    expect(exported.headers.get("content-disposition")).toBe(`attachment; filename="${id}-${version}.yaml"`);
    expect((await calls.import(exported.body, "?publish=true")).body.results).toMatchObject([
      { id, action: "unchanged" },
    ]);
    expect((await get(id, "/export")).body).toBe(exported.body);
  }
});

test("generated documents, whatever is in them, are unchanged when what is exported is imported", async () => {
  const documents = fc.sample(anyDefinition, { seed: 20_261_121, numRuns: 150 });
  const distinct = documents.map((document, n) => ({
    ...document,
    metadata: { ...document.metadata, id: `agent-${n}` },
  }));
  const created: Result[] = (await calls.import(distinct)).body.results;
  expect(new Set(created.map(({ action }) => action))).toEqual(new Set(["created"]));
  const exported = await Promise.all(
    created.map(async ({ id, version }) => (await get(id, `/export?version=${version}`)).body as string),
  );
  const again: Result[] = (await calls.import(exported.join("---\n"))).body.results;
  expect(again).toHaveLength(distinct.length);
  expect(again.filter(({ action }) => action !== "unchanged")).toEqual([]);
});

test("the current version is exported, or the one asked for", async () => {
  await make.published({ metadata: { id: "echo" } });
  await make.definition({ metadata: { id: "echo", version: "2.0.0" } });
  expect((await get("echo", "/export")).body).toContain("version: 1.0.0\n");
  expect((await get("echo", "/export?version=2.0.0")).body).toContain("version: 2.0.0\n");
});
