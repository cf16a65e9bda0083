import type { Row } from "./bench.ts";
import { median, rounded } from "./stats.ts";

/** What came of one turn. */
export interface Turn {
  /** Rate per second, or time in milliseconds, as the row's unit says. */
  value: number;
  p50?: number;
  p99?: number;
  extra?: Record<string, number>;
}

/** Whatever takes turns: the first is what is measured, the others are its yardsticks. */
export interface Contender {
  name: string;
  turn(): Promise<Turn>;
}

/**
 * Lets contenders take turns, A B C A B C …, so that whatever else the machine does meets all of them alike; the first
 * round warms up and is not counted. Answers every contender's turns by name.
 */
export async function takeTurns(contenders: readonly Contender[], rounds: number): Promise<Map<string, Turn[]>> {
  const turns = new Map<string, Turn[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, turn } of contenders) {
      const result = await turn();
      if (round > 0) turns.get(name)?.push(result);
    }
  }
  return turns;
}

/** The medians over all rounds as a row; a ratio is the median of the rounds' ratios, not the ratio of the medians. */
export function rowOf(
  what: string,
  unit: string,
  turns: Map<string, Turn[]>,
  measured: string,
  yardsticks: string[],
): Row {
  const own = turnsOf(turns, measured);
  const middle = (key: "p50" | "p99") => {
    const values = own.map((turn) => turn[key]).filter((value) => value !== undefined);
    return values.length > 0 ? { [key]: rounded(median(values)) } : {};
  };
  const names = Object.keys(own[0]?.extra ?? {});
  const extra = names.map((name) => [name, rounded(median(own.map((turn) => turn.extra?.[name] ?? 0)))]);
  return {
    what,
    unit,
    value: rounded(median(own.map(({ value }) => value))),
    ...middle("p50"),
    ...middle("p99"),
    yardsticks: yardsticks.map((name) => {
      const theirs = turnsOf(turns, name);
      const ratios = own.map(({ value }, round) => value / (theirs[round]?.value ?? Number.NaN));
      return { name, value: rounded(median(theirs.map(({ value }) => value))), ratio: rounded(median(ratios)) };
    }),
    ...(names.length > 0 && { extra: Object.fromEntries(extra) }),
  };
}

function turnsOf(turns: Map<string, Turn[]>, name: string): Turn[] {
  const found = turns.get(name);
  if (!found) throw new Error(`nobody called ${name} took a turn`);
  return found;
}
