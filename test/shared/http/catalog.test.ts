import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { endpoints } from "../../../functions/index.ts";
import { functionsCatalog, rightsOf } from "../../../shared/http/catalog.ts";
import { defineEndpoint, type Endpoint } from "../../../shared/http/endpoint.ts";
import { delivery } from "../../../shared/services/delivery.ts";
import { secrets } from "../../../shared/services/secrets.ts";
import { startApp } from "./app.ts";

const endpoint = (own: Partial<Endpoint>) => ({
  ...defineEndpoint({
    name: "test-own",
    method: "GET",
    path: "/test/own",
    summary: "Does what a test wants",
    role: "agent",
    status: 204,
    errors: [],
    handler: async () => {},
  }),
  ...own,
});

describe("the account a function runs as", () => {
  for (const [own, account, databaseRole] of [
    [{ role: "public", databaseRole: "none" }, "public", null],
    [{ role: "public" }, "reader", "cams_reader"],
    [{ role: "agent" }, "agent", "cams_agent"],
    [{ role: "agent", needs: { secrets } }, "registry", "cams_agent"],
    [{ role: "admin" }, "operator", "cams_operator"],
    [{ role: "system" }, "system", "cams_system"],
    [{ role: "system", needs: { secrets } }, "delivery", "cams_system"],
    [{ role: "system", databaseRole: "cams_migrator" }, "migrator", "cams_migrator"],
  ] as [Partial<Endpoint>, string, string | null][])
    test(`${own.role}${own.needs ? " with the secrets' key" : ""}${own.databaseRole ? `, ${own.databaseRole}` : ""}: ${account}`, () => {
      expect(functionsCatalog([endpoint(own)])["test-own"]).toMatchObject({ account, database_role: databaseRole });
    });

  test("there is none that serves agents and publishes", () => {
    expect(() => functionsCatalog([endpoint({ role: "agent", needs: { delivery } })])).toThrow(
      "no account has what test-own needs: pubsub, secrets",
    );
  });
});

test("a right in the cloud comes with the service that needs it", () => {
  const withRights = endpoints.flatMap((endpoint) =>
    rightsOf(endpoint).length > 0 ? [[endpoint.name, ...rightsOf(endpoint)]] : [],
  );
  expect(withRights).toEqual([
    ["inboxes-register", "secrets"],
    ["inboxes-update", "secrets"],
    ["inboxes-rotate-secret", "secrets"],
    ["messages-deliver", "pubsub", "secrets"],
    ["system-retention", "secrets"],
  ]);
});

test("only services read the key or publish: whoever else imports them would do it without the right", async () => {
  const importers = [];
  for (const file of globSync("{functions,shared}/**/*.ts"))
    if (/from "[^"]*\/(vault|pubsub)\.ts"/.test((await readFile(file, "utf8")).replaceAll(/import type[^;]*;/g, "")))
      importers.push(file);
  expect(importers.filter((file) => !/^shared\/(services|outbound)\//.test(file))).toEqual([]);
  expect(importers).toContain("shared/services/delivery.ts");
});

test("500 where an endpoint waits without having declared that it listens: nobody counted its connection", async () => {
  const waits = endpoint({ handler: ({ wait }) => wait("topic", 1, async () => undefined) });
  const declared = endpoint({
    name: "test-declared",
    path: "/test/declared",
    runtime: { ...waits.runtime, listens: true },
    handler: ({ wait }) => wait("topic", 0, async () => undefined),
  });
  const app = await startApp({ env: { LOG_LEVEL: "ERROR" }, own: [waits, declared] });
  expect(await app.get("/test/own")).toMatchObject({ status: 500, body: { code: "internal" } });
  expect((await app.get("/test/declared")).status).toBe(204);
});
