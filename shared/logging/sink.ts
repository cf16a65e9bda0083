import { renderJson } from "./json.ts";
import type { Line } from "./line.ts";
import { renderText } from "./text.ts";

/** Writes one rendered line, given without its line end. */
export type Write = (line: string) => void;

/** Where lines go: written at once, or held until `load` has brought what writes them. */
export interface Sink {
  write(line: Line): void;
  /** Resolves, never rejects, when lines go where they should. */
  load(): Promise<void>;
  /** Writes what is held. */
  flush(): void;
}

/** Lines written as they come: JSON for machines, text for people. */
export function consoleSink(write: Write, format: "json" | "text", coloured: boolean): Sink {
  return {
    write: format === "json" ? (line) => write(renderJson(line)) : (line) => write(renderText(line, coloured)),
    load: async () => {},
    flush: () => {},
  };
}
