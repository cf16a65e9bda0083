import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { useGuardedService } from "./support/callers.ts";
import { bash, scriptsOf } from "./support/guides.ts";
import { makerFor } from "./support/make.ts";
import { startProcess } from "./support/process.ts";
import { useService } from "./support/service.ts";

const service = useService();
const guarded = useGuardedService();

test("README's curl lines work as printed: registered, sent, pulled, acknowledged", async () => {
  const lines = (await readFile("README.md", "utf8")).split("\n").filter((line) => line.startsWith("curl "));
  expect(lines).toHaveLength(5);
  const script = lines.join("\n").replaceAll("localhost:8080", new URL(service.url).host);
  const [registered, sent, pulled, acknowledged, listed] = (await bash(script)).map((line) => JSON.parse(line));
  expect(registered).toMatchObject({ aiAgentAddress: "bob@example", status: "ACTIVE" });
  expect(pulled.messages).toMatchObject([{ messageId: sent.messageId, payload: { hello: "bob" } }]);
  expect(acknowledged).toEqual({ acknowledged: [sent.messageId], refused: [] });
  expect(listed.items).toMatchObject([{ messageId: sent.messageId, status: "ACKNOWLEDGED" }]);
});

test("docs/authentication.md: from no credentials to keys on one's own machine, and the scheduler goes on", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cams-readme-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 20 }));
  const [before = "", after = ""] = await scriptsOf("docs/authentication.md", "On your own machine");
  const at = (url: string, script: string) => script.replaceAll("localhost:8080", new URL(url).host);

  const open = await startProcess({ CAMS_DATA_DIR: folder });
  const [put = "", adminKey = ""] = await bash(`${at(open.url, before)}echo "$ADMIN_KEY"`);
  expect(JSON.parse(put)).toMatchObject({ principalId: "me", role: "admin" });
  expect(open.output()).not.toContain("X-Cams-Key");
  expect(await open.end("SIGINT")).toBe(0);

  const closed = await startProcess({ CAMS_DATA_DIR: folder, AUTH_MODE: "oidc", LOG_LEVEL: "INFO" });
  const lines = await bash(`${at(closed.url, after)}echo "$CAMS_KEY"`, { ADMIN_KEY: adminKey });
  const camsKey = lines.pop() as string;
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { principalId: "bob", role: "agent" },
    { code: "unauthenticated" },
    { code: "forbidden", detail: "bob does not speak for eve@example." },
    { aiAgentAddress: "bob@example" },
    { items: [{ actor: "bob", action: "created", resourceId: "bob@example" }] },
  ]);
  for (const path of ["agent-health-sweep", "system/retention"])
    await expect.poll(closed.output).toContain(`POST /v1/${path} 200`);

  // What is printed as something to try works too, with the key that may.
  const tries = closed.output().match(/^ {2}curl .*$/gm) ?? [];
  expect(tries).toHaveLength(4);
  const tried = (await bash(tries.join("\n"), { CAMS_KEY: adminKey })).map((line) => JSON.parse(line));
  expect(tried).toMatchObject([
    { aiAgentAddress: "me@example" },
    { status: "QUEUED" },
    { messages: [{ attempt: 1 }] },
    { items: [] },
  ]);
  const refused = (await bash(tries.join("\n"), { CAMS_KEY: camsKey })).map((line) => JSON.parse(line));
  expect(refused).toMatchObject([{ code: "forbidden" }, { code: "forbidden" }, { code: "forbidden" }, { items: [] }]);
  expect(await closed.end("SIGINT")).toBe(0);
});

test("docs/audit.md: its commands run, and the entry it shows is as entries are", async () => {
  const make = makerFor(guarded.service);
  await make.principal({ principalId: "bob", addresses: ["bob@example"] });
  await make.principal({ principalId: "me", role: "admin" });
  const [bob, me] = [await make.key("bob"), await make.key("me")].map(({ key }) => ({ "x-cams-key": key }));
  const inbox = { aiAgentAddress: "bob@example", inboxDestinationType: "PULL_QUEUE" };
  expect((await guarded.service.post("/v1/agent-inboxes", inbox, bob)).status).toBe(201);
  expect((await guarded.service.put("/v1/agent-inboxes/bob@example", { ownerTeam: "sales" }, me)).status).toBe(200);

  const [script = ""] = await scriptsOf("docs/audit.md", "Reading it");
  const lines = await bash(script, { CAMS: guarded.service.url, CAMS_KEY: me?.["x-cams-key"] as string });
  const [ofBob, byMe, newest, second, verified] = lines.map((line) => JSON.parse(line));
  expect(ofBob.items).toMatchObject([{ action: "updated" }, { action: "created" }]);
  expect(byMe.items).toEqual([ofBob.items[0]]);
  expect([newest.items, second.items]).toEqual([[ofBob.items[0]], [ofBob.items[1]]]);
  expect(verified).toMatchObject({ valid: true, head: { hash: ofBob.items[0].hash } });

  const shown = JSON.parse(/```json\n(.*?)```/s.exec(await readFile("docs/audit.md", "utf8"))?.[1] ?? "");
  const { actor, action, resourceType, resourceId, ownerTeam, source } = ofBob.items[0];
  expect(shown).toMatchObject({ actor, action, resourceType, resourceId, ownerTeam, source });
  expect(Object.keys(shown).toSorted()).toEqual(Object.keys(ofBob.items[0]).toSorted());
  for (const state of ["before", "after"])
    expect(Object.keys(shown[state]).toSorted()).toEqual(Object.keys(ofBob.items[0][state]).toSorted());
});

test("every file that a document links to is there", async () => {
  const documents = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    "docs/agents.md",
    "docs/delivery.md",
    "docs/events.md",
    "docs/schedules.md",
    "docs/tasks.md",
    "docs/authentication.md",
    "docs/audit.md",
    "docs/definitions.md",
    "docs/configuration.md",
    "docs/deploy.md",
  ];
  for (const document of documents) {
    const text = await readFile(document, "utf8");
    const links = [...text.matchAll(/\]\((?!http)([^)#]+)(?:#[^)]*)?\)/g)].map(([, target = ""]) => target);
    for (const target of links) expect(existsSync(join(dirname(document), target)), target).toBe(true);
  }
});
