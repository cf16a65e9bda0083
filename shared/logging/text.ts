import { styleText } from "node:util";
import type { Line, Severity } from "./line.ts";

const labels: Record<Severity, string> = {
  DEBUG: "DEBUG",
  INFO: "INFO ",
  WARNING: "WARN ",
  ERROR: "ERROR",
  ALERT: "ALERT",
};

const colours: Record<Severity, Parameters<typeof styleText>[0]> = {
  DEBUG: "gray",
  INFO: "green",
  WARNING: "yellow",
  ERROR: "red",
  ALERT: ["bold", "red"],
};

// Said elsewhere in the line, or of no use to somebody who sees one process and one request at a time.
const unsaid = new Set([
  "function",
  "requestId",
  "milliseconds",
  "databaseMilliseconds",
  "statements",
  "error",
  "stack_trace",
]);

/** A line for a person at a terminal: time, severity, message, durations, other fields, then any stack. */
export function renderText(line: Line, coloured: boolean): string {
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    coloured && text ? styleText(style, text, { validateStream: false }) : text;
  const time = paint("dim", clock(line.timestamp));
  const label = paint(colours[line.level], labels[line.level]);
  const head = `${time} ${label} ${clean(line.message)}${durations(line.fields)}${paint("dim", others(line.fields))}`;
  return head + trouble(line.fields);
}

function clock(at: Date): string {
  const pad = (value: number, width = 2) => String(value).padStart(width, "0");
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`;
}

function durations(fields: Line["fields"]): string {
  const { milliseconds, databaseMilliseconds, statements } = fields;
  const all = typeof milliseconds === "number" ? ` ${milliseconds.toFixed(1)} ms` : "";
  if (typeof databaseMilliseconds !== "number" || !statements) return all;
  return `${all} (db ${databaseMilliseconds.toFixed(1)} ms, ${statements} statement${statements === 1 ? "" : "s"})`;
}

function others(fields: Line["fields"]): string {
  const said = Object.entries(fields).filter(([name, value]) => value !== undefined && !unsaid.has(name));
  return said
    .map(([name, value]) => ` ${name}=${clean(typeof value === "string" ? value : JSON.stringify(value))}`)
    .join("");
}

function trouble({ error, stack_trace: stack }: Line["fields"]): string {
  if (typeof stack === "string")
    return stack
      .split("\n")
      .map((each) => `\n    ${clean(each)}`)
      .join("");
  return error === undefined ? "" : ` error=${clean(JSON.stringify(error))}`;
}

// A caller's path or user agent must not move the cursor or change the title of somebody's terminal.
function clean(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
