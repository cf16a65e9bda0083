import { endpoints } from "../../functions/index.ts";
import type { Endpoint } from "../../shared/http/endpoint.ts";

/**
 * One endpoint for each answer of `kindOf`, which says what the code before all endpoints is told of one: that code needs
 * no more of them to be tried in full, however many there come to be.
 */
export function oneOfEach(kindOf: (endpoint: Endpoint) => unknown[]): Set<Endpoint> {
  return new Set(new Map(endpoints.map((endpoint) => [kindOf(endpoint).join(" "), endpoint])).values());
}

/** The media types of an endpoint's forms beside JSON, as one text. */
export function typesOf(forms: Endpoint["forms"] = []): string {
  return forms.map(({ type }) => type).join(" ");
}
