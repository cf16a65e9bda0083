import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { startService, useService } from "../support/service.ts";
import { startFront } from "../support/tcp-front.ts";
import { follow, INSERT, publish } from "./followers.ts";

const service = useService();

test("who gets no events hears every 15 s that it is still connected, and where it would go on", async () => {
  const follower = await follow(service.url, { type: "wanted" });
  await publish(service, ["other"]);
  await expect.poll(() => follower.blocks.length, { timeout: 25_000, interval: 100 }).toBe(2);
  expect(follower.blocks[1]).toEqual({ comment: true, id: expect.stringMatching(/^\d{13}-\d+-\d+$/) });
  follower.destroy();
  const next = await follow(service.url, {}, { "last-event-id": follower.lastId() as string });
  await publish(service, ["wanted"]);
  await expect.poll(next.types, { timeout: 20_000 }).toEqual(["wanted"]);
}, 60_000);

test("while the database is gone followers stay, and then get what was published, each event once", async () => {
  const database = new URL(service.databaseUrl);
  const front = await startFront(Number(database.port));
  onTestFinished(front.close);
  database.port = String(front.port);
  const cutOff = await startService({}, { url: database.href, drop: async () => {} });
  onTestFinished(cutOff.close);
  const direct = new pg.Client(service.databaseUrl);
  await direct.connect();
  onTestFinished(() => direct.end());
  const follower = await follow(cutOff.url);
  await direct.query(INSERT, [["before"], 0]);
  await expect.poll(follower.types, { timeout: 20_000 }).toEqual(["before"]);
  front.lead(undefined);
  front.cut();
  await direct.query(INSERT, [["meanwhile"], 0]);
  await delay(3_000);
  expect(follower.types()).toEqual(["before"]);
  front.lead(Number(new URL(service.databaseUrl).port));
  await direct.query(INSERT, [["after"], 0]);
  await expect.poll(follower.types, { timeout: 20_000 }).toEqual(["before", "meanwhile", "after"]);
}, 60_000);
