import { type Database, NOW } from "../db/database.ts";
import type { ConstraintProblems } from "../db/errors.ts";
import type { Hints } from "../db/hints.ts";
import type { Sql } from "../db/sql.ts";
import { type Caller, SYSTEM } from "../rules/access.ts";
import { deliveries } from "./deliveries.ts";
import { health } from "./health.ts";
import { idempotency } from "./idempotency.ts";
import { inboxes } from "./inboxes.ts";
import { leases } from "./leases.ts";
import { messages } from "./messages.ts";
import { principals } from "./principals.ts";
import { retention } from "./retention.ts";
import { secrets } from "./secrets.ts";
import { sweep } from "./sweep.ts";
import { system } from "./system.ts";

/** What a noun's methods stand on. */
export interface Context {
  db: Database;
  /** The database's clock, as SQL. */
  now: Sql;
  hints: Hints;
  /** On whose behalf: what it may see and change, and whose name stands on it. */
  caller: Caller;
  /** Runs `work` with the repository and the database bound to one transaction. */
  transaction<T>(
    work: (repo: Repository, db: Database) => Promise<T>,
    options?: { statementTimeoutSeconds?: number },
  ): Promise<T>;
}

/** Everything that is kept, by noun. */
export interface Repository {
  inboxes: ReturnType<typeof inboxes>;
  messages: ReturnType<typeof messages>;
  leases: ReturnType<typeof leases>;
  deliveries: ReturnType<typeof deliveries>;
  health: ReturnType<typeof health>;
  secrets: ReturnType<typeof secrets>;
  sweep: ReturnType<typeof sweep>;
  idempotency: ReturnType<typeof idempotency>;
  principals: ReturnType<typeof principals>;
  retention: ReturnType<typeof retention>;
  system: ReturnType<typeof system>;
  /** The same, on behalf of a caller: it sees and changes what that caller may, and the changes bear its name. */
  as(caller: Caller): Repository;
  /** The same object, bound to one transaction: name the parameter `repo`, so that the unbound one is out of reach. */
  transaction<T>(work: (repo: Repository) => Promise<T>): Promise<T>;
}

/** What the violation of a constraint means to a caller; a constraint that is not here is a defect of ours (500). */
export const constraints: ConstraintProblems = {
  agent_inboxes_address_unique: { code: "inbox_exists", detail: "An inbox is registered at this address already." },
  agent_inboxes_name_fits_type: {
    code: "invalid_request",
    detail: "does not fit the inbox's destination type",
    pointer: "/inboxName",
  },
};

/**
 * Binds the nouns to a database and a caller, at first the service itself; `now` is the clock they read, the database's
 * own unless a test brings another.
 */
export function createRepository(db: Database, hints: Hints, now: Sql = NOW, caller: Caller = SYSTEM): Repository {
  const context: Context = {
    db,
    now,
    hints,
    caller,
    transaction: (work, options) =>
      db.transaction((bound) => work(createRepository(bound, hints, now, caller), bound), options),
  };
  return {
    inboxes: inboxes(context),
    messages: messages(context),
    leases: leases(context),
    deliveries: deliveries(context),
    health: health(context),
    secrets: secrets(context),
    sweep: sweep(context),
    idempotency: idempotency(context),
    principals: principals(context),
    retention: retention(context),
    system: system(context),
    as: (other) => createRepository(db, hints, now, other),
    transaction: (work) => context.transaction(work),
  };
}
