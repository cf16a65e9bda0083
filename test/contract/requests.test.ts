import { describe, expect, test } from "vitest";
import { endpoints } from "../../functions/index.ts";
import { casesOf, kitFor, pathOf, perform } from "../support/cases/index.ts";
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
  /** Sends the right request with something else in the place of its body, and sees that nothing has changed. */
  async function refused(body: string | Uint8Array<ArrayBuffer> | undefined, headers: Record<string, string> = {}) {
    const call = await casesOf(endpoint).success(kit);
    const before = await tablesOf(service);
    const answer = await service.raw(endpoint.method, pathOf(endpoint, call), body, { ...json, ...headers });
    expect(await tablesOf(service)).toEqual(before);
    return answer;
  }

  test.each(["unknown", "PageSize", "__proto__", "constructor", "toString", "", "%00"])(
    "400 naming the query parameter `%s`, which there is not",
    async (name) => {
      const call = await casesOf(endpoint).success(kit);
      const answer = await perform(kit, endpoint, { ...call, query: { ...call.query, [name]: "1" } });
      expect(answer).toMatchObject(invalid(`/${name}`));
    },
  );

  test("400 naming every fault of query and body at once", async () => {
    const call = await casesOf(endpoint).success(kit);
    const before = await tablesOf(service);
    const query = { ...call.query, first: "1", second: "2" };
    const answer = await perform(kit, endpoint, { ...call, query, ...(call.body && { body: { third: 3 } }) });
    for (const pointer of ["/first", "/second"]) expect(answer).toMatchObject(invalid(pointer));
    if (endpoint.body) expect(answer).toMatchObject(invalid("/third"));
    expect(await tablesOf(service)).toEqual(before);
  });

  const known = endpoints.filter(({ path }) => path === endpoint.path).map(({ method }) => method);
  test.each(
    (["GET", "POST", "PUT", "PATCH", "DELETE"] as const).filter((method) => !known.includes(method)),
  )("405 to %s, with Allow", async (method) => {
    const path = pathOf(endpoint, await casesOf(endpoint).success(kit));
    const before = await tablesOf(service);
    const answer = await service.raw(method, path, undefined);
    expect(answer).toMatchObject({ status: 405, body: { code: "method_not_allowed" } });
    const allowed = known.flatMap((name) => (name === "GET" ? ["GET", "HEAD"] : [name]));
    expect(answer.headers.get("allow")?.split(", ").toSorted()).toEqual(allowed.toSorted());
    expect(await tablesOf(service)).toEqual(before);
  });

  if (endpoint.method === "GET") return;

  test("400 naming the body's field that there is not", async () => {
    const { body = {} } = await casesOf(endpoint).success(kit);
    for (const name of ["unknown", "constructor", "toString"]) {
      const answer = await refused(JSON.stringify({ ...body, [name]: 1 }));
      expect(answer).toMatchObject(invalid(endpoint.body ? `/${name}` : ""));
    }
    const answer = await refused(`{"__proto__":{"admin":true},${JSON.stringify(body).slice(1)}`.replace(",}", "}"));
    expect(answer).toMatchObject(invalid(endpoint.body ? "/__proto__" : ""));
  });

  test.each(["{", '{"a":1', "{'a':1}", "{a:1}", "[1,]", "nul", "NaN", "Infinity", '"\u0001"', '{"a":\u00a01}', "{}{}"])(
    "400 malformed_json to %s",
    async (text) => {
      expect(await refused(text)).toMatchObject({ status: 400, body: { code: "malformed_json" } });
    },
  );

  test("400 malformed_json to what is not UTF-8", async () => {
    const latin = Buffer.from('{"a":"\xe4"}', "latin1");
    expect(await refused(new Uint8Array(latin))).toMatchObject({ status: 400, body: { code: "malformed_json" } });
  });

  test.each(["[]", "[[]]", "[{}]", "null", "true", "0", '"{}"', '""'])("400 to %s for an object", async (text) => {
    expect(await refused(text)).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  });

  test("413 to more than 1 MiB, not to 1 MiB", async () => {
    const text = (size: number) => `{${" ".repeat(size - 3)}x}`.slice(0, size);
    expect(await refused(text(MIB + 1))).toMatchObject({ status: 413, body: { code: "body_too_large" } });
    expect(await refused(text(4 * MIB))).toMatchObject({ status: 413, body: { code: "body_too_large" } });
    expect(await refused(text(MIB))).toMatchObject({ status: 400, body: { code: "malformed_json" } });
  });

  test.each(["text/plain", "application/x-www-form-urlencoded", "application/xml", "application/json5", ""])(
    "415 to the content type `%s`",
    async (type) => {
      const answer = await refused("{}", { "content-type": type });
      expect(answer).toMatchObject({ status: 415, body: { code: "unsupported_media_type" } });
    },
  );

  test("415 to a charset that is not UTF-8, and to a compressed body", async () => {
    for (const headers of [{ "content-type": "application/json; charset=latin1" }, { "content-encoding": "gzip" }])
      expect(await refused("{}", headers as Record<string, string>)).toMatchObject({
        status: 415,
        body: { code: "unsupported_media_type" },
      });
  });

  test("success in UTF-8 whatever way its content type is written", async () => {
    for (const type of ["application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF-8"']) {
      const call = await casesOf(endpoint).success(kit);
      const answer = await perform(kit, endpoint, { body: {}, ...call }, { "content-type": type });
      expect(answer.status, JSON.stringify(answer.body)).toBe(endpoint.status);
    }
  });
});
