import { once } from "node:events";
import { symlink } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { useGuardedService } from "../support/callers.ts";
import { addTo, agent, folderOf, load, team } from "../support/definitions-folder.ts";
import { useService } from "../support/service.ts";

const service = useService();
const guarded = useGuardedService();

const entries = async () => Number((await service.sql("select count(*) as n from cams.audit_log"))[0]?.n);
const versionsOf = async (id: string) =>
  (await service.get(`/v1/definitions/${id}/versions`)).body.items.map(
    ({ version, status, current }: Record<string, unknown>) => `${version} ${status}${current ? " current" : ""}`,
  );

test("a folder is read with the folders in it, told once, and the second time nothing is written", async () => {
  const folder = await folderOf({
    "b/second.yml": `${agent("second")}---\n${agent("third")}`,
    "a.yaml": team("first", "second"),
    "notes.md": "kind: Agent",
    ".hidden/x.yaml": agent("hidden"),
    "node_modules/x/y.yaml": agent("foreign"),
    "empty.yaml": "# nothing yet\n",
  });
  await symlink(join(folder, "b/second.yml"), join(folder, "linked.yaml"));
  await symlink(folder, join(folder, "loop.yaml"));
  expect(await load(service.url, folder)).toEqual({
    code: 0,
    lines: [
      "created   first 1.0.0  current",
      "created   second 1.0.0  current",
      "created   third 1.0.0  current",
      "5 documents: 3 created, 2 unchanged",
    ],
    error: "",
  });
  const before = await entries();
  expect(await load(service.url, folder)).toEqual({ code: 0, lines: ["5 documents: 5 unchanged"], error: "" });
  expect(await entries()).toBe(before);
  expect((await service.get("/v1/definitions/first")).body).toMatchObject({ source: "loader", createdBy: "local" });
});

test("a fault is told with its file and line, and hurts none of its neighbours, however a file begins and ends", async () => {
  const folder = await folderOf({
    "a-quote.yaml": 'kind: Agent\nmetadata: {id: "quote',
    "b-no-end.yaml": agent("without-end").trimEnd(),
    "c-directive.yaml": `%YAML 1.2\n---\n${agent("directive")}...\n`,
    "d-block.yaml": agent("block", "1.0.0", "instructions: |+\n  one\n  two"),
    "e-mark.yaml": `\ufeff${agent("mark")}`,
    "f-values.yaml": `${agent("fine")}---\n${agent("wrong", "1.0.0", "config:\n  timeoutSeconds: 0\n  enabled: 1\n")}`,
    "g-old.yaml": "metadata: {id: old, name: Old, version: 1.0.0}\ntriggers:\n  - type: a b\n",
    "h-anchor.yaml": agent("anchored", "1.0.0", "settings: {a: &a [1], b: *a}\n"),
    "i-team.yaml": team("lonely", "fine", "nobody"),
    "j-warned.yaml": agent("warned", "1.0.0", "subagents:\n  - id: fine\n  - id: nobody\n"),
  });
  const { code, lines } = await load(service.url, folder);
  expect(code).toBe(1);
  expect(lines.filter((line) => !line.startsWith("created"))).toEqual([
    expect.stringMatching(/^invalid {3}quot/),
    '  a-quote.yaml:2:22 is not YAML: Missing closing "quote',
    expect.stringContaining("a-quote.yaml:2:"),
    "invalid   wrong 1.0.0",
    "  f-values.yaml:13:19 /config/timeoutSeconds must be at least 1",
    "  f-values.yaml:14:12 /config/enabled must be true or false",
    "invalid   old 1.0.0",
    expect.stringMatching(/^ {2}g-old.yaml:3:11 \/triggers\/0\/type must be segments/),
    "conflict  lonely 1.0.0",
    "  i-team.yaml:9:5 /members/1 member_unresolved: lonely is not published: nobody has no current version.",
    "  j-warned.yaml:8:5 /subagents/1 warning: nobody has no current version",
    "11 documents: 3 invalid, 7 created, 1 refused",
  ]);
  expect((await service.get("/v1/definitions/block")).body.document.instructions).toBe("one\ntwo\n");
});

test("a file that is too large, or not text, or not there is refused by its name", async () => {
  const folder = await folderOf({
    "large.yaml": `${agent("large")}# ${"x".repeat(1024 * 1024)}\n`,
    "latin.yaml": Buffer.from(agent("latin", "1.0.0", "instructions: \xe9\n"), "latin1"),
    "ok.yaml": agent("ok"),
  });
  await symlink(join(folder, "gone"), join(folder, "gone.yaml"));
  const { code, lines } = await load(service.url, folder);
  expect(code).toBe(1);
  expect(lines).toEqual([
    "invalid   ?",
    expect.stringMatching(/^ {2}gone.yaml ENOENT/),
    "invalid   ?",
    "  large.yaml must be at most 1 MiB",
    "invalid   ?",
    "  latin.yaml must be text in UTF-8",
    "created   ok 1.0.0  current",
    "4 documents: 3 invalid, 1 created",
  ]);
});

test("what is too much for one call goes in two, and a document that is too large alone is told", async () => {
  const fake = await fakeService((documents) => (documents.length > 1 || documents[0] === "b" ? 413 : 200));
  const folder = await folderOf({ "a.yaml": agent("a"), "b.yaml": agent("b"), "c.yaml": agent("c") });
  expect(await load(fake.url, folder)).toMatchObject({
    code: 1,
    lines: [
      "created   a 1.0.0  current",
      "invalid   b 1.0.0",
      "  b.yaml body_too_large: Not so much.",
      "created   c 1.0.0  current",
      "3 documents: 2 created, 1 invalid",
    ],
  });
  expect(fake.asked.map(({ documents }) => documents.join())).toEqual(["a,b,c", "a,b", "a", "b", "c"]);
});

test("1,000 documents come in, and unchanged ones write nothing", async () => {
  const made = Array.from({ length: 1000 }, (_, n) => [`area-${n % 10}/${n}.yaml`, agent(`made-${n}`)]);
  const folder = await folderOf({ ...Object.fromEntries(made), "team.yaml": team("all", "made-0", "made-999") });
  const { code, lines } = await load(service.url, folder);
  expect([code, lines.length, lines.at(-1)]).toEqual([0, 1002, "1001 documents: 1001 created"]);
  const before = await entries();
  expect((await load(service.url, folder)).lines).toEqual(["1001 documents: 1001 unchanged"]);
  expect(await entries()).toBe(before);
});

test("who is referred to is found in whichever call it comes, in a dry run too", async () => {
  const large = `instructions: ${"x".repeat(400_000)}\n`;
  const folder = await folderOf({
    "a.yaml": team("outer", "inner", "leaf"),
    "b.yaml": team("inner", "leaf"),
    "c.yaml": agent("root", "1.0.0", `${large}subagents:\n  - id: leaf\n  - id: ghost\n`),
    "d.yaml": agent("leaf", "1.0.0", `${large}subagents:\n  - id: root\n`),
    "e.yaml": team("lost", "leaf", "ghost"),
  });
  const told = [
    "created   outer 1.0.0  current",
    "created   inner 1.0.0  current",
    "created   root 1.0.0  current",
    "  c.yaml:9:5 /subagents/1 warning: ghost has no current version",
    "created   leaf 1.0.0  current",
    "conflict  lost 1.0.0",
    "  e.yaml:9:5 /members/1 member_unresolved: lost is not published: ghost has no current version.",
  ];
  const counts = "5 documents: 4 created, 1 refused";
  expect((await load(service.url, folder, ["--dry-run"])).lines).toEqual([
    ...told,
    `${counts} (dry run: nothing was written)`,
  ]);
  expect(await entries()).toBe(0);
  expect((await load(service.url, folder)).lines).toEqual([...told, counts]);
});

describe("what was decided otherwise stays", () => {
  const folderWith = async (...texts: string[]) => {
    const folder = await folderOf({ "a.yaml": texts.join("---\n") });
    await load(service.url, folder);
    return folder;
  };

  test("a file edited without a new version is refused, and nothing has changed", async () => {
    const folder = await folderWith(agent("a"));
    const before = await entries();
    await addTo(folder, { "a.yaml": agent("a", "1.0.0", "skills: [more]\n") });
    expect(await load(service.url, folder)).toMatchObject({
      code: 1,
      lines: [
        "conflict  a 1.0.0",
        "  a.yaml:1:1 version_immutable: a 1.0.0 is PUBLISHED with other content: give it another version.",
        "1 document: 1 refused",
      ],
    });
    expect(await entries()).toBe(before);
  });

  test("a new version in the folder becomes current where the folder's was", async () => {
    const folder = await folderWith(agent("a"));
    await addTo(folder, { "a.yaml": agent("a", "1.1.0") });
    expect((await load(service.url, folder)).lines).toEqual(["created   a 1.1.0  current", "1 document: 1 created"]);
  });

  test("and does not where somebody made a version current by a call", async () => {
    const folder = await folderWith(agent("a"));
    const patch = await service.raw("PATCH", "/v1/definitions/a?publish=true", '{"skills":["new"]}', {
      "content-type": "application/merge-patch+json",
    });
    expect(patch.status).toBe(201);
    expect((await load(service.url, folder)).lines).toEqual(["1 document: 1 unchanged"]);
    expect(await versionsOf("a")).toEqual(["1.0.1 PUBLISHED current", "1.0.0 PUBLISHED"]);
    await addTo(folder, { "a.yaml": agent("a", "2.0.0") });
    expect((await load(service.url, folder)).lines).toEqual([
      "created   a 2.0.0  published",
      "  a.yaml:1:1 warning: 1.0.1 stays current, because it was made so by a call",
      "1 document: 1 created",
    ]);
    expect(await versionsOf("a")).toEqual(["2.0.0 PUBLISHED", "1.0.1 PUBLISHED current", "1.0.0 PUBLISHED"]);
  });

  test("what was retired stays retired, a draft somebody made a draft, and a rollback a rollback", async () => {
    const folder = await folderWith(agent("a"), agent("b"), agent("b", "2.0.0"));
    await service.delete("/v1/definitions/a");
    await service.post("/v1/definitions/b/versions/1.0.0/activate", {});
    await service.post("/v1/definitions", { kind: "Agent", metadata: { id: "c", name: "An agent", version: "1.0.0" } });
    await addTo(folder, { "c.yaml": agent("c") });
    const before = await entries();
    expect((await load(service.url, folder)).lines).toEqual([
      "unchanged c 1.0.0  draft",
      "  c.yaml:1:1 warning: stays a draft until it is published by a call",
      "4 documents: 4 unchanged",
    ]);
    expect(await entries()).toBe(before);
    await addTo(folder, { "d.yaml": agent("a", "2.0.0") });
    expect((await load(service.url, folder)).lines).toContainEqual(
      expect.stringContaining("d.yaml:1:1 definition_retired"),
    );
    expect(await versionsOf("a")).toEqual(["1.0.0 PUBLISHED"]);
    expect(await versionsOf("b")).toEqual(["2.0.0 PUBLISHED", "1.0.0 PUBLISHED current"]);
    expect(await versionsOf("c")).toEqual(["1.0.0 DRAFT"]);
  });
});

test("--draft publishes nothing", async () => {
  const folder = await folderOf({ "a.yaml": agent("a") });
  expect((await load(service.url, folder, ["--draft"])).lines[0]).toBe("created   a 1.0.0  draft");
  expect(await versionsOf("a")).toEqual(["1.0.0 DRAFT"]);
  expect((await load(service.url, folder, ["--draft"])).lines).toEqual(["1 document: 1 unchanged"]);
});

test("what may not be meant is told with its place, and of a file that is no YAML ten lines", async () => {
  const folder = await folderOf({
    "a.yaml": agent("a", "1.0.0", "settings:\n  markdown: yes\n  phone: 0800\n"),
    "b.yaml": "]\n".repeat(30),
  });
  const { lines } = await load(service.url, folder);
  expect(lines.slice(0, 3)).toEqual([
    "created   a 1.0.0  current",
    "  a.yaml:7:13 /settings/markdown warning: yes is text in YAML 1.2: write true or false, or put it in quotes",
    "  a.yaml:8:10 /settings/phone warning: is read as 800: put it in quotes to keep its zeros",
  ]);
  expect(lines).toHaveLength(3 + 1 + 10 + 2);
  expect(lines.at(-2)).toBe("  b.yaml: and 20 more");
});

describe("in one line it tells", () => {
  test("that no service is there, that the URL is another's, that there is no such folder, how it is used", async () => {
    const folder = await folderOf({ "a.yaml": agent("a") });
    const { port } = await closedServer();
    const gone = `http://127.0.0.1:${port}`;
    expect(await load(gone, folder)).toMatchObject({
      code: 1,
      error: `definitions:load: ${gone} does not answer (connect ECONNREFUSED 127.0.0.1:${port}): is the service running?`,
    });
    expect((await load(`${service.url}/other`, folder)).error).toMatch(/^definitions:load: route_not_found: .*$/);
    expect((await load("there", folder)).error).toBe("definitions:load: the URL must be http or https, not there");
    expect((await load(service.url, join(folder, "none"))).error).toMatch(/^definitions:load: ENOENT: .*none'$/);
    const empty = await folderOf({ "a.yml": "# later\n", "b.json": "{}" });
    expect(await load(service.url, empty)).toMatchObject({
      code: 1,
      error: expect.stringMatching(/^definitions:load: there is no \*\.yaml or \*\.yml with a document in .*$/),
    });
    const { error } = await load(service.url.replace("http:", "https:"), folder);
    expect(error).toMatch(/^definitions:load: https:.* does not answer \(.*\): is the service running\?$/);
    expect((await load(service.url, folder, ["--help"])).lines[0]).toMatch(/^usage: npm run definitions:load/);
  });

  test("that a key is missing, or not enough", async () => {
    const folder = await folderOf({ "a.yaml": agent("a") });
    const { url } = guarded.service;
    const key = (name: "agent" | "operator") => ({ CAMS_KEY: guarded.key(name)["x-cams-key"] as string });
    expect(await load(url, folder)).toMatchObject({
      code: 1,
      lines: [],
      error: expect.stringMatching(/^definitions:load: unauthenticated: .* Is CAMS_KEY right\?$/),
    });
    expect((await load(url, folder, [], key("agent"))).error).toMatch(/^definitions:load: forbidden: .*operator.*$/);
    expect((await load(url, folder, [], key("operator"))).lines[0]).toBe("created   a 1.0.0  current");
  });

  test("that a service stays busy, which it asks again as late as the service says", async () => {
    let left = 2;
    const fake = await fakeService(() => (left-- > 0 ? 503 : 200));
    const folder = await folderOf({ "a.yaml": agent("a") });
    expect((await load(fake.url, folder)).lines[0]).toBe("created   a 1.0.0  current");
    const [first, , third] = fake.asked;
    expect((third?.at as number) - (first?.at as number)).toBeGreaterThan(1900);
    left = Number.POSITIVE_INFINITY;
    expect(await load(fake.url, folder)).toMatchObject({
      code: 1,
      error: "definitions:load: overloaded: Not so much.",
    });
    expect(fake.asked).toHaveLength(3 + 5);
  });
});

/** Answers an import with the status that `answer` has for its documents' ids. */
async function fakeService(answer: (documents: string[]) => number) {
  const asked: { documents: string[]; at: number }[] = [];
  const server = createServer(async (req, res) => {
    const documents = (await text(req)).match(/(?<="id":")[^"]+/g) ?? [];
    asked.push({ documents, at: performance.now() });
    const status = answer(documents);
    const code = status === 413 ? "body_too_large" : "overloaded";
    const results = documents.map((id) => ({
      id,
      version: "1.0.0",
      action: "created",
      status: "PUBLISHED",
      current: true,
    }));
    res.writeHead(status, { "retry-after": "1", "content-type": "application/json" });
    res.end(JSON.stringify(status === 200 ? { dryRun: false, results } : { code, detail: "Not so much." }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

async function closedServer(): Promise<AddressInfo> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return address;
}
