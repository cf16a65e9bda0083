/** Priorities by rank: the number stored is the position, 1 for the most urgent. */
export const RANKED = ["CRITICAL", "HIGH", "NORMAL", "LOW"] as const;

/** Waiting that one step of priority is worth. */
export const SECONDS_PER_STEP = 60;
/** The most that a rank lies behind its message's time: LOW, three steps. A claim need not look further ahead. */
export const MAX_HEAD_START_SECONDS = (RANKED.length - 1) * SECONDS_PER_STEP;

export function priorityRank(word: (typeof RANKED)[number]): number {
  return RANKED.indexOf(word) + 1;
}
