import type * as z from "zod";
import type { Topics } from "../db/hints.ts";
import type { ProblemCode } from "../errors.ts";
import type { Logger } from "../logging/index.ts";
import type { Metrics } from "../metrics/index.ts";
import type { Repository } from "../repository/index.ts";
import type { Caller, DatabaseRole, Role } from "../rules/access.ts";
import type { Service } from "../services/service.ts";
import type { BodyForm } from "./forms.ts";

/** What a deployment needs to know of a function. */
export interface Runtime {
  memoryMb: number;
  timeoutSeconds: number;
  /** Requests one instance works on at once. */
  concurrency: number;
  /** The database's connections are shared out over all functions: one that is rarely called has one instance. */
  maxInstances: number;
  /** Database connections of one instance. */
  poolSize: number;
  /** Whether an instance holds one more, to listen, while requests wait. */
  listens: boolean;
  /** Cron expression in UTC by which Cloud Scheduler calls it. */
  schedule?: string;
}

/** What every handler is offered beside the repository. */
export interface Services {
  log: Logger;
  metrics: Metrics;
  /** How many days finished messages and health transitions are kept. */
  retentionDays: number;
  /** How many days finished tasks and the history of agents are kept. */
  taskRetentionDays: number;
  /** How many days events and the records of schedules are kept. */
  eventRetentionDays: number;
  /** A new API key; of its secret only `hash` is to be kept. */
  makeApiKey(): { keyId: string; key: string; hash: Buffer };
  /** Resolves when every process acts on what principals and keys have become: each remembers them for a second. */
  rightsSettle(): Promise<void>;
}

/** Waits, without a database connection, until `attempt` answers something; see `Hints.waitFor`. */
export type Wait = <T>(
  topics: Topics,
  seconds: number,
  attempt: () => Promise<T | undefined>,
) => Promise<T | undefined>;

/** Services that an endpoint needs beyond those, by the name it calls them. */
type Needs = Readonly<Record<string, Service<unknown>>>;
type Needed<N extends Needs> = { [Name in keyof N]: N[Name] extends Service<infer T> ? T : never };

/** The schema of a form that has one of its own. */
type SchemaOf<F> = F extends { schema?: infer S } ? Extract<S, z.ZodType> : never;

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

/** What a handler is given. */
export interface Call<P = unknown, Q = unknown, B = unknown, N extends Needs = Needs> {
  params: Parsed<P>;
  query: Parsed<Q>;
  body: Parsed<B>;
  caller: Caller;
  /** On behalf of the caller: it sees and changes what that may. */
  repo: Repository;
  /** Aborts when the caller is gone, the deadline has passed, or the process is to end. */
  signal: AbortSignal;
  /** Revisions named by `If-Match`; undefined when any will do. */
  ifMatch: readonly number[] | undefined;
  /** Whether the caller has this revision already (`If-None-Match`). */
  knows(revision: number): boolean;
  /** Where the caller's last stream ended (`Last-Event-ID`). */
  lastEventId: string | undefined;
  /** The caller's trace, to be stored on what is created. */
  traceparent: string | undefined;
  /** Marks the answer as a repetition of an earlier one (`Idempotent-Replayed`). */
  replayed(): void;
  /** Names the file that the answer is saved as. */
  attach(filename: string): void;
  wait: Wait;
  services: Services & Needed<N>;
}

interface Definition<P, Q, B, A, N extends Needs, F extends BodyForm> {
  /** `<room>-<verb>`: the function's name, and its file. */
  name: string;
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `/v1/things/{thingId}`: each `{name}` is a key of `params`. */
  path: string;
  summary: string;
  description?: string;
  role: Role;
  /** As whom its statements are run, when it is not the usual one for its role; `none`: it has no statements. */
  databaseRole?: DatabaseRole | "none";
  /** What it needs beside the repository; with it come rights in the cloud. */
  needs?: N;
  params?: P;
  query?: Q;
  body?: B;
  /** Other forms that the body may have, beside the JSON that `body` describes. */
  forms?: readonly F[];
  status: 200 | 201 | 202 | 204;
  /** The answer's shape; none with 204. */
  returns?: z.ZodType<A>;
  /**
   * The answer's media type when it is not JSON: the handler then returns the text, and with `text/event-stream` its
   * pieces. Each request for these is taken for one that waits; `signal` ends them.
   */
  contentType?: string;
  /** Path of what was created, for `Location`. */
  location?(answer: NoInfer<A>): string;
  /** Takes `Idempotency-Key`: every endpoint that creates something. */
  idempotent?: true;
  /** The whole answer follows from its `revision`: who has it already (`If-None-Match`) is answered 304. */
  revalidates?: true;
  /** Problems of its own; those every endpoint can answer go without saying. */
  errors: readonly ProblemCode[];
  runtime?: Partial<Runtime>;
  /** Fields of the answer that are shown this once: they are left out of what is kept for a repetition. */
  shownOnce?: readonly string[];
  /** Asks the world what must be known before the handler, which may run in a transaction. */
  check?(call: Pick<Call<P, Q, B | SchemaOf<F>, N>, "body" | "services">): Promise<void>;
  handler(call: Call<P, Q, B | SchemaOf<F>, N>): Promise<NoInfer<A>>;
}

/** One endpoint: everything that must know of it is a function of this value. */
export interface Endpoint
  extends Omit<
    Definition<z.ZodType, z.ZodType, z.ZodType, unknown, Needs, BodyForm>,
    "handler" | "check" | "location" | "runtime"
  > {
  runtime: Runtime;
  location?(answer: unknown): string;
  check?(call: Pick<Call, "body" | "services">): Promise<void>;
  handler(call: Call): Promise<unknown>;
}

const USUAL: Runtime = {
  memoryMb: 256,
  timeoutSeconds: 60,
  concurrency: 80,
  maxInstances: 1,
  poolSize: 1,
  listens: false,
};

/** Declares an endpoint: identity, authority, shapes, handler. A wrong answer or an unknown problem does not compile. */
export function defineEndpoint<
  P extends z.ZodType | undefined = undefined,
  Q extends z.ZodType | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  A = void,
  N extends Needs = Record<never, never>,
  F extends BodyForm = BodyForm<undefined>,
>(definition: Definition<P, Q, B, A, N, F>): Endpoint {
  return { ...definition, runtime: { ...USUAL, ...definition.runtime } } as unknown as Endpoint;
}

const USUAL_DATABASE_ROLE: Record<Role, DatabaseRole> = {
  public: "cams_reader",
  agent: "cams_agent",
  operator: "cams_operator",
  admin: "cams_operator",
  system: "cams_system",
};

/** As whom an endpoint's statements are run; undefined when it has none. */
export function databaseRoleOf({ role, databaseRole }: Pick<Endpoint, "role" | "databaseRole">) {
  return databaseRole === "none" ? undefined : (databaseRole ?? USUAL_DATABASE_ROLE[role]);
}
