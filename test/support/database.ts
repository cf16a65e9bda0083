import { randomUUID } from "node:crypto";
import { inject } from "vitest";
import { databaseUrl, run } from "./global-setup.ts";

/** A database of its own, cloned from the migrated template (or empty), gone with `drop`. */
export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
}

export async function createDatabase(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  const adminUrl = inject("adminUrl");
  const name = `cams_test_${randomUUID().replaceAll("-", "")}`;
  await run(adminUrl, `create database ${name} template ${options.empty ? "template0" : inject("template")}`);
  return {
    url: databaseUrl(adminUrl, name),
    drop: async () => void (await run(adminUrl, `drop database if exists ${name} with (force)`)),
  };
}
