import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { useService } from "./support/service.ts";

const service = useService();

test("README's curl lines work as printed: registered, sent, pulled, acknowledged", async () => {
  const lines = (await readFile("README.md", "utf8")).split("\n").filter((line) => line.startsWith("curl "));
  expect(lines).toHaveLength(5);
  const script = lines.join("\n").replaceAll("localhost:8080", new URL(service.url).host);
  const cwd = await mkdtemp(join(tmpdir(), "cams-readme-"));
  const { stdout } = await promisify(execFile)("bash", ["-euc", script], { cwd });
  await rm(cwd, { recursive: true });
  const [registered, sent, pulled, acknowledged, listed] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(registered).toMatchObject({ aiAgentAddress: "bob@example", status: "ACTIVE" });
  expect(pulled.messages).toMatchObject([{ messageId: sent.messageId, payload: { hello: "bob" } }]);
  expect(acknowledged).toEqual({ acknowledged: [sent.messageId], refused: [] });
  expect(listed.items).toMatchObject([{ messageId: sent.messageId, status: "ACKNOWLEDGED" }]);
});

test("every file that a document links to is there", async () => {
  const documents = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    "docs/delivery.md",
    "docs/authentication.md",
  ];
  for (const document of documents) {
    const text = await readFile(document, "utf8");
    const links = [...text.matchAll(/\]\((?!http)([^)#]+)\)/g)].map(([, target = ""]) => target);
    for (const target of links) expect(existsSync(join(dirname(document), target)), target).toBe(true);
  }
});
