import { host } from "./host.ts";
import { endpoints } from "./index.ts";

/** Every endpoint as a function of its own, and `cams`, which serves them all by method and path. */
host({ ...Object.fromEntries(endpoints.map((endpoint) => [endpoint.name, [endpoint]])), cams: endpoints });
