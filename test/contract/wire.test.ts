import { describe, expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";
import { tablesOf } from "./tables.ts";
import { ask, exchange } from "./wire.ts";

const service = useService();
const make = makerFor(service);

const body = (aiAgentAddress: string) => JSON.stringify({ aiAgentAddress, inboxDestinationType: "PULL_QUEUE" });
const post = (headers: string[], text: string, path = "/v1/agent-inboxes") =>
  `${[`POST ${path} HTTP/1.1`, "Host: localhost", "Content-Type: application/json", ...headers].join("\r\n")}\r\n\r\n${text}`;
const whole = (text: string) => post([`Content-Length: ${Buffer.byteLength(text)}`], text);
const chunked = (...chunks: string[]) =>
  chunks.map((chunk) => `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`).join("");

const live = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** Sees that it was refused as a client's fault, or not answered at all, that nothing changed, and that we live. */
async function refused(parts: Parameters<typeof exchange>[1], options?: Parameters<typeof exchange>[2]) {
  const before = await tablesOf(service);
  const { answers, closed } = await exchange(service.url, parts, options);
  for (const { status, headers, body } of answers) {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(headers.get("content-type")).toBe("application/problem+json");
    expect(body).toMatchObject({ status, requestId: headers.get("x-request-id") });
  }
  expect(await tablesOf(service)).toEqual(before);
  expect((await service.get("/health/live")).status).toBe(200);
  return { answers, closed };
}

describe("what is no HTTP", () => {
  test.each<[string, string | Uint8Array]>([
    ["noise", crypto.getRandomValues(new Uint8Array(500))],
    ["a TLS greeting", Buffer.from("16030100c8010000c40303", "hex")],
    ["words", "hello there\r\n\r\n"],
    ["a version there is not", "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n"],
    ["a header without a name", "GET / HTTP/1.1\r\nHost: localhost\r\n: y\r\n\r\n"],
    ["a header with a NUL", "GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-A: a\0b\r\n\r\n"],
    ["a path with a space", "GET /v1/agent inboxes HTTP/1.1\r\nHost: localhost\r\n\r\n"],
    ["two lengths", post(["Content-Length: 2", "Content-Length: 3"], "{}")],
    ["a length that is no number", post(["Content-Length: 0x10"], "{}")],
    ["a negative length", post(["Content-Length: -1"], "{}")],
    ["a length and chunks", post(["Content-Length: 2", "Transfer-Encoding: chunked"], "0\r\n\r\n")],
    ["a chunk size that is none", post(["Transfer-Encoding: chunked"], "zz\r\n{}\r\n0\r\n\r\n")],
    ["an unknown transfer encoding", post(["Transfer-Encoding: gzip"], "{}")],
  ])("400 and an end of the connection: %s", async (_, bytes) => {
    const { answers, closed } = await refused([bytes], { count: 2 });
    expect(answers.map(({ status }) => status)).toEqual([400]);
    expect(closed).toBe(true);
  });

  test("400 without a host, by Node itself: without a body", async () => {
    const { answers, closed } = await exchange(service.url, ["GET /health/live HTTP/1.1\r\n\r\n"], { count: 2 });
    expect(answers).toMatchObject([{ status: 400, body: "0\r\n\r\n" }]);
    expect(closed).toBe(true);
  });

  test("431 to more than 16 KiB of headers", async () => {
    for (const [name, times] of [
      ["X-Big", 1],
      ["Cookie", 1],
      ["X-Many", 2000],
    ] as const) {
      const lines = Array.from(
        { length: times },
        (_, i) => `${name}${times > 1 ? i : ""}: ${"x".repeat(20_000 / times)}\r\n`,
      );
      const { answers } = await refused([`GET /health/live HTTP/1.1\r\nHost: localhost\r\n${lines.join("")}\r\n`], {
        count: 2,
      });
      expect(answers.map(({ status }) => status)).toEqual([431]);
    }
  });

  test("431 to a path of more than 16 KiB, 404 to one of less", async () => {
    expect((await refused([`GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`])).answers[0]?.status).toBe(
      431,
    );
    expect((await ask(service.url, "GET", `/${"x".repeat(15_000)}`)).status).toBe(404);
  });
});

describe("a body", () => {
  test("in chunks, and in pieces that arrive late, is taken", async () => {
    const text = body("ä@corp");
    const bytes = Buffer.from(whole(text));
    const late = [...bytes.subarray(-30)].flatMap((byte) => [Uint8Array.of(byte), 1]);
    for (const parts of [
      [post(["Transfer-Encoding: chunked"], `${chunked(text.slice(0, 10), text.slice(10))}0\r\n\r\n`)],
      [bytes.subarray(0, -30), ...late],
    ]) {
      const { answers } = await exchange(service.url, parts);
      expect(answers).toMatchObject([{ status: 201, body: { aiAgentAddress: "ä@corp" } }]);
      await service.delete("/v1/agent-inboxes/ä@corp");
    }
  });

  test("announced by Expect: 100-continue is taken, an expectation nobody knows is passed over", async () => {
    for (const expectation of ["100-continue", "200-maybe"]) {
      const text = body(make.address());
      const head = post([`Content-Length: ${text.length}`, `Expect: ${expectation}`], "");
      expect((await exchange(service.url, [head, 50, text])).answers).toMatchObject([{ status: 201 }]);
    }
  });

  test("over 1 MiB in chunks is refused with 413, and the connection ends", async () => {
    const chunk = chunked("x".repeat(64 * 1024));
    const parts = [post(["Transfer-Encoding: chunked"], chunk.repeat(17)), "0\r\n\r\n"];
    const { answers, closed } = await refused(parts, { count: 2 });
    expect(answers).toMatchObject([{ status: 413, body: { code: "body_too_large" } }]);
    expect(closed).toBe(true);
  });

  test("without an end is refused with 413 too", async () => {
    const parts = Array.from({ length: 300 }, () => chunked("x".repeat(64 * 1024)));
    const { answers } = await refused([post(["Transfer-Encoding: chunked"], ""), ...parts]);
    expect(answers).toMatchObject([{ status: 413, body: { code: "body_too_large" } }]);
  });

  test.each<["close" | "reset"]>([["close"], ["reset"]])("cut short by a %s leaves nothing behind", async (end) => {
    const text = body(make.address());
    await refused([post([`Content-Length: ${text.length}`], text.slice(0, -1))], { end, patience: 500 });
    await refused([post(["Transfer-Encoding: chunked"], chunked(text))], { end, patience: 500 });
    await refused([post([`Content-Length: ${text.length}`], "").slice(0, -3)], { end, patience: 500 });
  });

  test("longer than its length: the rest is read as another request, and refused", async () => {
    const text = body("short@corp");
    const { answers, closed } = await exchange(service.url, [post([`Content-Length: ${text.length}`], `${text}}}}`)], {
      count: 3,
    });
    expect(answers.at(-1)?.status).toBe(400);
    expect(closed).toBe(true);
    expect((await service.get("/health/live")).status).toBe(200);
  });
});

describe("many requests on one connection", () => {
  test("are answered in the order in which they came", async () => {
    const addresses = Array.from({ length: 20 }, () => make.address());
    const requests = addresses.flatMap((address) => [whole(body(address)), live]);
    const { answers } = await exchange(service.url, [requests.join("")], { count: 40 });
    expect(answers.map(({ status }) => status)).toEqual(addresses.flatMap(() => [201, 200]));
    expect(answers.filter(({ status }) => status === 201).map(({ body }) => body.aiAgentAddress)).toEqual(addresses);
  });

  test("go on after a refusal", async () => {
    const { answers } = await exchange(service.url, [`${whole("{")}${live}${whole("[]")}${live}`], { count: 4 });
    expect(answers.map(({ status }) => status)).toEqual([400, 200, 400, 200]);
  });
});

test("405 to methods nobody knows here, 400 or an end to those nobody knows at all", async () => {
  for (const method of ["TRACE", "PROPFIND", "QUERY"])
    expect((await ask(service.url, method, "/health/live")).status, method).toBe(405);
  const { closed } = await refused(["CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n"], { patience: 1000 });
  expect(closed).toBe(true);
  await refused(["BREW /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"]);
});
