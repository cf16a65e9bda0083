import { lookup } from "./lookup.ts";
import { pull } from "./pull.ts";
import { send } from "./send.ts";
import type { Bench } from "./support/bench.ts";

/** Every hot path that is measured. */
export const benches: readonly Bench[] = [lookup, send, pull];
