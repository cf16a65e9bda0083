import type { RoomCases } from "./case.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

export const events: RoomCases = {
  "events-stream": {
    success: async () => ({ query: { type: "alert.#", after: new Date(Date.now() - DAY_MS).toISOString() } }),
    errors: {
      position_expired: async () => ({ headers: { "last-event-id": `${Date.now() - 31 * DAY_MS}-100-1` } }),
    },
  },
};
