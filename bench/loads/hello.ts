import { httpLanes, type StartLoad } from "../support/lanes.ts";

/** Asks the bare framework; with `body` as a POST, which its parsers read. */
export const viaHttp: StartLoad<{ url: string; body?: unknown }> = ({ url, body }) => {
  const { request, close } = httpLanes(url);
  return {
    async once(lane) {
      await request(lane, 200, body === undefined ? "GET" : "POST", "/", body);
      return { units: 1 };
    },
    close,
  };
};
