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

/** What takes turns: something measured, or a yardstick for it. */
export interface Contender {
  name: string;
  turn(): Promise<Turn>;
}

/** A figure to come: who is measured, and by which yardsticks. */
export interface Case {
  what: string;
  unit: string;
  measured: Contender;
  yardsticks: Contender[];
}

/**
 * Lets all who are measured and their yardsticks take turns, A B C A B C …, so that whatever else the machine does meets
 * all of them alike. The first round warms up and is not counted. Figures are medians over the rounds; a ratio is the
 * median of the rounds' ratios, not the ratio of the medians.
 */
export async function measure(
  cases: readonly Case[],
  rounds: number,
  progress: (text: string) => void,
): Promise<Row[]> {
  const contenders = new Set(cases.flatMap(({ measured, yardsticks }) => [measured, ...yardsticks]));
  const turns = new Map<Contender, Turn[]>([...contenders].map((contender) => [contender, []]));
  for (let round = 0; round <= rounds; round++) {
    progress(round === 0 ? "warming up" : `round ${round} of ${rounds}`);
    for (const contender of contenders) {
      const result = await contender.turn();
      if (round > 0) turns.get(contender)?.push(result);
    }
  }
  return cases.map((one) => rowOf(one, turns));
}

function rowOf({ what, unit, measured, yardsticks }: Case, turns: Map<Contender, Turn[]>): Row {
  const own = turns.get(measured) ?? [];
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
    yardsticks: yardsticks.map((yardstick) => {
      const theirs = turns.get(yardstick) ?? [];
      const ratios = own.map(({ value }, round) => value / (theirs[round]?.value ?? Number.NaN));
      return {
        name: yardstick.name,
        value: rounded(median(theirs.map(({ value }) => value))),
        ratio: rounded(median(ratios)),
      };
    }),
    ...(names.length > 0 && { extra: Object.fromEntries(extra) }),
  };
}
