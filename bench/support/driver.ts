import type { Load, StartLoad } from "./lanes.ts";
import { percentile } from "./stats.ts";

/** What a driver is asked for: lanes side by side, for so long. */
export interface Order {
  lanes: number;
  milliseconds: number;
}

/** What it answers. */
export type Report =
  | { units: number; things: number; seconds: number; p50: number; p99: number }
  | { ready: true }
  | { error: string };

const [file, name, options] = process.argv.slice(2) as [string, string, string];
const exported = await import(`../loads/${file}.ts`);
const load = (exported[name] as StartLoad<unknown>)(JSON.parse(options));
const tell = (report: Report) => process.send?.(report);

process.on("message", (order: Order) => {
  run(load, order).then(tell, (error: Error) => tell({ error: error.message }));
});
// The benchmark is over, or was killed.
process.on("disconnect", () => load.close().finally(() => process.exit(0)));
tell({ ready: true });

/** A closed loop: each lane starts the next thing when its last one is done. */
async function run(load: Load, { lanes, milliseconds }: Order): Promise<Report> {
  const times: number[] = [];
  let units = 0;
  const start = performance.now();
  let last = start;
  const lane = async (number: number) => {
    for (let now = start; now - start < milliseconds; ) {
      const done = await load.once(number);
      if (done.units === 0) return;
      last = performance.now();
      units += done.units;
      times.push(done.milliseconds ?? last - now);
      now = last;
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
  times.sort((a, b) => a - b);
  const seconds = (last - start) / 1000;
  return { units, things: times.length, seconds, p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}
