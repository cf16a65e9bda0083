import createPipe from "winston/lib/winston/create-logger.js";
import Transport from "winston-transport";
import { googleSink } from "./google.ts";
import { type Fields, type Line, lineOf, type Severity, severities } from "./line.ts";
import { consoleSink, type Write } from "./sink.ts";

export { currentContext, type RequestContext, runWithContext, type Trace } from "./context.ts";
export type { Fields, HttpRequest, Severity } from "./line.ts";

/** Says what happens. Lines carry the current request's id, function and trace by themselves. */
export interface Logger {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warning(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  alert(message: string, fields?: Fields): void;
  /** Whether a line of this severity would be written: lets hot paths skip building fields. */
  enabled(severity: Severity): boolean;
  /** Brings the `google` transport, to be called after the first answer; resolves when it writes, never rejects. */
  load(): Promise<void>;
  /** Resolves when everything logged so far is written. */
  flush(): Promise<void>;
}

/** How lines are written; `project` links them to traces, `write` replaces standard output. */
export interface LoggerOptions {
  level: Severity;
  transport: "console" | "google";
  format: "json" | "text";
  project?: string | undefined;
  write?: Write | undefined;
}

/** Opens the log. Strings over 8 KiB are cut; payloads and credentials are for callers to leave out. */
export function createLogger(options: LoggerOptions): Logger {
  const { level, project, write = toStdout } = options;
  const coloured = write === toStdout && process.stdout.isTTY && process.stdout.hasColors();
  const sink =
    options.transport === "google" ? googleSink(write, project) : consoleSink(write, options.format, coloured);
  const pipe = createPipe({
    level,
    levels: severities,
    // Lines are rendered in the sink, which alone knows whether LoggingWinston will.
    format: { transform: (line) => line },
    transports: new Transport({
      log(line: Line, next) {
        sink.write(line);
        next();
      },
    }),
  });

  const enabled = (severity: Severity) => severities[severity] <= severities[level];
  const say = (severity: Severity) => (message: string, fields?: Fields) => {
    if (enabled(severity)) pipe.log(lineOf(severity, message, fields, project));
  };
  return {
    debug: say("DEBUG"),
    info: say("INFO"),
    warning: say("WARNING"),
    error: say("ERROR"),
    alert: say("ALERT"),
    enabled,
    load: sink.load,
    flush: () => {
      sink.flush();
      return write === toStdout ? drained() : Promise.resolve();
    },
  };
}

function toStdout(line: string): void {
  process.stdout.write(`${line}\n`);
}

function drained(): Promise<void> {
  return new Promise((resolve) => process.stdout.write("", () => resolve()));
}
