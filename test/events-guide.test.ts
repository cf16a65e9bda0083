import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { type Misfire, nextTimes, plan } from "../shared/rules/schedules.ts";
import { AgentState } from "../shared/schemas/agent.ts";
import { TaskState } from "../shared/schemas/task.ts";
import { tasksFor } from "./functions/task-calls.ts";
import { load } from "./support/definitions-folder.ts";
import { bash, scriptsOf, table } from "./support/guides.ts";
import { makerFor } from "./support/make.ts";
import { useService } from "./support/service.ts";

const service = useService();
const make = makerFor(service);
const { act, worker, submitTo, claiming } = tasksFor(service);
/** What becoming so is called, where that is not the state. */
const ALSO: Record<string, string[]> = { CREATED: ["registered"], RUNNING: ["started", "resumed"] };
const [events, schedules] = ["docs/events.md", "docs/schedules.md"];

/** What the lines of a guide below a heading print: JSON as values. */
async function printed(guide: string, heading: string) {
  const scripts = await scriptsOf(guide, heading);
  expect(scripts).not.toEqual([]);
  const lines = await bash(scripts.join("").replaceAll("localhost:8080", new URL(service.url).host));
  return lines.map((line) => (line.startsWith("{") ? JSON.parse(line) : line));
}

test("docs/events.md: an event's life, its CloudEvents and its figures run as printed", async () => {
  await load(service.url, "examples/definitions");
  const inbox = { to: { aiAgentAddress: "oncall@example" } };
  const pool = { to: { definitionId: "qa-manager" }, priority: "CRITICAL" };
  const [, , match, published, event, pulled, tasks] = await printed(events, "A life");
  expect(match.matched).toEqual([expect.objectContaining(pool), expect.objectContaining(inbox)]);
  expect(published).toMatchObject({ messages: 1, tasks: 1, unhandled: false });
  expect(event).toMatchObject({ eventId: published.eventId, event: { subject: "device/7" } });
  expect(pulled.messages).toMatchObject([
    { senderAddress: "cams", messageType: "alert.blackscreen", payload: event.event },
  ]);
  expect(tasks.items).toMatchObject([
    { type: "alert.blackscreen", payload: event.event, cause: { kind: "EVENT", id: published.eventId } },
  ]);

  const [build, screen, batch, again, unhandled] = await printed(events, "As CloudEvents");
  expect([build, screen.unhandled, batch.events.length]).toEqual([again, true, 2]);
  const { body } = await service.get(`/v1/events/${screen.eventId}`);
  expect(body.event).toMatchObject({ source: "/lab/camera-3", datacontenttype: "image/png", data_base64: "iVBORw==" });
  expect(unhandled.items).toHaveLength(2);

  const [{ byType }] = await printed(events, "Figures, and how long it is kept");
  expect(byType).toContainEqual({ type: "event.unhandled", events: 3, unhandled: 0 });
});

test("docs/events.md: the log is followed as printed, and whoever comes back gets what came meanwhile", async () => {
  await service.post("/v1/events", { type: "alert.blackscreen" });
  const lines = await printed(events, "Follow the log");
  const types = lines.flatMap((line) => (typeof line === "string" && /"type":"([^"]*)/.exec(line)?.[1]) || []);
  expect(types).toEqual(["alert.blackscreen", "alert.frozen"]);
  expect(lines.at(-1)).toMatch(/^data: .*"severity":"minor"/);

  const [, page = ""] = /```js\n(.*?)```/s.exec(await readFile(events, "utf8")) ?? [];
  const script = page.replace('"/v1/', `"${service.url}/v1/`);
  const child = spawn(process.execPath, [
    "--experimental-eventsource",
    "-e",
    `${script}events.onopen = () => console.log("open")`,
  ]);
  onTestFinished(() => void child.kill("SIGKILL"));
  let told = "";
  child.stdout.on("data", (data) => (told += data));
  await expect.poll(() => told, { timeout: 5000 }).toBe("open\n");
  await service.post("/v1/events", { type: "alert.thawed" });
  await expect.poll(() => told).toMatch(/^open\n\d+-\d+-\d+ \{.*type: 'alert\.thawed'/s);
});

test("docs/events.md: what it says of the service's own events is what they are", async () => {
  await make.published({ metadata: { id: "analyst" } });
  const [subscribed] = await printed(events, "What happens in the service itself");
  expect(subscribed).toMatchObject({ eventType: "agent.task.failed", to: { definitionId: "analyst" } });

  const { definitionId: id, agentId } = await worker({ budgetLimitUsd: 1 });
  for (const verb of ["pause", "resume"]) await service.post(`/v1/agents/${agentId}/${verb}`, { reason: "tea" });
  for (const verb of ["complete", "fail"]) {
    await submitTo(agentId);
    const [{ taskId, leaseToken }] = (await claiming(agentId)).body.tasks;
    const failure = verb === "fail" && { error: { message: "broken" }, retryable: false };
    await act(taskId, verb, { leaseToken, usage: { costUsd: 0.4 }, ...failure });
  }
  await service.post("/v1/agent-health-sweep");
  await service.post(`/v1/agents/${agentId}/stop`, {});
  await make.published({ metadata: { id, version: "2.0.0" } });
  await service.delete(`/v1/definitions/${id}`);
  await service.post("/v1/events", { type: "nobody.cares" });

  const rows = await table(events, "type");
  const typesOf = ([types = ""]: string[]) => types.replace(/ \(.*/, "").split(", ");
  const happened = (await service.get("/v1/events?pageSize=1000")).body.items;
  for (const [row, types] of rows.map((row) => [row, typesOf(row)] as const)) {
    const seen = happened.filter(({ event }: { event: { type: string } }) => types.includes(event.type));
    const fields = new Set<string>(seen.flatMap(({ event }: { event: { data: object } }) => Object.keys(event.data)));
    const before = types.includes("agent.task.failed") ? `${rows[1]?.[2]}, ` : "";
    const said = row[2]?.replace("the same, and ", before).split(", ");
    expect([types[0], ...[...fields].sort()]).toEqual([types[0], ...(said?.sort() ?? [])]);
  }
  const [agents = [], , tasks = []] = rows;
  const named = AgentState.options.flatMap((state) => ALSO[state] ?? [state.toLowerCase()]);
  expect(typesOf(agents).sort()).toEqual(named.map((name) => `agent.${name}`).sort());
  const ends = TaskState.options.filter((state) => !["APPROVAL_REQUIRED", "SUBMITTED", "WORKING"].includes(state));
  expect(typesOf(tasks).sort()).toEqual(ends.map((state) => `agent.task.${state.toLowerCase()}`).sort());
});

test("docs/schedules.md: a schedule's life runs as printed", async () => {
  const [made, seen, run, runs, resting, once, list] = await printed(schedules, "A life");
  expect(made).toMatchObject({ cron: "30 2 * * MON-FRI", misfire: "once", nextRunAt: seen.preview[0] });
  expect(seen.preview).toHaveLength(5);
  expect(runs.items).toMatchObject([{ ...run, manual: true, outcome: "FIRED" }]);
  expect(resting).not.toHaveProperty("nextRunAt");
  expect(once).toMatchObject({ nextRunAt: "2099-12-31T22:00:00.000Z" });
  expect(once).not.toHaveProperty("cron");
  expect(list.items).toEqual([once]);
  expect((await service.get(`/v1/schedules/${made.scheduleId}`)).status).toBe(404);
});

test("docs/schedules.md: its table of policies is the rule's", async () => {
  const rows = await table(schedules, "`misfire`");
  const fired = (misfire: Misfire, now: string) => {
    const times = { cron: "0 * * * *", timeZone: "UTC" };
    const { runs } = plan(times, new Date("2027-03-01T11:00Z"), new Date(`2027-03-01T${now}Z`), { misfire });
    const isFired = runs.filter(({ outcome }) => outcome === "FIRED");
    return isFired.map(({ scheduledFor }) => scheduledFor.toISOString().slice(11, 16)).join(", ") || "nothing";
  };
  const policies = (["skip", "once", "all"] as const).map((misfire) => [
    misfire,
    fired(misfire, "14:01"),
    fired(misfire, "14:30"),
  ]);
  expect(rows.map(([misfire, ...back]) => [misfire?.replace(" (default)", ""), ...back.slice(0, 2)])).toEqual(policies);
});

test("docs/schedules.md: its times when clocks change are the rule's", async () => {
  const times = (cron: string, after: string, count: number) =>
    nextTimes({ cron, timeZone: "Europe/Berlin" }, new Date(after), count).map((time) =>
      time
        .toLocaleTimeString("de", { timeZone: "Europe/Berlin", hour: "numeric", minute: "2-digit" })
        .replace(/^0/, ""),
    );
  const [spring, autumn] = ["2027-03-28T00:10Z", "2027-10-31T00:10Z"];
  const [fixed = [], rhythm = []] = await table(schedules, "in Europe/Berlin");
  const clock = (cell = "") => cell.match(/\d?\d:\d\d/g);
  expect([clock(fixed[1]), clock(fixed[2])]).toEqual([times("30 2 * * *", spring, 1), times("30 2 * * *", autumn, 1)]);
  expect([clock(rhythm[1]), clock(rhythm[2])]).toEqual([
    times("*/30 * * * *", spring, 3),
    times("*/30 * * * *", autumn, 3),
  ]);
});
