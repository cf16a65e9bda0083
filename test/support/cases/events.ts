import { randomUUID } from "node:crypto";
import type { Kit, RoomCases } from "./case.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const noEvent = { eventId: "019a0000-0000-7000-8000-000000000000" };

/** An event that one inbox gets, of a type that no other call has. */
async function wanted({ make }: Kit) {
  const type = `order.${randomUUID()}`;
  await make.subscription({ eventType: type });
  return { type, payload: { order: 7, lines: [{ sku: "a", count: 2 }] }, priority: "HIGH" };
}

async function published(kit: Kit) {
  const { eventId } = await kit.make.event(await wanted(kit));
  return { eventId: eventId as string };
}

export const events: RoomCases = {
  "events-publish": {
    success: async (kit) => ({ body: { ...(await wanted(kit)), source: "/shops/north", subject: "order 7" } }),
    errors: {
      event_id_reused: async ({ service }) => {
        const headers = { "content-type": "application/cloudevents+json" };
        const event = { specversion: "1.0", id: randomUUID(), source: "/shops/north", type: "order.placed" };
        await service.post("/v1/events", event, headers);
        return { body: { ...event, type: "order.cancelled" }, headers };
      },
    },
  },
  "events-get": {
    success: async (kit) => ({ params: await published(kit) }),
    errors: { event_not_found: async () => ({ params: noEvent }) },
  },
  "events-list": {
    success: async (kit) => {
      const about = { source: "/shops/north", subject: "order 7" };
      const { type } = await wanted(kit);
      await kit.make.event({ type, ...about });
      await kit.make.event({ type, ...about });
      const times = { after: "2026-01-01T00:00:00Z", before: "2999-01-01T00:00:00Z" };
      return { query: { type: type.replace("order", "*"), ...about, unhandled: "false", ...times, pageSize: "1" } };
    },
    errors: {},
  },
  "events-stats": {
    success: async (kit) => {
      await published(kit);
      return { query: { from: "2026-01-01T00:00:00Z" } };
    },
    errors: {},
  },
  "events-stream": {
    success: async () => ({ query: { type: "alert.#", after: new Date(Date.now() - DAY_MS).toISOString() } }),
    errors: {
      position_expired: async () => ({ headers: { "last-event-id": `${Date.now() - 31 * DAY_MS}-100-1` } }),
    },
  },
};
