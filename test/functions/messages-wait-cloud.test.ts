import { expect, test } from "vitest";
import { useGuardedService } from "../support/callers.ts";

const { service } = useGuardedService({ K_SERVICE: "cams", ALLOW_INSECURE_DESTINATIONS: "false" });

test("on Cloud Run, where an idle process is frozen, the listener is gone before the waiting pull has its answer", async () => {
  await service.post("/v1/agent-inboxes", { aiAgentAddress: "a@corp.example", inboxDestinationType: "PULL_QUEUE" });
  const listening = () =>
    service.sql("select from pg_stat_activity where datname = current_database() and query = 'listen cams_hints'");
  const pull = service.post("/v1/agent-inboxes/a@corp.example/messages/pull", { waitSeconds: 1 });
  await expect.poll(listening).toHaveLength(1);
  expect((await pull).body.messages).toEqual([]);
  await expect.poll(listening, { timeout: 2_000 }).toHaveLength(0);
});
