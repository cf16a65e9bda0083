import { lookup } from "./lookup.ts";
import type { Bench } from "./support/bench.ts";

/** Every hot path that is measured. */
export const benches: readonly Bench[] = [lookup];
