import { LRUCache } from "lru-cache";
import { Problem } from "../errors.ts";

/**
 * How long a look-up holds. Who waits that long after having committed a change of principals or keys knows that no
 * process lets anybody in on what was true before.
 */
export const CACHE_MS = 1000;
const MAX_KEPT = 10_000;

/** What was found, and by what moment it must not be relied on any more. */
export interface Found<T> {
  value: T;
  /** When the look-up began: what it found may have changed since. */
  begun: number;
}

/** Finds by id: what was looked up less than `CACHE_MS` ago is not looked up again. */
export type Lookups<T> = (id: string, look: (id: string) => Promise<T>) => Promise<Found<T>>;

/** Keeps look-ups, found or not, by id; those of one id at the same time are one. */
export function createLookups<T>(now: () => number): Lookups<T> {
  const kept = new LRUCache<string, { begun: number; looking: Promise<T> }>({ max: MAX_KEPT });

  function begin(id: string, look: (id: string) => Promise<T>) {
    const begun = now();
    const entry = { begun, looking: look(id) };
    kept.set(id, entry);
    entry.looking.catch(() => {
      if (kept.peek(id) === entry) kept.delete(id);
    });
    return entry;
  }

  return async (id, look) => {
    // Twice, since the first may have had to wait for a connection to be made: a second one late means a slow database.
    for (let attempt = 0; attempt < 2; attempt++) {
      const known = kept.get(id);
      const { begun, looking } = known && now() < known.begun + CACHE_MS ? known : begin(id, look);
      const value = await looking;
      if (now() < begun + CACHE_MS) return { value, begun };
    }
    throw new Problem("database_unavailable", "It takes too long to look up who calls.", { retryAfterSeconds: 1 });
  };
}
