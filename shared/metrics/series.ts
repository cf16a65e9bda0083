// Unit separator: no label of ours contains it.
const BETWEEN = "\u001f";

/** One figure of a metric, as Prometheus writes it. */
export interface Sample {
  metricName?: string;
  labels: Record<string, string | number>;
  value: number;
}

/** A metric's name, meaning and labels, in the order in which label values are given. */
export interface Description {
  name: string;
  help: string;
  labelNames: readonly string[];
}

function key(first = "", second?: string | number, third?: string | number): string {
  if (second === undefined) return first;
  return third === undefined ? first + BETWEEN + second : first + BETWEEN + second + BETWEEN + third;
}

function labelsOf(names: readonly string[], key: string): Record<string, string> {
  const values = key.split(BETWEEN);
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? ""]));
}

/** Numbers by label values: a counter by `add`, a gauge by `set`. */
export class Numbers {
  readonly #values = new Map<string, { value: number }>();
  readonly description: Description;

  constructor(description: Description) {
    this.description = description;
  }

  add(amount: number, first?: string, second?: string | number, third?: string | number): void {
    this.#of(key(first, second, third)).value += amount;
  }

  set(value: number, first?: string): void {
    this.#of(key(first)).value = value;
  }

  samples(): Sample[] {
    return Array.from(this.#values, ([key, { value }]) => ({
      labels: labelsOf(this.description.labelNames, key),
      value,
    }));
  }

  #of(key: string): { value: number } {
    const found = this.#values.get(key);
    if (found) return found;
    const fresh = { value: 0 };
    this.#values.set(key, fresh);
    return fresh;
  }
}

/** Durations by one label, counted in buckets whose upper bounds, in seconds, rise. */
export class Durations {
  readonly #values = new Map<string, { counts: number[]; count: number; sum: number }>();
  readonly description: Description;
  readonly #bounds: readonly number[];

  constructor(description: Description, bounds: readonly number[]) {
    this.description = description;
    this.#bounds = bounds;
  }

  observe(seconds: number, label: string): void {
    const found = this.#values.get(label) ?? { counts: this.#bounds.map(() => 0), count: 0, sum: 0 };
    if (found.count === 0) this.#values.set(label, found);
    found.count += 1;
    found.sum += seconds;
    const bucket = this.#bounds.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) found.counts[bucket] = (found.counts[bucket] ?? 0) + 1;
  }

  samples(): Sample[] {
    const { name, labelNames } = this.description;
    return Array.from(this.#values).flatMap(([label, { counts, count, sum }]) => {
      const labels = labelsOf(labelNames, label);
      let below = 0;
      const buckets = this.#bounds.map((bound, index) => {
        below += counts[index] ?? 0;
        return { metricName: `${name}_bucket`, labels: { ...labels, le: bound }, value: below };
      });
      return [
        ...buckets,
        { metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: count },
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: count },
      ];
    });
  }
}
