import { type Database, NOW } from "../db/database.ts";
import type { ConstraintProblems } from "../db/errors.ts";
import type { Hints } from "../db/hints.ts";
import type { Sql } from "../db/sql.ts";
import { type Caller, SYSTEM } from "../rules/access.ts";
import { agents } from "./agents.ts";
import { audit } from "./audit.ts";
import { budgets } from "./budgets.ts";
import { definitions } from "./definitions.ts";
import { deliveries } from "./deliveries.ts";
import { events } from "./events.ts";
import { health } from "./health.ts";
import { idempotency } from "./idempotency.ts";
import { inboxes } from "./inboxes.ts";
import { leases } from "./leases.ts";
import { messages } from "./messages.ts";
import { principals } from "./principals.ts";
import { quarantine } from "./quarantine.ts";
import { retention } from "./retention.ts";
import { schedules } from "./schedules.ts";
import { secrets } from "./secrets.ts";
import { subscriptions } from "./subscriptions.ts";
import { sweep } from "./sweep.ts";
import { system } from "./system.ts";
import { tasks } from "./tasks.ts";

const nouns = {
  inboxes,
  messages,
  leases,
  deliveries,
  health,
  agents,
  quarantine,
  secrets,
  sweep,
  tasks,
  budgets,
  definitions,
  events,
  subscriptions,
  schedules,
  principals,
  audit,
  idempotency,
  retention,
  system,
};
type Nouns = { readonly [Noun in keyof typeof nouns]: ReturnType<(typeof nouns)[Noun]> };

/** What a noun's methods stand on. */
export interface Context {
  db: Database;
  /** The database's clock, as SQL. */
  now: Sql;
  hints: Hints;
  /** On whose behalf: what it may see and change, and whose name stands on it. */
  caller: Caller;
  /** Runs `work` with the repository and what it stands on bound to one transaction. */
  transaction<T>(
    work: (repo: Repository, bound: Context) => Promise<T>,
    options?: { statementTimeoutSeconds?: number },
  ): Promise<T>;
}

/** Everything that is kept, by noun. */
export interface Repository extends Nouns {
  /** The same, on behalf of a caller: it sees and changes what that caller may, and the changes bear its name. */
  as(caller: Caller): Repository;
  /** The same object, bound to one transaction: name the parameter `repo`, so that the unbound one is out of reach. */
  transaction<T>(work: (repo: Repository) => Promise<T>): Promise<T>;
}

/** What the violation of a constraint means to a caller; a constraint that is not here is a defect of ours (500). */
export const constraints: ConstraintProblems = {
  tasks_agent: { code: "agent_not_found", detail: "The agent was deleted meanwhile." },
  tasks_pool: { code: "definition_retired", detail: "The definition was retired meanwhile." },
  agent_inboxes_address_unique: { code: "inbox_exists", detail: "An inbox is registered at this address already." },
  agent_inboxes_name_fits_type: {
    code: "invalid_request",
    detail: "does not fit the inbox's destination type",
    pointer: "/inboxName",
  },
  agents_key: { code: "agent_exists", detail: "An agent is registered under this id already." },
  agents_inbox_key: { code: "agent_exists", detail: "The inbox has an agent already." },
  agents_inbox: { code: "inbox_in_use", detail: "An agent was registered for the inbox just now." },
  agents_transition: { code: "agent_transition_refused", detail: "The agent's state has changed meanwhile." },
  agents_definition: { code: "definition_in_use", detail: "An agent was bound to the definition just now." },
  subscriptions_definition: { code: "definition_not_found", detail: "There is no such definition." },
  schedule_runs_schedule: { code: "schedule_not_found", detail: "The schedule was deleted just now." },
  subscriptions_inbox: { code: "inbox_not_found", detail: "There is no inbox at this address." },
  definition_versions_immutable: { code: "version_immutable", detail: "The version was published: it never changes." },
};

class Bound {
  readonly context: Context;

  constructor(db: Database, hints: Hints, now: Sql, caller: Caller) {
    const bind = (bound: Database) => new Bound(bound, hints, now, caller);
    this.context = {
      db,
      now,
      hints,
      caller,
      transaction: (work, options) =>
        db.transaction((bound) => {
          const repo = bind(bound);
          return work(repo as unknown as Repository, repo.context);
        }, options),
    };
  }

  as(caller: Caller): Repository {
    const { db, hints, now } = this.context;
    return createRepository(db, hints, now, caller);
  }

  transaction<T>(work: (repo: Repository) => Promise<T>): Promise<T> {
    return this.context.transaction(work);
  }
}

// Each request has a repository of its own, and as a rule needs one noun of it: made when first asked for.
for (const [name, noun] of Object.entries(nouns))
  Object.defineProperty(Bound.prototype, name, {
    get(this: Bound) {
      const value = noun(this.context);
      Object.defineProperty(this, name, { value });
      return value;
    },
  });

/**
 * Binds the nouns to a database and a caller, at first the service itself; `now` is the clock they read, the database's
 * own unless a test brings another.
 */
export function createRepository(db: Database, hints: Hints, now: Sql = NOW, caller: Caller = SYSTEM): Repository {
  return new Bound(db, hints, now, caller) as unknown as Repository;
}
