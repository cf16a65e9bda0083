import type { Kit, RoomCases } from "./case.ts";

const noSchedule = { scheduleId: "019a0000-0000-7000-8000-000000000000" };
const stale = { "If-Match": '"2"' };

/** Of the team that callers of these tests are of. */
async function scheduled({ make }: Kit) {
  const { scheduleId } = await make.schedule({ ownerTeam: "sales" });
  return { scheduleId: scheduleId as string };
}

/** One whose time has come. */
async function due(kit: Kit) {
  const params = await scheduled(kit);
  await kit.service.sql("update cams.schedules set next_run_at = now() - interval '1 s' where schedule_id = $1", [
    params.scheduleId,
  ]);
  return params;
}

export const schedules: RoomCases = {
  "schedules-create": {
    success: async ({ make }) => ({
      body: {
        name: `report ${make.address()}`,
        eventType: "report.due",
        payload: { quarter: 3, regions: ["north", "south"] },
        priority: "HIGH",
        enabled: true,
        misfire: "all",
        cron: "0 6 * * MON-FRI",
        timeZone: "Europe/Berlin",
      },
    }),
    errors: {},
  },
  "schedules-get": {
    success: async (kit) => ({ params: await scheduled(kit), query: { preview: "3" } }),
    errors: { schedule_not_found: async () => ({ params: noSchedule }) },
  },
  "schedules-list": {
    success: async (kit) => {
      await scheduled(kit);
      await scheduled(kit);
      return { query: { eventType: "report.due", enabled: "true", pageSize: "1" } };
    },
    errors: {},
  },
  "schedules-update": {
    success: async (kit) => ({
      params: await scheduled(kit),
      body: { name: "later", cron: "0 7 * * *", timeZone: "Europe/London", payload: null, misfire: "skip" },
    }),
    errors: {
      schedule_not_found: async () => ({ params: noSchedule, body: { enabled: false } }),
      revision_mismatch: async (kit) => ({ params: await scheduled(kit), body: { enabled: false }, headers: stale }),
    },
  },
  "schedules-delete": {
    success: async (kit) => ({ params: await scheduled(kit) }),
    errors: {
      schedule_not_found: async () => ({ params: noSchedule }),
      revision_mismatch: async (kit) => ({ params: await scheduled(kit), headers: stale }),
    },
  },
  "schedules-run": {
    success: async (kit) => ({ params: await scheduled(kit) }),
    errors: { schedule_not_found: async () => ({ params: noSchedule }) },
  },
  "schedules-runs": {
    success: async (kit) => {
      const params = await scheduled(kit);
      await kit.service.post(`/v1/schedules/${params.scheduleId}/run`);
      await kit.service.post(`/v1/schedules/${params.scheduleId}/run`);
      return { params, query: { pageSize: "1" } };
    },
    errors: { schedule_not_found: async () => ({ params: noSchedule }) },
  },
  "schedules-tick": {
    success: async (kit) => {
      await due(kit);
      return {};
    },
    errors: {},
  },
};
