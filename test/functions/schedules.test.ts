import { expect, test } from "vitest";
import { useService } from "../support/service.ts";

const service = useService();

test("x", async () => {
  const made = await service.post("/v1/schedules", {
    name: "n",
    eventType: "schedule.regression",
    payload: { a: 1 },
    cron: "*/5 * * * *",
    timeZone: "Europe/Berlin",
  });
  console.log(made.status, made.body);
  const id = made.body.scheduleId;
  console.log((await service.get(`/v1/schedules/${id}?preview=3`)).body);
  console.log(
    (await service.post("/v1/schedules", { name: "n", eventType: "a.b", cron: "nope", timeZone: "Nowhere" })).body,
  );
  console.log((await service.post(`/v1/schedules/${id}/run`)).body);
  await service.sql("update cams.schedules set next_run_at = date_trunc('hour', now()) - interval '20 min'");
  console.log(await Promise.all([1, 2, 3, 4].map(async () => (await service.post("/v1/schedules/tick")).body)));
  console.log((await service.get(`/v1/schedules/${id}/runs`)).body.items);
  console.log((await service.put(`/v1/schedules/${id}`, { enabled: false, misfire: "all" })).body);
  console.log((await service.put(`/v1/schedules/${id}`, { enabled: true, runAt: "2030-01-01T00:00:00Z" })).body);
  console.log(
    (await service.get(`/v1/schedules`)).body.items.length,
    (await service.delete(`/v1/schedules/${id}`)).status,
  );
  expect(1).toBe(1);
});
