import { describe, expect, test } from "vitest";
import { endpoints } from "../../functions/index.ts";
import { casesOf, kitFor, pathOf, perform } from "../support/cases/index.ts";
import type { Answer } from "../support/client.ts";
import { useService } from "../support/service.ts";
import { tablesOf } from "./tables.ts";

const service = useService();
const kit = kitFor(service);

const MIB = 1024 * 1024;
const json = { "content-type": "application/json" };
const invalid = (pointer: string) => ({
  status: 400,
  body: { code: "invalid_request", errors: expect.arrayContaining([expect.objectContaining({ pointer })]) },
});

describe.each(endpoints.map((endpoint) => [endpoint.name, endpoint] as const))("%s", (_, endpoint) => {
  /** Sends each of the bodies in the place of the right one; the answers, and nothing has changed. */
  async function refused(bodies: (string | Uint8Array<ArrayBuffer>)[], headers: Record<string, string> = json) {
    const path = pathOf(endpoint, await casesOf(endpoint).success(kit));
    const before = await tablesOf(service);
    const answers: Answer[] = [];
    for (const body of bodies) answers.push(await service.raw(endpoint.method, path, body, headers));
    expect(await tablesOf(service)).toEqual(before);
    return answers;
  }
  const all = (answers: Answer[], status: number, code: string) => {
    for (const answer of answers) expect(answer).toMatchObject({ status, body: { code } });
  };

  test("400 naming the query parameter that there is not", async () => {
    const call = await casesOf(endpoint).success(kit);
    const before = await tablesOf(service);
    for (const name of ["unknown", "PageSize", "__proto__", "constructor", "toString", "", "%00"]) {
      const answer = await perform(kit, endpoint, { ...call, query: { ...call.query, [name]: "1" } });
      expect(answer).toMatchObject(invalid(`/${name}`));
    }
    expect(await tablesOf(service)).toEqual(before);
  });

  test("400 naming every fault of query and body at once", async () => {
    const call = await casesOf(endpoint).success(kit);
    const before = await tablesOf(service);
    const query = { ...call.query, first: "1", second: "2" };
    // What kind of thing it is says which fields it has.
    const body = { ...(call.body?.kind !== undefined && { kind: call.body.kind }), third: 3 };
    const answer = await perform(kit, endpoint, { ...call, query, ...(call.body && { body }) });
    for (const pointer of ["/first", "/second"]) expect(answer).toMatchObject(invalid(pointer));
    const isFree = endpoint.bodyType !== undefined || endpoint.body?.safeParse(body).success;
    if (endpoint.body && !isFree) expect(answer).toMatchObject(invalid("/third"));
    expect(await tablesOf(service)).toEqual(before);
  });

  test("405 with Allow to every other method", async () => {
    const path = pathOf(endpoint, await casesOf(endpoint).success(kit));
    const before = await tablesOf(service);
    const known = endpoints.filter((other) => other.path === endpoint.path).map(({ method }) => method);
    const allowed = known.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).toSorted();
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].filter(
      (method) => !allowed.includes(method),
    )) {
      const answer = await service.raw(method, path, undefined);
      expect(answer, method).toMatchObject({ status: 405, body: { code: "method_not_allowed" } });
      expect(answer.headers.get("allow")?.split(", ").toSorted()).toEqual(allowed);
    }
    expect(await tablesOf(service)).toEqual(before);
  });

  if (endpoint.method === "GET") return;

  const sized = (size: number) => `{${" ".repeat(size - 2)}x`;

  test("413 to more than 1 MiB", async () => {
    all(await refused([sized(MIB + 1), sized(4 * MIB)]), 413, "body_too_large");
  });

  test("415 to a type that is not JSON, a charset that is not UTF-8, and a compressed body", async () => {
    const types = ["text/plain", "application/x-www-form-urlencoded", "application/json5", ""];
    if (!endpoint.bodyType) types.push("application/yaml");
    for (const type of [...types, "application/json; charset=latin1"])
      all(await refused(["{}"], { "content-type": type }), 415, "unsupported_media_type");
    all(await refused(["{}"], { ...json, "content-encoding": "gzip" }), 415, "unsupported_media_type");
  });

  test("success in UTF-8 whatever way its content type is written", async () => {
    for (const type of ["application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF-8"']) {
      const call = await casesOf(endpoint).success(kit);
      const answer = await perform(kit, endpoint, { body: {}, ...call }, { "content-type": type });
      expect(answer.status, JSON.stringify(answer.body)).toBe(endpoint.status);
    }
  });

  if (endpoint.bodyType) return;

  test("400 naming the body's field that there is not", async () => {
    const { body = {} } = await casesOf(endpoint).success(kit);
    const names = ["unknown", "constructor", "toString", "__proto__"];
    const fields = JSON.stringify(body).slice(1, -1);
    const answers = await refused(names.map((name) => `{"${name}":{"admin":true}${fields && ","}${fields}}`));
    names.forEach((name, i) => {
      expect(answers[i]).toMatchObject(invalid(endpoint.body ? `/${name}` : ""));
    });
  });

  test("400 malformed_json to what is no JSON, or not UTF-8", async () => {
    const texts = [
      "{",
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
    ];
    all(await refused([...texts, new Uint8Array(Buffer.from('{"a":"\xe4"}', "latin1"))]), 400, "malformed_json");
    // Not 413: a body may have as much.
    all(await refused([sized(MIB)]), 400, "malformed_json");
  });

  test("400 to anything but an object", async () => {
    all(await refused(["[]", "[[]]", "[{}]", "null", "true", "0", '"{}"', '""']), 400, "invalid_request");
  });
});
