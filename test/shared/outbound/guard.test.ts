import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import { get } from "node:https";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createGuard } from "../../../shared/outbound/guard.ts";
import { type NameServer, startNameServer } from "../../support/name-server.ts";

let dns: NameServer;
beforeAll(async () => {
  dns = await startNameServer();
});
afterAll(() => dns.close());

/** What a connection is told when it asks for a name. */
function resolve(
  host: string,
  all: boolean,
): Promise<{ error: Error | null; found: unknown; family?: number | undefined }> {
  const { lookup } = createGuard({ servers: [dns.address], insecure: false });
  return new Promise((done) =>
    lookup?.(host, { all }, (error, found, family) =>
      done({ error, found: found as string | LookupAddress[], family }),
    ),
  );
}

test("a connection is told the addresses that were checked, as it asks for them", async () => {
  dns.names.set("two.corp.example", ["8.8.8.8", "2606:4700::1111"]);
  expect(await resolve("two.corp.example", true)).toMatchObject({
    error: null,
    found: [
      { address: "8.8.8.8", family: 4 },
      { address: "2606:4700::1111", family: 6 },
    ],
  });
  expect(await resolve("two.corp.example", false)).toMatchObject({ error: null, found: "8.8.8.8", family: 4 });
  dns.names.set("six.corp.example", ["2606:4700::1111"]);
  expect(await resolve("six.corp.example", false)).toMatchObject({ found: "2606:4700::1111", family: 6 });
});

test.each([[true], [false]])(
  "a connection to a name with a private address among others fails (all: %s)",
  async (all) => {
    dns.names.set("mixed.corp.example", ["8.8.8.8", "10.0.0.1"]);
    expect((await resolve("mixed.corp.example", all)).error).toMatchObject({ code: "FORBIDDEN_ADDRESS" });
  },
);

test("a name is asked for once for a connection, which goes nowhere else", async () => {
  dns.names.set("once.corp.example", ["127.0.0.1"]);
  dns.asked.length = 0;
  const { lookup } = createGuard({ servers: [dns.address], insecure: false });
  const request = get("https://once.corp.example/", { lookup });
  const [error] = await once(request, "error");
  expect(error).toMatchObject({ code: "FORBIDDEN_ADDRESS" });
  expect(dns.asked).toEqual(["once.corp.example", "once.corp.example"]);
});
