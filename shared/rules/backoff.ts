/** The pause after a first failed attempt; it doubles with each further one. */
export const FIRST_PAUSE_SECONDS = 1;
export const LONGEST_PAUSE_SECONDS = 300;
/** Either way, at random: those that failed together do not come back together. */
export const JITTER = 0.2;

/** Failures in a row after which an inbox is left alone for a while, and then tried with one message at a time. */
export const FAILURES_BEFORE_PAUSE = 5;
