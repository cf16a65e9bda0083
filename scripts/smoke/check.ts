import { type Exchanged, problemOf } from "../exchange.ts";
import type { Client } from "./client.ts";

/** What is known of the installation, and what the checks before have found. */
export interface Installation {
  client: Client;
  /** Of tokens that are made up to be refused. */
  audience: string;
  /** Who we are to CAMS; undefined: nobody said. */
  principal: string | undefined;
  waitSeconds: number;
  patienceSeconds: number;
  /** The job's full name, and how often to look what became of it (1000); undefined: none is to be run. */
  scheduler: { job: string; pollMs?: number } | undefined;
}

/** A check and the inbox it may use. */
export interface Smoke extends Installation {
  address: string;
  /** The inbox's path. */
  inbox: string;
  /** Who registered the inbox, as CAMS says; undefined: it is not registered. */
  registeredBy?: string;
}

/** A title, and what makes it true: answers something worth knowing, or nothing. */
export type Check = readonly [title: string, (smoke: Smoke) => Promise<string | undefined>];

/** Thrown by a check: the installation is not as it should be. */
export class Failed extends Error {}
/** Thrown by a check that cannot be made here. */
export class Skipped extends Error {}

/**
 * @throws Failed unless it is answered with this status
 * @returns the body
 */
export function expectStatus(answer: Exchanged, status: number, what: string): Record<string, unknown> {
  if (answer.status === status) return (answer.json ?? {}) as Record<string, unknown>;
  throw new Failed(`${what} answers ${described(answer)}, not ${status}`);
}

/** An answer in a few words. */
export function described(answer: Exchanged): string {
  const problem = problemOf(answer);
  if (problem) return `${answer.status} ${problem.code}: ${problem.detail}`;
  return `${answer.status}${answer.status < 300 && answer.json !== undefined ? "" : " (not by CAMS)"}`;
}

/**
 * Whether it was refused because nobody knows who calls. CAMS says 401; Google's fronts say 401, 403 or, of headers
 * that they do not take, 400. A 403 by CAMS would mean that it believed who calls.
 */
export function isRefused(answer: Exchanged): boolean {
  return problemOf(answer) ? answer.status === 401 : [400, 401, 403].includes(answer.status);
}

/** @throws Skipped when there is no inbox to check with */
export function needsInbox({ registeredBy }: Smoke): void {
  if (registeredBy === undefined) throw new Skipped("no inbox was registered");
}
