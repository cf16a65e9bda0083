import { describe, expect, test } from "vitest";
import { endpoints } from "../../functions/index.ts";
import { type Call, casesOf, kitFor, pathOf, perform } from "../support/cases/index.ts";
import type { Answer } from "../support/client.ts";
import { useService } from "../support/service.ts";
import { oneOfEach, typesOf } from "./samples.ts";
import { tablesOf } from "./tables.ts";

const service = useService();
const kit = kitFor(service);

const MIB = 1024 * 1024;
const json = { "content-type": "application/json" };
const invalid = (pointer: string) => ({
  status: 400,
  body: { code: "invalid_request", errors: expect.arrayContaining([expect.objectContaining({ pointer })]) },
});

// What is before all endpoints is told these of one, so it is tried in full at one of each; at each one in its main points.
const samples = oneOfEach(({ method, body, forms }) => [method, body !== undefined, typesOf(forms)]);

describe.each(endpoints.map((endpoint) => [endpoint.name, endpoint] as const))("%s", (_, endpoint) => {
  const ofAll = <T>(cases: T[], needed: number) => (samples.has(endpoint) ? cases : cases.slice(0, needed));

  test("400 naming each query parameter that there is not, every fault at once; 405 with Allow to every other method", async () => {
    const call = await casesOf(endpoint).success(kit);
    const before = await tablesOf(service);
    for (const name of ofAll(["unknown", "__proto__", "PageSize", "constructor", "toString", "", "%00"], 2)) {
      const answer = await perform(kit, endpoint, { ...call, query: { ...call.query, [name]: "1" } });
      expect(answer).toMatchObject(invalid(`/${name}`));
    }

    const query = { ...call.query, first: "1", second: "2" };
    // What kind of thing it is says which fields it has.
    const body = { ...(call.body?.kind !== undefined && { kind: call.body.kind }), third: 3 };
    const answer = await perform(kit, endpoint, { ...call, query, ...(call.body && { body }) });
    for (const pointer of ["/first", "/second"]) expect(answer).toMatchObject(invalid(pointer));
    const isFree = endpoint.body?.safeParse(body).success;
    if (endpoint.body && !isFree) expect(answer).toMatchObject(invalid("/third"));

    const known = endpoints.filter((other) => other.path === endpoint.path).map(({ method }) => method);
    const allowed = known.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).toSorted();
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].filter(
      (method) => !allowed.includes(method),
    )) {
      const answer = await service.raw(method, pathOf(endpoint, call), undefined);
      expect(answer, method).toMatchObject({ status: 405, body: { code: "method_not_allowed" } });
      expect(answer.headers.get("allow")?.split(", ").toSorted()).toEqual(allowed);
    }
    expect(await tablesOf(service)).toEqual(before);
  });

  if (endpoint.method === "GET") return;

  const sized = (size: number) => `{${" ".repeat(size - 2)}x`;
  const malformed = [
    "{",
    new Uint8Array(Buffer.from('{"a":"\xe4"}', "latin1")),
    '{"a":1',
    "{'a':1}",
    "{a:1}",
    "[1,]",
    "nul",
    "NaN",
    "Infinity",
    '"\u0001"',
    '{"a":\u00a01}',
    "{}{}",
    // Not 413: a body may have as much.
    sized(MIB),
  ];

  /** Lets bodies be sent in the place of the right one, and sees that nothing has changed. */
  async function changesNothing(
    act: (
      send: (body: string | Uint8Array<ArrayBuffer>, headers?: Record<string, string>) => Promise<Answer>,
      right: Call,
    ) => Promise<void>,
  ): Promise<void> {
    const right = await casesOf(endpoint).success(kit);
    const before = await tablesOf(service);
    const path = pathOf(endpoint, right);
    await act((body, headers = json) => service.raw(endpoint.method, path, body, headers), right);
    expect(await tablesOf(service)).toEqual(before);
  }

  test("413 to more than 1 MiB; 415 to a type that is not JSON, a charset that is not UTF-8, and a compressed body", async () => {
    await changesNothing(async (send) => {
      for (const body of ofAll([sized(MIB + 1), sized(4 * MIB)], 1))
        expect(await send(body)).toMatchObject({ status: 413, body: { code: "body_too_large" } });
      const unsupported = { status: 415, body: { code: "unsupported_media_type" } };
      const others = [
        "application/yaml",
        "application/cloudevents+json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json5",
        "",
      ];
      const taken = typesOf(endpoint.forms);
      const types = others.filter((type) => type === "" || !taken.includes(type));
      for (const type of ofAll([...types, "application/json; charset=latin1"], 2))
        expect(await send("{}", { "content-type": type }), type).toMatchObject(unsupported);
      expect(await send("{}", { ...json, "content-encoding": "gzip" })).toMatchObject(unsupported);
    });
  });

  test("success in UTF-8 whatever way its content type is written", async () => {
    for (const type of ofAll(['APPLICATION/JSON;charset="UTF-8"', "application/json; charset=utf-8"], 1)) {
      const call = await casesOf(endpoint).success(kit);
      const answer = await perform(kit, endpoint, { body: {}, ...call }, { "content-type": type });
      expect(answer.status, JSON.stringify(answer.body)).toBe(endpoint.status);
    }
  });

  // What takes lists of anything has a result for each, and refuses none.
  if (endpoint.body?.safeParse([]).success) return;

  test("400 to what is no JSON, not UTF-8 or no object, and naming the body's field that there is not", async () => {
    await changesNothing(async (send, right) => {
      for (const body of ofAll(malformed, 2))
        expect(await send(body)).toMatchObject({ status: 400, body: { code: "malformed_json" } });
      for (const body of ["[]", "[[]]", "[{}]", "null", "true", "0", '"{}"', '""'])
        expect(await send(body), body).toMatchObject({ status: 400, body: { code: "invalid_request" } });
      const fields = JSON.stringify(right.body ?? {}).slice(1, -1);
      for (const name of ["unknown", "constructor", "toString", "__proto__"]) {
        const answer = await send(`{"${name}":{"admin":true}${fields && ","}${fields}}`);
        expect(answer, name).toMatchObject(invalid(endpoint.body ? `/${name}` : ""));
      }
    });
  });
});
