import type { Line } from "./line.ts";

/** A line as Cloud Logging reads it from standard output: its own fields, ours beside them at the top. */
export function renderJson(line: Line): string {
  const { level, timestamp, message, httpRequest, fields } = line;
  const head = `{"severity":"${level}","timestamp":"${iso(timestamp)}","message":${JSON.stringify(message)}`;
  return `${head}${httpRequest ? `,"httpRequest":${JSON.stringify(httpRequest)}` : ""}${trace(line)}${inner(fields)}}`;
}

function trace(line: Line): string {
  const id = line["logging.googleapis.com/trace"];
  if (id === undefined) return "";
  const span = JSON.stringify(line["logging.googleapis.com/spanId"]);
  const sampled = line["logging.googleapis.com/trace_sampled"];
  const key = "logging.googleapis.com";
  return `,"${key}/trace":${JSON.stringify(id)},"${key}/spanId":${span},"${key}/trace_sampled":${sampled}`;
}

/** The properties of an object as JSON, each after a comma. */
function inner(properties: object): string {
  const json = JSON.stringify(properties);
  return json === "{}" ? "" : `,${json.slice(1, -1)}`;
}

let lastMoment = 0;
let lastIso = new Date(0).toISOString();

// A date as JSON takes 1.4 µs, as much as all the rest of a line; a busy process writes twenty in a millisecond.
function iso(at: Date): string {
  const moment = at.getTime();
  if (moment !== lastMoment) {
    lastMoment = moment;
    lastIso = at.toISOString();
  }
  return lastIso;
}
