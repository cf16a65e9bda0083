import { Problem } from "../errors.ts";
import type { Endpoint } from "./endpoint.ts";

interface Node {
  literal: Map<string, Node>;
  parameter?: Node;
  endpoints: Map<string, Route>;
}

interface Route {
  endpoint: Endpoint;
  names: string[];
}

/** The endpoint that a request is for, and the parts of the path that are its parameters, decoded. */
export interface Match {
  endpoint: Endpoint;
  params: Record<string, string>;
}

/**
 * Finds endpoints by method and path; a literal segment goes before a parameter.
 * @throws Problem route_not_found; method_not_allowed; invalid_request when a segment's percent-encoding is broken
 */
export function createRouter(endpoints: readonly Endpoint[]): (method: string, path: string) => Match {
  const root: Node = { literal: new Map(), endpoints: new Map() };
  for (const endpoint of endpoints) {
    let node = root;
    const names: string[] = [];
    for (const segment of segmentsOf(endpoint.path)) {
      const name = /^\{(\w+)\}$/.exec(segment)?.[1];
      if (name === undefined) {
        const next = node.literal.get(segment) ?? { literal: new Map(), endpoints: new Map() };
        node.literal.set(segment, next);
        node = next;
      } else {
        names.push(name);
        node.parameter ??= { literal: new Map(), endpoints: new Map() };
        node = node.parameter;
      }
    }
    if (node.endpoints.has(endpoint.method)) throw new Error(`two endpoints for ${endpoint.method} ${endpoint.path}`);
    node.endpoints.set(endpoint.method, { endpoint, names });
  }

  return (method, path) => {
    const values: string[] = [];
    const node = walk(root, segmentsOf(path), 0, values);
    if (!node) throw new Problem("route_not_found", "There is nothing at this path.");
    // HEAD is GET without the body, which the server leaves out by itself.
    const route = node.endpoints.get(method === "HEAD" ? "GET" : method);
    if (!route) {
      const allow = [...node.endpoints.keys()].flatMap((known) => (known === "GET" ? ["GET", "HEAD"] : [known]));
      throw new Problem("method_not_allowed", `This path takes ${allow.join(", ")}.`, { allow });
    }
    const params: Record<string, string> = {};
    route.names.forEach((name, index) => {
      params[name] = decode(values[index] as string, name);
    });
    return { endpoint: route.endpoint, params };
  };
}

function walk(node: Node, segments: string[], index: number, values: string[]): Node | undefined {
  if (index === segments.length) return node.endpoints.size > 0 ? node : undefined;
  const segment = segments[index] as string;
  const literal = node.literal.get(segment);
  const found = literal && walk(literal, segments, index + 1, values);
  if (found || !node.parameter || segment === "") return found;
  values.push(segment);
  const below = walk(node.parameter, segments, index + 1, values);
  if (!below) values.pop();
  return below;
}

function segmentsOf(path: string): string[] {
  return path.slice(1).split("/");
}

function decode(segment: string, name: string): string {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    const errors = [{ pointer: `/${name}`, message: "is not percent-encoded UTF-8" }];
    throw new Problem("invalid_request", "The path cannot be read.", { errors, cause });
  }
}
