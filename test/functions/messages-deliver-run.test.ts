import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { createDatabase } from "../support/database.ts";
import { run } from "../support/global-setup.ts";
import { startReceiver } from "../support/receiver.ts";
import { type Service, startService } from "../support/service.ts";
import { startFront } from "../support/tcp-front.ts";
import { callsFor } from "./calls.ts";

/** A service whose dispatcher runs so long, beside others over the same database if need be. */
async function start(DELIVER_SECONDS: string, databaseUrl?: string) {
  const service = await startService(
    { DELIVER_SECONDS, SECRETS_KEY: Buffer.alloc(32, 1).toString("base64") },
    databaseUrl ? { url: databaseUrl, drop: async () => {} } : undefined,
  );
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= service.close();
    return closed;
  };
  onTestFinished(close);
  return { service, ...callsFor(service), close };
}

describe("a run", () => {
  test("delivers within 100 ms what is sent while it waits, here or in another process", async () => {
    const { service, webhook, sendTo, deliver } = await start("6");
    const other = await start("0", service.databaseUrl);
    const { url, received } = await startReceiver();
    const { aiAgentAddress } = await webhook(url);
    const run = deliver();
    await delay(500);
    const times: number[] = [];
    for (const sender of [sendTo, other.sendTo, sendTo, other.sendTo, sendTo, other.sendTo]) {
      const count = received.length;
      await sender(aiAgentAddress);
      const sent = performance.now();
      await expect.poll(() => received.length, { interval: 5 }).toBe(count + 1);
      times.push((received.at(-1)?.at ?? 0) - sent);
    }
    // By a hint each time: without one it is found a second after the last look.
    const [, , , median, , slowest] = times.toSorted((a, b) => a - b);
    expect(median).toBeLessThan(100);
    expect(slowest).toBeLessThan(500);
    await other.close();
    expect(await run).toEqual({ delivered: 6, failed: 0, deadLettered: 0 });
  });

  test("finds within about a second what becomes due by time, and claims nothing after its end", async () => {
    const { webhook, sendTo, deliver, messageOf } = await start("4");
    const { url, received } = await startReceiver((_, res) => res.writeHead(received.length === 1 ? 500 : 200).end());
    const { aiAgentAddress } = await webhook(url);
    const messageId = await sendTo(aiAgentAddress);
    const begun = performance.now();
    const run = deliver();
    await expect.poll(() => received.length, { timeout: 3_000, interval: 5 }).toBe(2);
    const { attempts } = await messageOf(messageId);
    const pause = (received[1]?.at ?? 0) - (received[0]?.at ?? 0);
    expect(pause).toBeGreaterThan(800);
    expect(pause).toBeLessThan(2_400);
    expect(attempts[0]).toMatchObject({ outcome: "FAILED" });
    expect(await run).toEqual({ delivered: 1, failed: 1, deadLettered: 0 });
    expect(performance.now() - begun).toBeGreaterThan(3_900);
    expect(performance.now() - begun).toBeLessThan(5_000);
    await sendTo(aiAgentAddress);
    await delay(300);
    expect(received).toHaveLength(2);
  });

  test("that is stopped gives back what hangs, and its attempt does not count", async () => {
    const database = await createDatabase();
    onTestFinished(() => database.drop());
    const { webhook, sendTo, deliver, close } = await start("30", database.url);
    const next = await start("0", database.url);
    let hangs = true;
    const { url, received } = await startReceiver((_, res) => hangs || res.writeHead(200).end());
    const messageId = await sendTo((await webhook(url, { maxDeliveryAttempts: 1 })).aiAgentAddress);
    const run = deliver();
    await expect.poll(() => received.length).toBe(1);
    const begun = performance.now();
    await close();
    expect(performance.now() - begun).toBeLessThan(8_000);
    await run;
    expect(await next.messageOf(messageId)).toMatchObject({
      status: "QUEUED",
      attempt: 0,
      attempts: [{ number: 1, outcome: "INTERRUPTED" }],
    });
    hangs = false;
    expect(await next.deliver()).toMatchObject({ delivered: 1 });
    expect((await next.messageOf(messageId)).attempts).toMatchObject([
      { number: 1, outcome: "INTERRUPTED" },
      { number: 1, outcome: "DELIVERED" },
    ]);
    await next.close();
  });

  test("goes on when its caller hangs up in the middle, as far as what it has sent", async () => {
    const { service, webhook, sendTo, messageOf } = await start("30");
    const { url, received } = await startReceiver(async (_, res) => {
      await delay(500);
      res.writeHead(200).end();
    });
    const messageId = await sendTo((await webhook(url)).aiAgentAddress);
    const caller = new AbortController();
    const call = fetch(`${service.url}/v1/messages/deliver`, { method: "POST", signal: caller.signal });
    await expect.poll(() => received.length).toBe(1);
    caller.abort();
    await expect(call).rejects.toThrow();
    await expect.poll(async () => (await messageOf(messageId)).status, { timeout: 3_000 }).toBe("DELIVERED");
  });
});

test("a service that ends waits for a run whose caller is gone: what hangs is given back, not left leased", async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const { service, webhook, sendTo, close } = await start("30", database.url);
  const { url, received } = await startReceiver(() => {});
  const messageId = await sendTo((await webhook(url)).aiAgentAddress);
  const caller = new AbortController();
  const call = fetch(`${service.url}/v1/messages/deliver`, { method: "POST", signal: caller.signal });
  await expect.poll(() => received.length).toBe(1);
  caller.abort();
  await expect(call).rejects.toThrow();
  await close();
  const { rows } = await run(database.url, "select message_id, lease_token from cams.messages");
  expect(rows).toEqual([{ message_id: messageId, lease_token: null }]);
});

describe("while somebody holds the row of a message that was answered", () => {
  /** A receiver in whose call the rows of an inbox are locked, until `release`. */
  async function startHolding(service: Service, answered: () => unknown) {
    const holder = new pg.Client(service.databaseUrl);
    // The service takes its database along when it ends.
    holder.on("error", () => {});
    await holder.connect();
    const receiver = await startReceiver(async (_, res) => {
      await holder.query("begin");
      await holder.query("select from cams.messages where recipient_address = $1 for update", ["held@corp.example"]);
      answered();
      res.writeHead(200).end();
    });
    return { ...receiver, release: () => holder.end() };
  }

  test("everybody else's results are recorded, and its own when it is free again", async () => {
    const { service, webhook, sendTo, deliver, messageOf } = await start("6");
    const { promise: locked, resolve } = Promise.withResolvers<void>();
    const { url, release } = await startHolding(service, resolve);
    const other = await startReceiver(async (_, res) => {
      await locked;
      await delay(100);
      res.writeHead(200).end();
    });
    await webhook(url, { aiAgentAddress: "held@corp.example" });
    const held = await sendTo("held@corp.example");
    const free = await sendTo((await webhook(other.url)).aiAgentAddress);
    const run = deliver();
    await expect.poll(async () => (await messageOf(free)).status, { timeout: 2_000 }).toBe("DELIVERED");
    expect((await messageOf(held)).status).toBe("LEASED");
    await release();
    expect(await run).toEqual({ delivered: 2, failed: 0, deadLettered: 0 });
    expect((await messageOf(held)).attempts).toMatchObject([{ number: 1, outcome: "DELIVERED" }]);
  });

  test("the process ends within 9 s all the same", async () => {
    const { service, webhook, sendTo, deliver, close } = await start("30");
    const { promise: locked, resolve } = Promise.withResolvers<void>();
    const { url } = await startHolding(service, resolve);
    await webhook(url, { aiAgentAddress: "held@corp.example" });
    await sendTo("held@corp.example");
    const run = deliver();
    await locked;
    await delay(300);
    const begun = performance.now();
    await close();
    expect(performance.now() - begun).toBeLessThan(9_000);
    await run;
  });
});

/** A database behind a front that can be cut; `through` is its URL by that way. */
async function startThrough() {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const { port } = new URL(database.url);
  const front = await startFront(Number(port));
  const through = database.url.replace(`:${port}/`, `:${front.port}/`);
  return { front, through, comeBack: () => front.lead(Number(port)) };
}

describe("while the database is away", () => {
  test("a run waits and records what was answered meanwhile, once", async () => {
    const { front, through, comeBack } = await startThrough();
    const { webhook, sendTo, deliver, messageOf, close } = await start("8", through);
    const { url, received } = await startReceiver(async (_, res) => {
      front.lead(undefined);
      front.cut();
      await delay(300);
      res.writeHead(200).end();
      setTimeout(comeBack, 1_500);
    });
    const messageId = await sendTo((await webhook(url)).aiAgentAddress);
    expect(await deliver()).toEqual({ delivered: 1, failed: 0, deadLettered: 0 });
    expect(await messageOf(messageId)).toMatchObject({ status: "DELIVERED", attempt: 1 });
    expect(received).toHaveLength(1);
    await close();
    front.close();
  }, 30_000);

  test("a run that never reaches it is 503", async () => {
    const { front, through } = await startThrough();
    const { service, close } = await start("2", through);
    front.lead(undefined);
    front.cut();
    const answer = await service.post("/v1/messages/deliver");
    expect(answer).toMatchObject({ status: 503, body: { code: "database_unavailable" } });
    await close();
    front.close();
  });
});
