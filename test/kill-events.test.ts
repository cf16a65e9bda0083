import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "./support/database.ts";
import { run } from "./support/global-setup.ts";
import { post, untilKilled } from "./support/killed.ts";
import { type ServiceProcess, startProcess } from "./support/process.ts";

const ROUNDS = 4;
const PUBLISHERS = 4;
/** Each event is for two inboxes; every third type has no subscriber. */
const INBOXES = ["north@corp.example", "south@corp.example"];
const TYPES = ["alert.fire", "alert.water", "news.weather"];

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** Events that were answered 202. */
const told = new Map<string, { type: string; messages: number }>();

function publisher(url: string, source: string): Promise<void> {
  return untilKilled(async (count) => {
    const type = TYPES[count % TYPES.length] as string;
    const { status, body } = await post(url, "/v1/events", { type, source, payload: { count } });
    if (status === 202) told.set(body.eventId, { type, messages: body.messages });
  });
}

async function kill(service: ServiceProcess): Promise<void> {
  const before = told.size;
  await expect.poll(() => told.size - before, { timeout: 10_000, interval: 5 }).toBeGreaterThan(20);
  await delay(Math.random() * 300);
  await service.end("SIGKILL");
}

test("the service killed with SIGKILL while events are published: what was accepted is there, and each event has all its rows or none", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const service = await startProcess({ DATABASE_URL: database.url });
    if (round === 0)
      for (const aiAgentAddress of INBOXES) {
        await post(service.url, "/v1/agent-inboxes", { aiAgentAddress, inboxDestinationType: "PULL_QUEUE" });
        await post(service.url, "/v1/subscriptions", { eventType: "alert.*", to: { aiAgentAddress } });
      }
    const publishers = Array.from({ length: PUBLISHERS }, (_, n) => publisher(service.url, `/shops/${round}-${n}`));
    await Promise.all([kill(service), ...publishers]);
  }

  const { rows } = await run(
    database.url,
    `select e.event_id as "eventId", e.type, e.messages, e.unhandled,
       (select count(*)::int from cams.messages m where m.correlation_id = e.event_id::text) as made,
       (select count(*)::int from cams.events u where u.type = 'event.unhandled' and u.subject = e.event_id::text) as telling
     from cams.events e where e.type = any ('{alert.fire,alert.water,news.weather}')`,
  );
  expect(told.size).toBeGreaterThan(80);
  const stored = new Map(rows.map((row) => [row.eventId as string, row]));
  for (const [eventId, { type, messages }] of told)
    expect(stored.get(eventId), "what was accepted is there").toMatchObject({ type, messages });
  for (const { type, messages, made, unhandled, telling } of rows) {
    const isWanted = type !== "news.weather";
    expect({ messages, made, unhandled, telling }).toEqual({
      ...{ messages: isWanted ? 2 : 0, made: isWanted ? 2 : 0, unhandled: !isWanted, telling: isWanted ? 0 : 1 },
    });
  }
}, 120_000);
