import RateLimiterMemory from "rate-limiter-flexible/lib/RateLimiterMemory.js";
import { Problem } from "../errors.ts";

const WINDOW_SECONDS = 60;

/** Counts one more of a principal's requests. */
export type Count = (principal: string) => Promise<void>;

/**
 * Counts requests by principal, in this process; 0: there is no limit.
 * @throws Problem rate_limited
 */
export function createCount(perMinute: number): Count {
  if (perMinute === 0) return async () => {};
  const limiter = new RateLimiterMemory({ points: perMinute, duration: WINDOW_SECONDS });
  return async (principal) => {
    try {
      await limiter.consume(principal);
    } catch (refusal) {
      if (refusal instanceof Error) throw refusal;
      const { msBeforeNext } = refusal as { msBeforeNext: number };
      throw new Problem("rate_limited", `More than ${perMinute} requests in a minute.`, {
        retryAfterSeconds: Math.max(1, Math.ceil(msBeforeNext / 1000)),
      });
    }
  };
}
