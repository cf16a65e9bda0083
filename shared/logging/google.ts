import { renderJson } from "./json.ts";
import { type Line, lineOf, severities } from "./line.ts";
import type { Sink, Write } from "./sink.ts";

// A start writes a dozen lines; past a thousand something is wrong and should be seen.
const HELD_AT_MOST = 1000;

// With no client of its own the library asks the metadata server for one, and off Google's cloud warns after seconds.
const nobody = { universeDomain: "googleapis.com", getRequestHeaders: async () => new Headers() };

/**
 * Lines through `@google-cloud/logging-winston`, which takes 200 ms to load, 350 unbundled: until `load` has brought it
 * they are held, and written by our own format if the process ends, an error is among them, or too many wait.
 */
export function googleSink(write: Write, project: string | undefined, open = openTransport): Sink {
  let held: Line[] = [];
  let through: ((line: Line) => void) | undefined;
  let loading: Promise<void> | undefined;

  const release = (to: (line: Line) => void) => {
    const lines = held;
    held = [];
    for (const line of lines) to(line);
  };
  const ours = (line: Line) => write(renderJson(line));
  const spill = () => release(ours);

  async function load(): Promise<void> {
    const opened = await open(write, project).catch((error: unknown) => {
      held.push(lineOf("WARNING", "logging-winston did not load: lines keep our own format", { error }, project));
      return ours;
    });
    release(opened);
    through = opened;
  }

  process.on("exit", spill);
  return {
    write(line) {
      if (through) return through(line);
      held.push(line);
      // A process that fails before its first answer is killed without notice, and its errors are why.
      if (line.level === "ERROR" || line.level === "ALERT" || held.length === HELD_AT_MOST) spill();
    },
    load: () => (loading ??= load()),
    flush: spill,
  };
}

/**
 * Opens LoggingWinston so that it writes through `write`, fields at the top, and never uses the network; beside its
 * first line it writes one that names the library.
 */
async function openTransport(write: Write, project = "-"): Promise<(line: Line) => void> {
  const { LoggingWinston } = await import("@google-cloud/logging-winston");
  const options = {
    projectId: project,
    logName: "cams",
    levels: severities,
    redirectToStdout: true,
    useMessageField: false,
    authClient: nobody,
    // Without gRPC, which writes nothing here: 50 ms to construct instead of 115, and 13 MB less.
    fallback: true,
  };
  const transport = new LoggingWinston(options as unknown as ConstructorParameters<typeof LoggingWinston>[0]);
  const { common } = transport;

  // It puts fields under `metadata`; metrics and queries made for the other transport look for them at the top.
  const entry = common.entry.bind(common);
  common.entry = (about, data) => {
    const { message, metadata } = data as { message?: string; metadata?: { fields?: object } };
    return entry(about, metadata?.fields ? { message, ...metadata.fields } : data);
  };
  const log = common.cloudLog as unknown as { transport: { write(line: string): void } };
  log.transport = { write: (line) => write(line.trimEnd()) };
  return (line) => transport.log(line, () => {});
}
