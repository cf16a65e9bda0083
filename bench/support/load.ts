import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Order, Report } from "./driver.ts";
import type { Service } from "./service.ts";
import type { Turn } from "./turns.ts";

/** A turn takes half a second: after this an answer was lost. */
const REPORT_WITHIN_MS = 30_000;

/** A process that puts load on something when told. */
export interface LoadProcess {
  /** One turn; with `service`, `extra` says the CPU time that it took of the service's process for each thing done. */
  turn(lanes: number, milliseconds: number, service?: Service): Promise<Turn & { units: number }>;
  end(): void;
}

/** Starts a load in a process of its own, so that no two of them, nor the benchmark, share a thread. */
export async function startLoad(file: string, name: string, options: object): Promise<LoadProcess> {
  const child = fork(join(import.meta.dirname, "driver.ts"), [file, name, JSON.stringify(options)]);
  const ask = async (order: Order) => {
    child.send(order);
    return reportOf(child, `${file}.${name}`);
  };
  await reportOf(child, `${file}.${name}`);
  return {
    async turn(lanes, milliseconds, service) {
      const before = service?.cpuSeconds();
      const report = await ask({ lanes, milliseconds });
      const after = service?.cpuSeconds();
      if (!("units" in report)) throw new Error(`${file}.${name} did no turn`);
      const { units, things, seconds, p50, p99 } = report;
      const cpu = before !== undefined && after !== undefined ? after - before : undefined;
      return {
        value: units / seconds,
        units,
        p50,
        p99,
        ...(cpu !== undefined && { extra: { "service CPU µs/request": (cpu / things) * 1e6 } }),
      };
    },
    end: () => child.connected && child.disconnect(),
  };
}

async function reportOf(child: ChildProcess, name: string): Promise<Report> {
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(REPORT_WITHIN_MS)]);
  try {
    const report = await Promise.race([
      once(child, "message", { signal }).then(([message]) => message as Report),
      once(child, "exit", { signal }).then(([code]): Report => ({ error: `ended with ${code}` })),
    ]);
    if ("error" in report) throw new Error(`${name}: ${report.error}`);
    return report;
  } finally {
    gone.abort();
  }
}
