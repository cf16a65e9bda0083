import type { ProblemCode } from "../../../shared/errors.ts";
import type { Endpoint } from "../../../shared/http/endpoint.ts";
import type { Answer } from "../client.ts";
import { makerFor } from "../make.ts";
import type { Service } from "../service.ts";

/** What a case prepares with. */
export interface Kit {
  service: Service;
  make: ReturnType<typeof makerFor>;
}

/** A request for one endpoint; what is not given is not sent. */
export interface Call {
  params?: Record<string, string>;
  query?: Record<string, string>;
  body?: Record<string, unknown>;
  headers?: Record<string, string>;
}

/** Prepares what a request needs, and answers the request. */
export type Case = (kit: Kit) => Promise<Call>;

/** How one endpoint is called rightly, and for each problem of its own so that it answers this problem. */
export interface EndpointCases {
  success: Case;
  errors: Partial<Record<ProblemCode, Case>>;
  /** Of what can be created once only: makes room to create it again. */
  makeRoom?(kit: Kit, call: Call): Promise<unknown>;
}

/** Cases by endpoint name. */
export type RoomCases = Record<string, EndpointCases>;

export function kitFor(service: Service): Kit {
  return { service, make: makerFor(service) };
}

/** The path that a call asks for, query included. */
export function pathOf(endpoint: Endpoint, { params = {}, query }: Call): string {
  const path = endpoint.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ""));
  return query ? `${path}?${new URLSearchParams(query)}` : path;
}

/** Makes the call; `headers` go before its own. */
export function perform(
  { service }: Kit,
  endpoint: Endpoint,
  call: Call,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const body = call.body && JSON.stringify(call.body);
  const given = { ...(body && { "content-type": "application/json" }), ...call.headers, ...headers };
  return service.raw(endpoint.method, pathOf(endpoint, call), body, given);
}
