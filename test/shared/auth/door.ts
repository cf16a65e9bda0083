import { once } from "node:events";
import { createServer, type OutgoingHttpHeaders, request } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import type { Directory, Registered, StoredKey } from "../../../shared/auth/directory.ts";
import { createGate } from "../../../shared/auth/gate.ts";
import { readConfig } from "../../../shared/config.ts";
import { answerOf, problemOf, send } from "../../../shared/http/answer.ts";
import type { Role } from "../../../shared/rules/access.ts";

/** Principals and keys in memory; counts what it is asked. */
export interface FakeDirectory extends Directory {
  principals: Map<string, Registered>;
  keys: Map<string, StoredKey>;
  asked: string[];
  /** Before it answers, having looked. */
  slowly: () => Promise<void>;
}

export function fakeDirectory(): FakeDirectory {
  const directory: FakeDirectory = {
    principals: new Map(),
    keys: new Map(),
    asked: [],
    slowly: async () => {},
    async principal(id) {
      directory.asked.push(id);
      const found = directory.principals.get(id);
      await directory.slowly();
      return found;
    },
    async key(keyId) {
      directory.asked.push(keyId);
      const found = directory.keys.get(keyId);
      await directory.slowly();
      return found;
    },
  };
  return directory;
}

/** What came of a call: the caller, or the problem. */
export interface Outcome {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what is in it is what a test asserts
  body: any;
  headers: Record<string, string | string[] | undefined>;
}

export interface Door {
  directory: FakeDirectory;
  /** Calls with these headers, as they stand and in this order: an array for one header sends it so many times. */
  call(headers?: Record<string, string | string[] | undefined>, role?: Role): Promise<Outcome>;
  register(principal: string, role?: Registered["role"], more?: Partial<Registered>): void;
}

/** A gate behind a real socket, until the test ends; it answers who was let in. */
export async function startDoor(
  env: Record<string, string> = {},
  settings: Parameters<typeof createGate>[1] = {},
): Promise<Door> {
  const config = readConfig({ DATABASE_URL: "postgresql://nobody@127.0.0.1:1/none", ...env });
  const gate = createGate(config, { cooldownMs: 0, failureMs: 0, timeoutMs: 500, ...settings });
  const directory = fakeDirectory();
  const server = createServer(async (req, res) => {
    try {
      const caller = await gate.admit(req, (req.url ?? "/").slice(1) as Role, directory, () => {});
      send(res, "id", { status: 200, headers: {}, body: caller }, false);
    } catch (error) {
      send(res, "id", answerOf(problemOf(error), "id"), false);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return {
    directory,
    async call(headers = {}, role = "agent") {
      const req = request({ port, path: `/${role}`, headers: headers as OutgoingHttpHeaders, agent: false }).end();
      const [res] = await once(req, "response");
      return { status: res.statusCode, headers: res.headers, body: JSON.parse(await text(res)) };
    },
    register: (principal, role = "agent", more = {}) =>
      void directory.principals.set(principal, { principal, role, addresses: [`${principal}/*`], ...more }),
  };
}

/** Expects 401, and answers why. */
export function refusal({ status, body, headers }: Outcome): string {
  if (status !== 401) throw new Error(`expected 401, got ${status} ${JSON.stringify(body)}`);
  if (headers["www-authenticate"] !== 'Bearer realm="cams"') throw new Error("401 without WWW-Authenticate");
  if (body.code !== "unauthenticated") throw new Error(`401 with ${body.code}`);
  return body.detail;
}
