// Follows the log of events, and goes on where it was: after a cut, a restart of the service, and its own end.
//
//   npx node examples/follow-events.ts [pattern]
//
// With a pattern (alert.*) it sees these types alone. It begins with what comes from now on, or behind its place.
// CAMS_URL (http://127.0.0.1:8080), CAMS_KEY (where the service asks for one), POSITION_FILE (events.position; its place)
import { readFile, rename, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

interface Event {
  eventid: string;
  type: string;
  source: string;
  subject?: string;
  data?: unknown;
}

/** What another attempt would only meet again. */
class Refused extends Error {}

const service = (process.env.CAMS_URL || "http://127.0.0.1:8080").replace(/\/$/, "");
const key = process.env.CAMS_KEY;
const file = process.env.POSITION_FILE || "events.position";
const [pattern] = process.argv.slice(2);
const path = `/v1/events/stream${pattern ? `?type=${encodeURIComponent(pattern)}` : ""}`;
/** The service writes something every 15 s: what is silent for longer is cut off, told or not. */
const SILENCE_MS = 45_000;
const say = (text: string) => console.log(`follow: ${text}`);

let place = (await readFile(file, "utf8").catch(() => "")).trim();
let failures = 0;

// Between two events: one that was begun is ended, and its place kept.
let working: Promise<void> = Promise.resolve();
for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.once(signal, () => working.finally(() => process.exit(0)).catch(() => {}));

for (;;) {
  try {
    if (!/^https?:/.test(service)) throw new Refused(`CAMS_URL must be an http or https URL, not ${service}`);
    await follow();
    // Ended well, as every stream is after an hour.
    failures = 0;
  } catch (error) {
    say((error as Error).message);
    if (error instanceof Refused) process.exit(1);
    failures++;
  }
  // Growing, and never twice the same, so that not all followers come back at one moment.
  await sleep(Math.min(10_000, 250 * 2 ** failures) * (1 + Math.random() / 4));
}

/** Yours goes here. An event may come a second time, where the process was killed before it kept its place: `eventid` tells. */
async function handle({ eventid, type, source, subject = "", data }: Event): Promise<void> {
  say(`${type} ${subject} of ${source}: ${JSON.stringify(data) ?? ""} (${eventid})`);
}

/** Follows until the stream ends; throws when it breaks off. */
async function follow(): Promise<void> {
  const cut = new AbortController();
  const silence = setTimeout(() => cut.abort(new Error(`nothing for ${SILENCE_MS / 1000} s`)), SILENCE_MS);
  try {
    const answer = await fetch(service + path, {
      headers: { ...(key && { "x-cams-key": key }), ...(place && { "last-event-id": place }) },
      signal: cut.signal,
    }).catch(({ message, cause }: Error & { cause?: { message?: string } }) => {
      throw new Error(`${service} does not answer (${cause?.message || message})`);
    });
    if (!answer.ok || !answer.body) await refuse(answer);
    failures = 0;
    say(place ? "goes on where it was" : "begins now");
    let rest = "";
    let frame: { id?: string; data?: string } = {};
    for await (const piece of (answer.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
      silence.refresh();
      const lines = (rest + piece).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [, name, value] = /^(id|data): (.*)$/.exec(line) ?? [];
        if (name) frame = { ...frame, [name]: value };
        if (line !== "") continue;
        working = take(frame);
        await working;
        frame = {};
      }
    }
  } finally {
    clearTimeout(silence);
  }
}

/** Without data it is a place alone: nothing came up to there that is looked for. */
async function take({ id, data }: { id?: string; data?: string }): Promise<void> {
  if (data !== undefined) await handle(JSON.parse(data));
  if (id === undefined || id === place) return;
  // Whole or not at all.
  await writeFile(`${file}.new`, id);
  await rename(`${file}.new`, file);
  place = id;
}

async function refuse(answer: Response): Promise<never> {
  const { code, detail } = (await answer.json().catch(() => ({}))) as { code?: string; detail?: string };
  const help = { 401: "Is CAMS_KEY right?", 410: `Remove ${file} to begin with what comes now.` }[answer.status] ?? "";
  const text = code ? `${code}: ${detail} ${help}`.trim() : `${service} answers ${answer.status}: is CAMS_URL right?`;
  const isFinal = answer.status < 500 && answer.status !== 429;
  throw new (isFinal ? Refused : Error)(text);
}
