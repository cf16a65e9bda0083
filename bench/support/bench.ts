import type { BenchDatabase } from "./database.ts";
import type { LoadProcess } from "./load.ts";
import type { Service } from "./service.ts";

/** One hot path, measured in turns with its yardsticks. */
export interface Bench {
  name: string;
  summary: string;
  run(context: Context): Promise<Row[]>;
}

/** One figure: rates per second or times in milliseconds, by `unit`. */
export interface Row {
  what: string;
  unit: string;
  value: number;
  /** Milliseconds of one request. */
  p50?: number;
  p99?: number;
  yardsticks: Yardstick[];
  /** Whatever else was read beside it, by name. */
  extra?: Record<string, number>;
}

/** What the same machine did at the same time without the service: `ratio` is the figure over the yardstick. */
export interface Yardstick {
  name: string;
  value: number;
  ratio: number;
}

/** What a benchmark may use; everything it starts ends with it. */
export interface Context {
  /** A smoke run: small tables, short turns, figures not to be quoted. */
  quick: boolean;
  rounds: number;
  turnMs: number;
  /** A migrated database of its own, durable; `settings` are PostgreSQL's, for this database only. */
  database(settings?: Record<string, string>): Promise<BenchDatabase>;
  /** The real service as `npm start` runs it, in a process of its own. */
  service(database: BenchDatabase, env?: Record<string, string>): Promise<Service>;
  /** URL of a bare functions-framework hello, in a process of its own. */
  hello(): Promise<string>;
  /** `host:port` of so many receivers of webhook calls and publishes, all in one process of their own. */
  receivers(count: number): Promise<string[]>;
  /** A process of its own that puts load on something: `bench/loads/<file>.ts`, its export `name`. */
  load(file: string, name: string, options: object): Promise<LoadProcess>;
  /** Runs `end` when the benchmark is over. */
  defer(end: () => unknown): void;
  progress(text: string): void;
}

/** The service's log level: the production default, with standard output to the null device, so logging is paid for. */
export const LOG_LEVEL = "INFO";
