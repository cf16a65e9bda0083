import type { z } from "zod";
import type { ProblemCode } from "../errors.ts";
import type { Logger } from "../logging/index.ts";
import type { Metrics } from "../metrics/index.ts";
import type { Repository } from "../repository/index.ts";
import type { DatabaseRole, Role } from "../rules/access.ts";

/** What a deployment needs to know of a function. */
export interface Runtime {
  memoryMb: number;
  timeoutSeconds: number;
  /** Requests one instance works on at once. */
  concurrency: number;
  maxInstances: number;
  /** Cron expression in UTC by which Cloud Scheduler calls it. */
  schedule?: string;
}

/** What the service itself offers a handler beside the repository. */
export interface Services {
  log: Logger;
  metrics: Metrics;
  /** Brings the database's schema up to date, and its users' rights where the configuration names them. */
  migrate(): Promise<{ applied: string[]; version: string; granted: string[]; revoked: string[] }>;
  /** How many days finished messages and health transitions are kept. */
  retentionDays: number;
  /** Delivers what is due for as long as is configured, or until `signal` aborts. */
  deliver(signal: AbortSignal): Promise<{ delivered: number; failed: number; deadLettered: number }>;
  /** What is wrong with a webhook's URL: by its form alone, or with the addresses of its name, asked over the network. */
  destinations: { faultByForm(url: string): string | undefined; faultOf(url: string): Promise<string | undefined> };
  /** A new API key; of its secret only `hash` is to be kept. */
  makeApiKey(): { keyId: string; key: string; hash: Buffer };
  /** Resolves when every process acts on what principals and keys have become: each remembers them for a second. */
  rightsSettle(): Promise<void>;
  /** A new secret to sign with, as its owner gets it and as it is stored. */
  makeSecret(address: string): { secret: string; sealed: Buffer };
  /** Encrypts with the first SECRETS_KEY what was encrypted with another, as long as `mayGoOn` lets it. */
  resealSecrets(
    mayGoOn: () => boolean,
  ): Promise<{ secretsResealed: number; secretsUnreadable: number; complete: boolean }>;
}

/** Waits, without a database connection, until `attempt` answers something; see `Hints.waitFor`. */
export type Wait = <T>(topic: string, seconds: number, attempt: () => Promise<T | undefined>) => Promise<T | undefined>;

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

/** What a handler is given. */
export interface Call<P, Q, B> {
  params: Parsed<P>;
  query: Parsed<Q>;
  body: Parsed<B>;
  /** On behalf of the caller: it sees and changes what that may. */
  repo: Repository;
  /** Aborts when the caller is gone, the deadline has passed, or the process is to end. */
  signal: AbortSignal;
  /** Revisions named by `If-Match`; undefined when any will do. */
  ifMatch: readonly number[] | undefined;
  /** The caller's trace, to be stored on what is created. */
  traceparent: string | undefined;
  /** Marks the answer as a repetition of an earlier one (`Idempotent-Replayed`). */
  replayed(): void;
  wait: Wait;
  services: Services;
}

interface Definition<P, Q, B, A> {
  /** `<room>-<verb>`: the function's name, and its file. */
  name: string;
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `/v1/things/{thingId}`: each `{name}` is a key of `params`. */
  path: string;
  summary: string;
  description?: string;
  role: Role;
  /** As whom its statements are run, when it is not the usual one for its role. */
  databaseRole?: DatabaseRole;
  params?: P;
  query?: Q;
  body?: B;
  status: 200 | 201 | 202 | 204;
  /** The answer's shape; none with 204. */
  returns?: z.ZodType<A>;
  /** The answer's media type when it is not JSON: the handler then returns the text. */
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
  check?(call: Pick<Call<P, Q, B>, "body" | "services">): Promise<void>;
  handler(call: Call<P, Q, B>): Promise<NoInfer<A>>;
}

/** One endpoint: everything that must know of it is a function of this value. */
export interface Endpoint
  extends Omit<Definition<z.ZodType, z.ZodType, z.ZodType, unknown>, "handler" | "check" | "location" | "runtime"> {
  runtime: Runtime;
  location?(answer: unknown): string;
  check?(call: Pick<Call<unknown, unknown, unknown>, "body" | "services">): Promise<void>;
  handler(call: Call<unknown, unknown, unknown>): Promise<unknown>;
}

const USUAL: Runtime = { memoryMb: 256, timeoutSeconds: 60, concurrency: 80, maxInstances: 3 };

/** Declares an endpoint: identity, authority, shapes, handler. A wrong answer or an unknown problem does not compile. */
export function defineEndpoint<
  P extends z.ZodType | undefined = undefined,
  Q extends z.ZodType | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  A = void,
>(definition: Definition<P, Q, B, A>): Endpoint {
  return { ...definition, runtime: { ...USUAL, ...definition.runtime } } as unknown as Endpoint;
}

const USUAL_DATABASE_ROLE: Record<Role, DatabaseRole> = {
  public: "cams_reader",
  agent: "cams_agent",
  operator: "cams_operator",
  admin: "cams_operator",
  system: "cams_system",
};

/** As whom an endpoint's statements are run. */
export function databaseRoleOf({ role, databaseRole }: Pick<Endpoint, "role" | "databaseRole">): DatabaseRole {
  return databaseRole ?? USUAL_DATABASE_ROLE[role];
}
