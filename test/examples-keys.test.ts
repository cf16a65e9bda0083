import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { useGuardedService } from "./support/callers.ts";
import { runnerFor } from "./support/example.ts";
import { makerFor } from "./support/make.ts";

const { service } = useGuardedService();
const run = runnerFor(service);
const make = makerFor(service);

/** A key that speaks for these addresses alone. */
async function keyFor(...addresses: string[]): Promise<string> {
  const { principalId } = await make.principal({ addresses: ["*"] });
  return (await make.key(principalId, { addresses })).key;
}

test("with keys limited to their addresses, the echo agent replies to ask, and each is named as who it is", async () => {
  const echo = run("echo-agent.ts", [], { CAMS_KEY: await keyFor("echo@example") });
  await echo.line(/reported HEALTHY/);
  const ask = run("ask.ts", ["echo@example", "Who are you?"], { CAMS_KEY: await keyFor("ask-*@example") });
  expect(await ask.ended, ask.lines.join("\n")).toBe(0);
  expect(ask.lines.at(-1)).toMatch(/^ask: echo@example replied after \d+ ms: Who are you\?$/);
  echo.kill("SIGTERM");
  expect(await echo.ended).toBe(0);
  expect(echo.lines.slice(-2)).toEqual(["echo@example: reported UNHEALTHY", "echo@example: stopped"]);
  const { body } = await service.get("/v1/audit?resourceType=inbox");
  expect(body.items.map(({ action }: { action: string }) => action)).toEqual(["deleted", "created", "created"]);
  expect(new Set(body.items.map(({ actor }: { actor: string }) => actor)).size).toBe(2);
});

test("with a key for its address the webhook's agent registers and reports", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cams-webhook-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const env = { CAMS_KEY: await keyFor("webhook@example"), SECRET_FILE: join(folder, "secret"), WEBHOOK_PORT: "0" };
  await run("webhook-agent.ts", [], env).line(/reported HEALTHY/);
});

test("no key, a wrong one, and one for another address: one line and exit code 1", async () => {
  const other = await keyFor("other@example");
  for (const [script, register] of [
    ["echo-agent.ts", "echo@example: cannot register: "],
    ["ask.ts", "ask: "],
    ["worker-agent.ts", "worker-1: cannot register: "],
    ["webhook-agent.ts", `webhook@example: POST ${service.url}/v1/agent-inboxes: `],
  ] as const)
    for (const [key, told] of [
      ["", /^unauthenticated:? Send a credential.* Is CAMS_KEY right\?$/],
      ["cams_nonsense", /^unauthenticated:? The API key is not valid\. Is CAMS_KEY right\?$/],
      [other, /^forbidden:? This key of principal-\w+@corp\.example does not speak for (\S+@example|worker-1)\.$/],
    ] as const) {
      const example = run(script, [], { CAMS_KEY: key, WEBHOOK_PORT: "0" });
      expect(await example.ended).toBe(1);
      expect(example.lines).toHaveLength(1);
      const [line = ""] = example.lines;
      expect(line.slice(0, register.length)).toBe(register);
      expect(line.slice(register.length)).toMatch(told);
    }
});

test("a key that is revoked while the agent runs is told in one line, and the agent still ends well", async () => {
  const { principalId } = await make.principal({ addresses: ["echo@example"] });
  const { key, keyId } = await make.key(principalId);
  const echo = run("echo-agent.ts", [], { CAMS_KEY: key });
  await echo.line(/reported HEALTHY/);
  expect((await service.delete(`/v1/principals/${principalId}/keys/${keyId}`)).status).toBe(204);
  await echo.line(/^echo@example: cannot pull: unauthenticated: The API key is not valid\. Is CAMS_KEY right\?$/);
  echo.kill("SIGTERM");
  expect(await echo.ended).toBe(0);
  expect(echo.lines.at(-1)).toBe("echo@example: stopped");
});
