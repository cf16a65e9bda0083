import { expect, test } from "vitest";
import * as z from "zod";
import { defineEndpoint } from "../../../shared/http/endpoint.ts";
import { startApp } from "./app.ts";

let made = 0;
const things = defineEndpoint({
  name: "test-things",
  method: "POST",
  path: "/test/{shelf}/things",
  summary: "Makes a thing on a shelf",
  role: "agent",
  params: z.strictObject({ shelf: z.string() }),
  query: z.strictObject({ colour: z.string().optional() }),
  status: 201,
  returns: z.strictObject({ thing: z.int() }),
  location: ({ thing }) => `/test/things/${thing}`,
  idempotent: true,
  errors: [],
  handler: async () => ({ thing: ++made }),
});

test("a key stands for a path, a query and a body: with another of them it is 409", async () => {
  const app = await startApp({ own: [things] });
  const headers = { "idempotency-key": "k" };
  const first = await app.post("/test/a/things?colour=red", undefined, headers);
  expect(await app.post("/test/a/things?colour=red", undefined, headers)).toMatchObject({ body: first.body });
  for (const path of ["/test/b/things?colour=red", "/test/a/things?colour=blue", "/test/a/things"])
    expect(await app.post(path, undefined, headers)).toMatchObject({
      status: 409,
      body: { code: "idempotency_key_reused" },
    });
  expect(made).toBe(1);
});
