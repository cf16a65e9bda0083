/** The one file of winston that is loaded: its index brings every transport there is, half of its time to load. */
declare module "winston/lib/winston/create-logger.js" {
  import { createLogger } from "winston";
  export default createLogger;
}
