import fc from "fast-check";
import type { Endpoint } from "../../shared/http/endpoint.ts";
import type { BodyForm } from "../../shared/http/forms.ts";
import { formsOf } from "../../shared/http/request.ts";
import { mutationsOf } from "./nasty.ts";

/** What is sent in place of a right body in JSON. */
export interface Sent {
  headers: Record<string, string>;
  body: string | Uint8Array<ArrayBuffer>;
}

const json = { "content-type": "application/json" };
const event = { specversion: "1.0", id: "1", source: "/tests", type: "test.sent", subject: "s", tenant: "t", data: {} };

/** Right bodies of the forms that have a schema of their own, by their media type. */
const right: Record<string, unknown> = {
  "application/cloudevents+json": event,
  "application/cloudevents-batch+json": [event, { ...event, id: "2" }],
};

/** Right bodies made wrong, in each form of JSON that the endpoint takes. */
export function wrongBodies(endpoint: Endpoint): fc.Arbitrary<(body: unknown) => Sent> {
  const own = (endpoint.forms ?? []).filter(({ type }) => type in right);
  return fc.oneof(
    mutationsOf(endpoint).map((mutate) => (body: unknown) => ({ headers: json, body: mutate(body) })),
    ...own.map(({ type, described }) =>
      mutationsOf({ ...endpoint, ...(described && { body: described }) }).map((mutate) => () => ({
        headers: { "content-type": type },
        body: mutate(right[type]),
      })),
    ),
  );
}

/** Headers by which a body is taken for one form or another. */
export function headersOf(endpoint: Endpoint): fc.Arbitrary<Record<string, string>> {
  return fc.oneof(...formsOf(endpoint).map(headersOfForm));
}

const pieces = ["%", "%00", "%C0%80", "%ED%A0%80", "%F0%9F%98%80", '"', "\\", "a", "1.0", "/", ".", "é", "\t", " "];
const value = fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((all) => all.join("").trim());

function headersOfForm({ type, headers }: BodyForm): fc.Arbitrary<Record<string, string>> {
  if (!headers) return fc.constant({ "content-type": type });
  const names = [...Object.keys(headers), "ce-tenant", "ce-data", "ce-__proto__"];
  const types = fc.constantFrom("application/json", "text/plain", "application/octet-stream", "/;=");
  const some = fc.uniqueArray(fc.tuple(fc.constantFrom(...names), value), { maxLength: 6, selector: ([name]) => name });
  // Right ones below, or hardly any would come further than to be refused.
  const known = Object.entries({ ...event, data: undefined }).flatMap(([name, text]) =>
    text ? [[`ce-${name}`, text]] : [],
  );
  return fc
    .tuple(types, some, fc.boolean())
    .map(([type, chosen, isRight]) =>
      Object.fromEntries([
        ["content-type", type],
        ...(isRight ? known : []),
        ...(isRight ? chosen.slice(0, 1) : chosen),
      ]),
    );
}
