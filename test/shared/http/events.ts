import { once } from "node:events";
import { type OutgoingHttpHeaders, request } from "node:http";
import { http } from "@google-cloud/functions-framework";
import { getTestServer } from "@google-cloud/functions-framework/testing";
import { afterAll, beforeAll } from "vitest";
import * as z from "zod";
import { compose } from "../../../functions/compose.ts";
import { listen } from "../../../scripts/listen.ts";
import { readConfig } from "../../../shared/config.ts";
import { eventForms } from "../../../shared/http/cloudevents.ts";
import { defineEndpoint } from "../../../shared/http/endpoint.ts";
import { takeOver } from "../../../shared/http/takeover.ts";
import { PlainlySaid } from "../../../shared/schemas/cloudevent.ts";
import { createDatabase } from "../../support/database.ts";

let made = 0;

/** Takes events as they are published, and answers what it was given. */
export const echo = defineEndpoint({
  name: "test-events",
  method: "POST",
  path: "/test/events",
  summary: "Answers the events that were sent",
  role: "agent",
  body: PlainlySaid,
  forms: eventForms,
  status: 201,
  returns: z.looseObject({ mode: z.string(), made: z.int() }),
  location: () => "/test/events",
  idempotent: true,
  errors: [],
  handler: async ({ body: { mode, events } }) => ({ mode, events, made: ++made }),
});

export interface EventAnswer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what is in it is what a test asserts
  body: any;
  text: string;
}

export type Post = (headers: OutgoingHttpHeaders, body?: string | Uint8Array) => Promise<EventAnswer>;

/** Serves it both ways for the tests of a file: taken over at the server, and through the framework's Express app. */
export function useEvents(): Record<"server" | "framework", Post> {
  const ways: Partial<Record<"server" | "framework", Post>> = {};
  let close = async () => {};
  beforeAll(async () => {
    const database = await createDatabase();
    const app = await compose(readConfig({ AUTH_MODE: "none", LOG_LEVEL: "ERROR", DATABASE_URL: database.url }));
    const handler = app.serve([echo]);
    http("test", handler);
    const [server, framework] = [getTestServer("test"), getTestServer("test")];
    takeOver(server, handler);
    ways.server = postTo(await listen(server, "127.0.0.1", 0));
    ways.framework = postTo(await listen(framework, "127.0.0.1", 0));
    close = async () => {
      framework.close();
      await app.close(server);
      await database.drop();
    };
  });
  afterAll(() => close());
  const sendBy =
    (way: "server" | "framework"): Post =>
    (headers, body) => {
      const post = ways[way];
      if (!post) throw new Error("the server starts before the first test");
      return post(headers, body);
    };
  return { server: sendBy("server"), framework: sendBy("framework") };
}

/** Headers go out as they are, a character for each byte; a list is a header several times. */
function postTo(url: string): Post {
  return async (headers, body) => {
    const length = { "content-length": body === undefined ? 0 : Buffer.byteLength(body) };
    const asked = request(url + echo.path, { method: "POST", headers: { ...length, ...headers } });
    asked.end(body);
    const [answer] = await once(asked, "response");
    let text = "";
    for await (const data of answer.setEncoding("utf8")) text += data;
    return { status: answer.statusCode, body: JSON.parse(text), text };
  };
}

/** The attributes that every CloudEvent has. */
export const required = { specversion: "1.0", id: "1", source: "/orders", type: "order.created" };

/** Attributes as the headers of binary mode. */
export const ce = (attributes: Record<string, string | string[]>) =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]));

export const STRUCTURED = { "content-type": "application/cloudevents+json" };
export const BATCH = { "content-type": "application/cloudevents-batch+json" };
export const JSON_TYPE = { "content-type": "application/json" };
