const MAX_PAUSE_MS = 2_000;

/** Milliseconds to wait after so many failures in a row: twice as long each time, half of it by chance. */
export function pauseAfter(failures: number): number {
  return Math.min(MAX_PAUSE_MS, 25 * 2 ** failures) * (0.5 + Math.random() / 2);
}
