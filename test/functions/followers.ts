import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { expect, onTestFinished } from "vitest";
import type { Service } from "../support/service.ts";

/** One block of a stream, as it came. */
export interface Block {
  id?: string;
  retry?: string;
  // biome-ignore lint/suspicious/noExplicitAny: what is in it is what a test asserts
  data?: any;
  comment?: true;
}

/** A connection that reads a stream of events byte by byte, and knows nothing of EventSource. */
export interface RawFollower {
  answer: IncomingMessage;
  blocks: Block[];
  /** The types of the events so far. */
  types(): string[];
  /** The last id that a whole block brought. */
  lastId(): string | undefined;
  /** Resolves at its end: whether the body was complete. */
  ended: Promise<boolean>;
  destroy(): void;
}

/** Connects, and resolves when the first block is there; the test's end disconnects. */
export async function follow(
  url: string,
  query: Record<string, string> = {},
  headers: Record<string, string> = {},
): Promise<RawFollower> {
  const asked = request(`${url}/v1/events/stream?${new URLSearchParams(query)}`, { headers, agent: false });
  asked.on("error", () => {});
  asked.end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  const blocks: Block[] = [];
  let rest = "";
  answer.setEncoding("utf8").on("data", (text) => {
    const parts = (rest + text).split("\n\n");
    rest = parts.pop() ?? "";
    blocks.push(...parts.map(blockOf));
  });
  answer.on("error", () => {});
  const ended = new Promise<boolean>((resolve) => answer.once("close", () => resolve(answer.complete)));
  onTestFinished(() => void asked.destroy());
  if (answer.statusCode === 200) await expect.poll(() => blocks.length, { interval: 2, timeout: 10_000 }).not.toBe(0);
  return {
    answer,
    blocks,
    types: () => blocks.flatMap(({ data }) => data?.type ?? []),
    lastId: () => blocks.findLast(({ id }) => id !== undefined)?.id,
    ended,
    destroy: () => void asked.destroy(),
  };
}

function blockOf(text: string): Block {
  const block: Block = {};
  for (const line of text.split("\n")) {
    const [, field, value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "") block.comment = true;
    else if (field === "data") block.data = JSON.parse(value);
    else if (field === "id" || field === "retry") block[field] = value;
    else throw new Error(`no field of ours: ${line}`);
  }
  return block;
}

/** Writes events past the service; `$1` are their types, `$2` how many characters of data each has. */
export const INSERT = `
  insert into cams.events (event_id, published_at, published_by, source, id, type, time, datacontenttype, data, priority, routed)
  select event_id, now(), 'test', '/test', event_id, type, now(), 'application/json',
    json_build_object('text', repeat('x', $2)), 3, true
  from (
    select cams.uuid7(now()) as event_id, type, n from unnest($1::text[]) with ordinality as given (type, n)
  ) given
  order by n`;

/** Says, as a process does, that there is more in the log. */
export const HINT = "select pg_notify('cams_hints', E'test\\nevents')";

/** Publishes events past the service, in one transaction, and says so as a process does. */
export async function publish(service: Pick<Service, "sql">, types: readonly string[], size = 0): Promise<void> {
  await service.sql(INSERT, [types, size]);
  await service.sql(HINT);
}

/** How often the log was read so far, and for how many seconds an event has been held back from followers. */
export async function figures(service: Pick<Service, "get">): Promise<{ reads: number; heldBack: number }> {
  const { body } = await service.get("/metrics");
  const figure = (name: string) =>
    Number(
      body
        .split("\n")
        .find((line: string) => line.startsWith(name))
        ?.split(" ")
        .at(-1) ?? 0,
    );
  return {
    reads: figure('cams_db_operations_total{operation="events.read_after",outcome="ok"}'),
    heldBack: figure("cams_events_held_back_seconds"),
  };
}

/** How often the log was read so far. */
export const reads = async (service: Pick<Service, "get">): Promise<number> => (await figures(service)).reads;
