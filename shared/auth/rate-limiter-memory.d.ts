/** The one file of the package that is loaded: its index, with a limiter for every store there is, costs five times that. */
declare module "rate-limiter-flexible/lib/RateLimiterMemory.js" {
  import { RateLimiterMemory } from "rate-limiter-flexible";
  export default RateLimiterMemory;
}
