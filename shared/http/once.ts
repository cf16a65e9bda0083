import { createHash, hash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Repository } from "../repository/index.ts";
import type { Caller } from "../rules/access.ts";
import { type Answer, kept } from "./answer.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Body } from "./request.ts";
import { originForm } from "./target.ts";

/** A creating call with an idempotency key. */
interface CreatingCall {
  endpoint: Endpoint;
  key: string;
  caller: Caller;
  /** What is asked for, as `hashOf` makes it. */
  hash: Buffer;
}

/** Runs it at most once for a key; its answer is kept by the transaction that created. */
export function once(
  own: Repository,
  { endpoint, key, caller, hash }: CreatingCall,
  answer: (repo: Repository) => Promise<Answer>,
): Promise<Answer> {
  const scope = { principal: holderOf(caller), functionName: endpoint.name, key };
  return own.transaction(async (repo) => {
    const known = await repo.idempotency.take(scope, hash);
    if (known) return { ...known, headers: { ...known.headers, "Idempotent-Replayed": "true" } };
    const first = await answer(repo);
    await repo.idempotency.keep(scope, kept(first, endpoint.shownOnce));
    return first;
  });
}

/** What makes two requests under one idempotency key the same: what is asked for, and the body in all that is read of it. */
export function hashOf(req: IncomingMessage, body: Body | undefined): Buffer {
  const target = `${originForm(req.url ?? "/")}\n`;
  return createHash("sha256")
    .update(target)
    .update(body?.form.headingOf?.(req) ?? "")
    .update(body?.bytes ?? "")
    .digest();
}

/** Whose idempotency keys they are: who holds a limited key gets no answer that was given for another one. */
function holderOf({ principal, limitedTo }: Caller): string {
  return limitedTo ? `${principal} ${hash("sha256", limitedTo.toSorted().join(" "))}` : principal;
}
