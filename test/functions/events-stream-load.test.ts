import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { createHints } from "../../shared/db/hints.ts";
import type { Position } from "../../shared/rules/event-positions.ts";
import { createTails, type EventLog } from "../../shared/services/event-tail.ts";
import { useGuardedService } from "../support/callers.ts";
import { useService } from "../support/service.ts";
import { callsFor } from "./calls.ts";
import { follow, publish, reads } from "./followers.ts";

const service = useService();
const guarded = useGuardedService();

const listeners = () =>
  service.sql(
    "select from pg_stat_activity where datname = current_database() and query ilike 'listen%' and state = 'idle'",
  );

test("200 followers cost one reading of the log for each change, and hold no connection", async () => {
  const followers = await Promise.all(Array.from({ length: 200 }, () => follow(service.url)));
  expect(await callsFor(service).waiting()).toBe(200);
  const before = await reads(service);
  const CHANGES = 10;
  for (let n = 0; n < CHANGES; n++) {
    await publish(service, [`change.${n}`]);
    await expect
      .poll(() => followers.every(({ blocks }) => blocks.length === n + 2), { interval: 5, timeout: 20_000 })
      .toBe(true);
  }
  const types = Array.from({ length: CHANGES }, (_, n) => `change.${n}`);
  for (const follower of followers) expect(follower.types()).toEqual(types);
  // And those by the clock, and those behind what other tests have not committed yet: few beside 200 for each change.
  expect((await reads(service)) - before).toBeLessThan(CHANGES * 20);
  expect(await listeners()).toHaveLength(1);
}, 60_000);

test("when the last follower has left, nobody listens and nothing reads on", async () => {
  const hints = createHints({
    pool: () => undefined,
    client: service.app.client,
    log: service.app.log,
    lingerMs: 0,
  });
  let count = 0;
  const log = {
    readAfter(...asked: Parameters<EventLog["readAfter"]>) {
      count++;
      return service.app.repo.events.readAfter(...asked);
    },
  };
  const { follow, ended } = createTails(hints, service.app.log);
  const now = await service.app.repo.events.positionNow();
  const { signal } = new AbortController();
  const before = (await listeners()).length;
  const [one, two] = [follow(log, now, now, signal), follow(log, now, now, signal)];
  await publish(service, ["seen"]);
  for (const follower of [one, two]) expect((await follower.next(5000)).events).toMatchObject([{ type: "seen" }]);
  await one.leave();
  expect(await listeners()).toHaveLength(before + 1);
  await two.leave();
  expect(await listeners()).toHaveLength(before);
  const read = count;
  await publish(service, ["unseen"]);
  await delay(100);
  expect(count).toBe(read);
  await ended();
});

test("a reader that stops reading keeps nothing back for others, and later gets all it missed", async () => {
  const types = (round: number) => Array.from({ length: 100 }, (_, n) => `round.${round}.${n}`);
  const asked = request(`${service.url}/v1/events/stream`, { agent: false }).end();
  onTestFinished(() => void asked.destroy());
  const [slow] = (await once(asked, "response")) as [IncomingMessage];
  const quick = await follow(service.url);
  // 30 MB, more than the sockets and the kept end of the log can hold.
  const ROUNDS = 30;
  for (let round = 0; round < ROUNDS; round++) await publish(service, types(round), 10_000);
  const all = Array.from({ length: ROUNDS }, (_, round) => types(round)).flat();
  await expect.poll(() => quick.types().length, { timeout: 20_000 }).toBe(all.length);
  let text = "";
  const got = () => [...text.matchAll(/"type":"(round[^"]*)"/g)].map(([, type]) => type);
  slow.setEncoding("utf8").on("data", (data) => (text += data));
  await expect.poll(() => got().length, { timeout: 20_000, interval: 200 }).toBe(all.length);
  expect(got()).toEqual(all);
  expect(quick.types()).toEqual(all);
}, 60_000);

test("a key that is revoked ends its streams, and a new one is refused", async () => {
  const follower = await follow(guarded.service.url, {}, guarded.key("agent"));
  expect(follower.answer.statusCode).toBe(200);
  await guarded.service.sql("delete from cams.api_keys where principal_id = 'agent'");
  let ended = false;
  void follower.ended.then(() => {
    ended = true;
  });
  for (let n = 0; !ended && n < 100; n++) {
    await publish(guarded.service, [`event.${n}`]);
    await delay(200);
  }
  expect(await follower.ended).toBe(false);
  expect((await follow(guarded.service.url, {}, guarded.key("agent"))).answer.statusCode).toBe(401);
});

test("what is read at once is bounded in bytes: each of many slow readers has so much in memory", async () => {
  const { readAfter, positionNow } = service.app.repo.events;
  let position: Position = await positionNow();
  await publish(
    service,
    Array.from({ length: 10 }, (_, n) => `big.${n}`),
    100_000,
  );
  // Other tests of this server may have transactions that began before.
  await expect.poll(async () => (await readAfter(position, 1)).events, { timeout: 20_000 }).toHaveLength(1);
  const pages: number[] = [];
  for (let more = true; more; ) {
    const page = await readAfter(position, 100);
    pages.push(page.events.length);
    ({ position, more } = page);
  }
  expect(pages).toEqual([3, 3, 3, 1]);
  // 100,000 bytes that are not JSON are 133,336 characters.
  for (let n = 0; n < 4; n++)
    await service.raw("POST", "/v1/events", "b".repeat(100_000), {
      ...{ "ce-specversion": "1.0", "ce-id": `${n}`, "ce-source": "/lab", "ce-type": "big.bytes" },
      "content-type": "image/png",
    });
  await expect.poll(async () => (await readAfter(position, 1)).events, { timeout: 20_000 }).toHaveLength(1);
  const { events } = await readAfter(position, 100);
  expect(events.filter(({ type }) => type === "big.bytes")).toHaveLength(2);
});
