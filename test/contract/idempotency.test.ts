import { describe, expect, test } from "vitest";
import { endpoints } from "../../functions/index.ts";
import type { Endpoint } from "../../shared/http/endpoint.ts";
import { type Call, type Case, casesOf, kitFor, perform } from "../support/cases/index.ts";
import type { Answer } from "../support/client.ts";
import { useService } from "../support/service.ts";
import { countsOf, tablesOf } from "./tables.ts";

const service = useService();
const kit = kitFor(service);

const creating = endpoints.filter(({ idempotent }) => idempotent);
const isReplayed = ({ headers }: Answer) => headers.get("idempotent-replayed") === "true";
/** What makes two answers the same answer: all but what is shown only once. */
const sayingOf =
  ({ shownOnce = [] }: Endpoint) =>
  ({ status, headers, body }: Answer) => ({
    status,
    body: Object.fromEntries(Object.entries(body).filter(([field]) => !shownOnce.includes(field))),
    etag: headers.get("etag"),
    location: headers.get("location"),
    type: headers.get("content-type"),
  });

/** What they create is several things or none, so that no one Location is theirs. */
const creatingSeveral = ["definitions-import", "messages-send-batch"];

test("every call that answers a Location, and what creates several things, takes a key, and nothing else does", () => {
  for (const { name, location, idempotent } of endpoints)
    expect(idempotent ?? false, name).toBe(location !== undefined || creatingSeveral.includes(name));
});

describe.each(creating.map((endpoint) => [endpoint.name, endpoint] as const))("%s", (_, endpoint) => {
  const { success, errors, makeRoom } = casesOf(endpoint);
  const said = sayingOf(endpoint);
  const send = (call: Call, key: string) => perform(kit, endpoint, call, { "idempotency-key": key });

  test("the first answer again to the same key and body, and one creation", async () => {
    const call = await success(kit);
    const first = await send(call, "key-1");
    const after = await tablesOf(service);
    const again = await send(call, "key-1");
    expect(first.status).toBe(endpoint.status);
    expect(isReplayed(first)).toBe(false);
    expect(isReplayed(again)).toBe(true);
    expect(said(again)).toEqual(said(first));
    for (const field of endpoint.shownOnce ?? []) {
      expect(first.body, field).toHaveProperty(field);
      expect(again.body, field).not.toHaveProperty(field);
    }
    expect(again.headers.get("x-request-id")).not.toBe(first.headers.get("x-request-id"));
    expect(await tablesOf(service)).toEqual(after);
  });

  test("409 idempotency_key_reused to the same key with another body", async () => {
    const [call, other] = [await success(kit), await success(kit)];
    await send(call, "key-1");
    const before = await tablesOf(service);
    const answer = await send(other, "key-1");
    expect(answer).toMatchObject({ status: 409, body: { code: "idempotency_key_reused" } });
    expect(await tablesOf(service)).toEqual(before);
    expect(isReplayed(await send(call, "key-1"))).toBe(true);
  });

  test("two creations under two keys", async () => {
    const [call, other] = [await success(kit), await success(kit)];
    const answers = [await send(call, "key-1"), await send(other, "key-2")];
    expect(answers.map(({ status }) => status)).toEqual([endpoint.status, endpoint.status]);
    expect(answers.filter(isReplayed)).toEqual([]);
  });

  test("one creation and 20 equal answers when 20 come at once", async () => {
    const lone = await success(kit);
    const before = await countsOf(service);
    expect((await perform(kit, endpoint, lone)).status).toBe(endpoint.status);
    const added = difference(before, await countsOf(service));
    expect(added).not.toEqual({});

    const call = await success(kit);
    const prepared = await countsOf(service);
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(call, "key-1")));
    expect(new Set(answers.map((answer) => JSON.stringify(said(answer)))).size).toBe(1);
    expect(answers[0]?.status).toBe(endpoint.status);
    expect(answers.filter(isReplayed)).toHaveLength(19);
    expect(difference(prepared, await countsOf(service))).toEqual(added);
  });

  test("each refused when 20 of other bodies come at once under one key, but one", async () => {
    const calls = await Promise.all(Array.from({ length: 20 }, () => success(kit)));
    const answers = await Promise.all(calls.map((call) => send(call, "key-1")));
    expect(answers.filter(({ status }) => status === endpoint.status)).toHaveLength(1);
    expect(answers.filter(({ body }) => body.code === "idempotency_key_reused")).toHaveLength(19);
  });

  test.each([
    ["empty", ""],
    ["256 characters", "k".repeat(256)],
    ["not printable", "a\tb"],
    ["not ASCII", "kö"],
  ])("400 when the key is %s", async (_, key) => {
    const call = await success(kit);
    const before = await tablesOf(service);
    expect(await send(call, key)).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    expect(await tablesOf(service)).toEqual(before);
  });

  test("a key of 255 characters, and one full of tricks, are kept", async () => {
    for (const key of ["k".repeat(255), `'; drop table cams.idempotency_keys; -- $1 \\ " %00`]) {
      const call = await success(kit);
      expect((await send(call, key)).status).toBe(endpoint.status);
      expect(isReplayed(await send(call, key))).toBe(true);
    }
  });

  test("created anew under a key that is 24 hours old", async () => {
    const call = await success(kit);
    const first = await send(call, "key-1");
    const [kept] = await service.sql<{ hours: number }>(
      "select extract(epoch from kept_until - now())::float8 / 3600 as hours from cams.idempotency_keys",
    );
    expect(kept?.hours).toBeCloseTo(24, 1);
    await makeRoom?.(kit, call);
    await service.sql("update cams.idempotency_keys set kept_until = now()");
    const before = await countsOf(service);
    const anew = await send(call, "key-1");
    expect(anew.status).toBe(first.status);
    expect(isReplayed(anew)).toBe(false);
    expect(difference(before, await countsOf(service))).not.toEqual({});
    expect(said(await send(call, "key-1"))).toEqual(said(anew));
  });

  test.each(Object.entries(errors) as [string, Case][])("%s is not kept: the key is free again", async (_, prepare) => {
    const call = await prepare(kit);
    expect((await send(call, "key-1")).status).toBeGreaterThanOrEqual(400);
    expect(await service.sql("select from cams.idempotency_keys")).toEqual([]);
    const answer = await send(await success(kit), "key-1");
    expect(answer.status).toBe(endpoint.status);
    expect(isReplayed(answer)).toBe(false);
  });
});

function difference(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  const added = Object.entries(after).map(([table, rows]) => [table, rows - (before[table] ?? 0)] as const);
  return Object.fromEntries(added.filter(([, rows]) => rows !== 0));
}
