/** Every problem the API can answer: its HTTP status and title (RFC 9457). The key is the `code`. */
export const problems = {
  invalid_request: { status: 400, title: "The request is not valid" },
  malformed_json: { status: 400, title: "The body is not JSON" },
  unauthenticated: { status: 401, title: "The caller is not known" },
  forbidden: { status: 403, title: "The caller may not do this" },
  route_not_found: { status: 404, title: "There is no such path" },
  inbox_not_found: { status: 404, title: "No inbox is registered at this address" },
  principal_not_found: { status: 404, title: "There is no such principal" },
  key_not_found: { status: 404, title: "The principal has no such key" },
  definition_not_found: { status: 404, title: "There is no such definition" },
  version_not_found: { status: 404, title: "The definition has no such version" },
  message_not_found: { status: 404, title: "There is no such message" },
  agent_not_found: { status: 404, title: "There is no such agent" },
  task_not_found: { status: 404, title: "There is no such task" },
  event_not_found: { status: 404, title: "There is no such event" },
  subscription_not_found: { status: 404, title: "There is no such subscription" },
  schedule_not_found: { status: 404, title: "There is no such schedule" },
  method_not_allowed: { status: 405, title: "This path does not take this method" },
  inbox_exists: { status: 409, title: "The address is taken" },
  inbox_in_use: { status: 409, title: "An agent is reached by the inbox" },
  inbox_inactive: { status: 409, title: "The inbox takes part in no messaging now" },
  inbox_not_webhook: { status: 409, title: "The inbox is not a webhook" },
  inbox_not_pulled: { status: 409, title: "The inbox is not a pull queue" },
  too_many_keys: { status: 409, title: "The principal has as many keys as it may" },
  message_finished: { status: 409, title: "The message has already come to its end" },
  version_exists: { status: 409, title: "The definition has this version already" },
  version_immutable: { status: 409, title: "A version that was published never changes" },
  version_not_published: { status: 409, title: "The version is not published" },
  version_current: { status: 409, title: "The version is the current one" },
  member_unresolved: { status: 409, title: "A member of the team has no version that would do" },
  definition_kind_mismatch: { status: 409, title: "The definition is of another kind" },
  definition_retired: { status: 409, title: "The definition is retired" },
  definition_in_use: { status: 409, title: "The definition is in use" },
  definition_disabled: { status: 409, title: "The definition is not enabled" },
  budget_exhausted: { status: 409, title: "The definition's budget of this month is used up" },
  agent_exists: { status: 409, title: "The agent is registered already" },
  agent_running: { status: 409, title: "The agent is running" },
  agent_not_running: { status: 409, title: "The agent is not running" },
  agent_transition_refused: { status: 409, title: "The agent's state does not allow this" },
  dependency_failed: { status: 409, title: "A task that this one depends on did not complete" },
  lease_expired: { status: 409, title: "The lease is over" },
  task_finished: { status: 409, title: "The task has already come to its end" },
  task_not_finished: { status: 409, title: "The task has not come to its end" },
  approval_decided: { status: 409, title: "The task does not wait for an approval" },
  message_id_reused: { status: 409, title: "The sender's message id was used for another message" },
  event_id_reused: { status: 409, title: "The CloudEvent's id was used for another event" },
  too_many_subscriptions: { status: 409, title: "The target has as many subscriptions as it may" },
  subscription_of_definition: { status: 409, title: "The subscription is a trigger of a definition" },
  idempotency_key_reused: { status: 409, title: "The idempotency key was used for another request" },
  migration_refused: { status: 409, title: "The schema cannot be brought up to date like this" },
  position_expired: { status: 410, title: "The log does not go back so far" },
  revision_mismatch: { status: 412, title: "The resource has changed since it was read" },
  body_too_large: { status: 413, title: "The body is too large" },
  unsupported_media_type: { status: 415, title: "The body's type is not taken here" },
  queue_full: { status: 429, title: "The queue is full" },
  rate_limited: { status: 429, title: "Too many requests" },
  internal: { status: 500, title: "Something went wrong on our side" },
  issuer_unavailable: { status: 503, title: "The issuer of the token does not answer" },
  database_unavailable: { status: 503, title: "The database does not answer" },
  schema_outdated: { status: 503, title: "The database's schema is older than this code" },
  overloaded: { status: 503, title: "The service is busy" },
  deadline_exceeded: { status: 503, title: "The request took too long" },
} as const satisfies Record<string, { status: number; title: string }>;

/** The stable word by which a program tells one problem from another. */
export type ProblemCode = keyof typeof problems;

/** One fault of a request: a JSON pointer (RFC 6901) into the body, query or path, and what is wrong there. */
export interface Fault {
  pointer: string;
  message: string;
}

interface ProblemOptions {
  errors?: Fault[];
  retryAfterSeconds?: number;
  allow?: string[];
  cause?: unknown;
}

/** A refusal: thrown by rules, repository and handlers, rendered as `application/problem+json` in one place. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly errors: Fault[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly allow: string[] | undefined;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, { cause: options.cause });
    this.name = "Problem";
    this.code = code;
    this.errors = options.errors;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.allow = options.allow;
  }

  get status(): number {
    return problems[this.code].status;
  }

  /** As one item's result in a batch. */
  toItem(): { code: ProblemCode; status: number; title: string; detail: string } {
    return { code: this.code, status: this.status, title: problems[this.code].title, detail: this.message };
  }

  /** As the answer's body: says nothing but what the caller may know. */
  toBody(requestId: string): Record<string, unknown> {
    return {
      type: `/problems/${this.code}`,
      ...this.toItem(),
      requestId,
      ...(this.errors && { errors: this.errors }),
    };
  }
}

/** The refusal of a destination's name. */
export function destinationRefused(fault: string): Problem {
  return new Problem("invalid_request", "The destination is refused.", {
    errors: [{ pointer: "/inboxName", message: fault }],
  });
}

/** The refusal of a caller of whom it is not known who it is; the detail repeats nothing of a credential. */
export function unauthenticated(detail: string): Problem {
  return new Problem("unauthenticated", detail);
}

/** The refusal of a caller who may not do this, though it is known who it is. */
export function forbidden(detail: string): Problem {
  return new Problem("forbidden", detail);
}

/** The refusal of a principal that is not registered. */
export function principalNotFound(id: string): Problem {
  return new Problem("principal_not_found", `There is no principal ${id}.`);
}

/** The refusal of an address at which nothing is registered. */
export function inboxNotFound(address: string): Problem {
  return new Problem("inbox_not_found", `No inbox is registered at ${address}.`);
}

/** The refusal of a definition that was never made. */
export function definitionNotFound(id: string): Problem {
  return new Problem("definition_not_found", `There is no definition ${id}.`);
}

/** The refusal of a version that a definition does not have; without one, none is current. */
export function versionNotFound(id: string, version: string | undefined, retired = false): Problem {
  const none = retired ? `${id} is retired: name a version to read it.` : `${id} has no current version: name one.`;
  const detail = version ? `${id} has no version ${version}.` : none;
  return new Problem("version_not_found", detail);
}

/** The refusal of an agent that is not registered. */
export function agentNotFound(id: string): Problem {
  return new Problem("agent_not_found", `There is no agent ${id}.`);
}

/** The refusal of an event that never was, or is kept no longer. */
export function eventNotFound(id: string): Problem {
  return new Problem("event_not_found", `There is no event ${id}.`);
}

/** The refusal of a subscription that there is not. */
export function subscriptionNotFound(id: string): Problem {
  return new Problem("subscription_not_found", `There is no subscription ${id}.`);
}

/** The refusal of a schedule that there is not. */
export function scheduleNotFound(id: string): Problem {
  return new Problem("schedule_not_found", `There is no schedule ${id}.`);
}

/** The refusal of a task that there is not, or that the caller may not see. */
export function taskNotFound(id: string): Problem {
  return new Problem("task_not_found", `There is no task ${id}.`);
}
