import { createServer, type IncomingHttpHeaders, request } from "node:http";
import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import type { App } from "../functions/compose.ts";
import { endpoints } from "../functions/index.ts";
import type { Caller } from "../shared/rules/access.ts";

/** What a function answered. */
export interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/**
 * Posts to functions within this process, as `who`. Whatever is asked of callers at the port, nobody need have a
 * credential for this one: its connections are pipes to which nothing else has the other end.
 */
export function callerWithin(app: App, who: Caller): (path: string, json?: string) => Promise<Answered> {
  const server = createServer(
    app.serve(endpoints, {
      async admit(_req, _role, _directory, introduce) {
        introduce?.(who.principal);
        return who;
      },
    }),
  );
  return (path, json) =>
    new Promise((resolve, reject) => {
      const [near, far] = duplexPair();
      server.emit("connection", far);
      const headers = json === undefined ? {} : { "content-type": "application/json" };
      const asked = request({ path, method: "POST", headers, createConnection: () => near }, (answer) => {
        text(answer)
          .then((text) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }))
          .catch(reject)
          .finally(() => near.destroy());
      });
      asked.once("error", reject).end(json);
    });
}
