import type { Metric, Registry } from "prom-client";
import type { Durations, Numbers } from "./series.ts";

/** The series of a process, by what Prometheus calls their types. */
export interface Series {
  counters: readonly Numbers[];
  gauges: readonly Numbers[];
  histograms: readonly Durations[];
}

/** A registry that reads the series whenever it is asked, beside what prom-client knows of the process itself. */
export async function openRegistry({ counters, gauges, histograms }: Series): Promise<Registry> {
  // 50 ms to load, and a timer every 10 ms from then on: not for a process whose metrics nobody reads.
  const { Counter, collectDefaultMetrics, Gauge, Registry } = await import("prom-client");
  const registry = new Registry();
  const registers = [registry];

  for (const counter of counters)
    new Counter({
      ...counter.description,
      registers,
      collect() {
        this.reset();
        for (const { labels, value } of counter.samples()) this.inc(labels, value);
      },
    });
  for (const gauge of gauges)
    new Gauge({
      ...gauge.description,
      registers,
      collect() {
        this.reset();
        for (const { labels, value } of gauge.samples()) this.set(labels, value);
      },
    });
  for (const histogram of histograms) registry.registerMetric(asMetric(histogram));
  collectDefaultMetrics({ register: registry });
  return registry;
}

// prom-client's own histogram takes observations one by one; the registry asks no more of a metric than this.
function asMetric(histogram: Durations): Metric {
  const { name, help } = histogram.description;
  const get = async () => ({ name, help, type: "histogram", aggregator: "sum", values: histogram.samples() });
  return { name, get } as unknown as Metric;
}
