import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runnerFor } from "./support/example.ts";
import { useService } from "./support/service.ts";
import { startFront } from "./support/tcp-front.ts";

const service = useService();
const run = runnerFor(service);
const publish = (type: string) => service.post("/v1/events", { type, payload: { type } });

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cams-examples-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

test("a follower that is cut off, killed and ended sees every event that fits, in order", {
  timeout: 30_000,
}, async () => {
  const POSITION_FILE = join(await temporaryFolder(), "position");
  const front = await startFront(Number(new URL(service.url).port));
  onTestFinished(front.close);
  const start = () =>
    run("follow-events.ts", ["alert.*"], { POSITION_FILE, CAMS_URL: `http://127.0.0.1:${front.port}` });
  const told = ({ lines }: { lines: string[] }) => lines.flatMap((line) => /"type":"([\w.]+)"/.exec(line)?.[1] ?? []);

  const first = start();
  await first.line(/^follow: begins now$/);
  await publish("alert.one");
  await publish("other");
  await first.line(/^follow: alert\.one {2}of \/v1\/principals\/local: {"type":"alert\.one"} \(/);
  front.cut();
  await publish("alert.two");
  await first.line(/goes on where it was/);
  await first.line(/alert\.two/);
  const [two] = await service.sql<{ place: string }>(
    "select transaction_id || '-' || seq as place from cams.events where type = 'alert.two'",
  );
  await expect.poll(() => readFile(POSITION_FILE, "utf8")).toContain(`-${two?.place}`);
  first.kill("SIGKILL");
  await first.ended;
  await publish("alert.three");

  const second = start();
  await second.line(/alert\.three/);
  second.kill("SIGTERM");
  expect(await second.ended).toBe(0);
  await publish("alert.four");

  const third = start();
  await third.line(/alert\.four/);
  expect([first, second, third].map(told)).toEqual([["alert.one", "alert.two"], ["alert.three"], ["alert.four"]]);
});

test("a place that is lost, a wrong pattern and a wrong CAMS_URL are one clear line and exit code 1", async () => {
  const POSITION_FILE = join(await temporaryFolder(), "position");
  await writeFile(POSITION_FILE, "1000-5-1");
  for (const [args, env, line] of [
    [[], { POSITION_FILE }, /^follow: position_expired: .* Remove \S+position to begin with what comes now\.$/],
    [["a..b"], {}, /^follow: invalid_request: \/type must be segments/],
    [[], { CAMS_URL: "localhost:8080" }, /^follow: CAMS_URL must be an http or https URL, not localhost:8080$/],
  ] as const) {
    const follower = run("follow-events.ts", [...args], env);
    expect(await follower.ended).toBe(1);
    expect(follower.lines).toEqual([expect.stringMatching(line)]);
  }
});

test("the demo of events ends well and leaves nothing behind", { timeout: 60_000 }, async () => {
  const folder = await temporaryFolder();
  const demo = run("event-flow.ts", [], { TMPDIR: folder });
  expect(await demo.ended, demo.lines.join("\n")).toBe(0);
  for (const line of [
    /qa-manager 1\.1\.0, by its trigger alert\.blackscreen: a CRITICAL task/,
    /the second time it was the same event/,
    /qa-1 is awake, and has alert\.blackscreen of device\/7, critical/,
    /agent\.task\.started, agent\.task\.completed/,
    /of 7 events it has seen all, [1-9] of them after it came back/,
    /── All as it should be, in \d+\.\d\d s/,
  ])
    expect(demo.lines).toContainEqual(expect.stringMatching(line));
  expect(await readdir(folder)).toEqual([]);
});
