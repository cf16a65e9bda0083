import * as z from "zod";
import { DATABASE_ROLES, type DatabaseRole } from "./rules/access.ts";

const seconds = z.coerce.number().int().positive();

/** Values separated by commas. */
const list = () =>
  z
    .string()
    .default("")
    .transform((text) => text.split(",").flatMap((entry) => entry.trim() || []));

/** The roles that functions serve under. */
const SERVING = DATABASE_ROLES.filter((role) => role !== "cams_migrator");

/** `user=role`, separated by commas; a user may stand there with several roles. */
const grants = z.string().transform((text, context) =>
  text.split(",").flatMap((entry, index) => {
    if (entry.trim() === "") return [];
    const [, user = "", name] = /^\s*(.*\S)\s*=\s*(\w+)\s*$/.exec(entry) ?? [];
    const role = SERVING.find((serving) => serving === name);
    if (role && !DATABASE_ROLES.includes(user as DatabaseRole)) return { user, role };
    context.addIssue(`entry ${index + 1} must be user=role, the role one of ${SERVING.join(", ")}`);
    return z.NEVER;
  }),
);

/** `issuer` or `issuer=keys`: both https, or http to this machine; `|` parts an issuer from its subjects in our ids. */
function isIssuer(entry: string): boolean {
  return entry.split("=").length <= 2 && !entry.includes("|") && entry.split("=").every(isSafe);
}

/** Whether nobody on the way can answer in the place of a URL: https, or http to this machine. */
export function isSafe(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username } = new URL(url);
  const isHere = ["127.0.0.1", "localhost", "[::1]"].includes(hostname);
  return username === "" && (protocol === "https:" || (protocol === "http:" && isHere));
}

/** What an issuer's subjects are called by: two that differ in the scheme alone would speak for one another. */
function withoutScheme(entry: string): string {
  return entry.replace(/=.*/, "").replace(/^https?:\/\//, "");
}

function areDistinct(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}

/** Every environment variable the service reads. `docs/configuration.md` and `.env.example` derive from it. */
export const environment = z.object({
  DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/ })
    .optional()
    .describe(
      "PostgreSQL to use, as `postgresql://user:password@host:port/database`. The user may take the database roles it " +
        "serves under; to migrate an empty one it needs CREATEROLE and CREATE in the database, or be a superuser.",
    ),
  INSTANCE_CONNECTION_NAME: z
    .string()
    .regex(/^[^:]+:[^:]+:[^:]+$/, "must be project:region:instance")
    .optional()
    .describe("Cloud SQL instance, `project:region:instance`: connects through the connector with IAM authentication."),
  DB_USER: z.string().optional().describe("Cloud SQL: the IAM database user, without `.gserviceaccount.com`."),
  DB_NAME: z.string().default("cams").describe("Cloud SQL: the database."),
  DB_IP_TYPE: z.enum(["PRIVATE", "PUBLIC", "PSC"]).default("PRIVATE").describe("Cloud SQL: the address to connect to."),
  SQL_ADMIN_ENDPOINT: z.url().optional().describe("Cloud SQL Admin API's endpoint, such as a private one."),
  DB_POOL_SIZE: z.coerce
    .number()
    .int()
    .min(1)
    .max(100)
    .default(8)
    .describe(
      "Connections this process may hold at once for each database role; a function has one. The listener is not counted.",
    ),
  DB_STATEMENT_TIMEOUT_SECONDS: seconds.default(5).describe("Longest a statement may run; scheduled functions get 55."),
  DATABASE_GRANTS: grants
    .optional()
    .describe(
      "Database users and the role that each serves under, as `user=role`, separated by commas: system-migrate grants these " +
        "and takes the roles back from all others. Not set: it leaves the users' rights alone.",
    ),
  CLOUD_RUN_TIMEOUT_SECONDS: seconds.optional().describe("Set by Cloud Run: no request may take longer."),
  MAX_REQUESTS: z.coerce
    .number()
    .int()
    .min(1)
    .default(512)
    .describe("Requests this process works on at once, waiting ones not counted; beyond it 503 `overloaded`."),
  MAX_WAITERS: z.coerce
    .number()
    .int()
    .min(1)
    .default(2000)
    .describe("Requests that may wait at once (`waitSeconds`); beyond it 503 `overloaded`."),
  RETENTION_DAYS: z.coerce
    .number()
    .int()
    .min(1)
    .max(3650)
    .default(30)
    .describe("Days that finished messages and changes of health are kept."),
  TASK_RETENTION_DAYS: z.coerce
    .number()
    .int()
    .min(1)
    .max(3650)
    .default(365)
    .describe("Days that finished tasks and the history of agents are kept: by whole months."),
  EVENT_RETENTION_DAYS: z.coerce
    .number()
    .int()
    .min(1)
    .max(3650)
    .default(30)
    .describe("Days that events and the records of schedules are kept: events by whole days."),
  AUTH_MODE: z
    .enum(["oidc", "none"])
    .default("oidc")
    .describe(
      "`oidc`: every caller proves who it is. `none`: every caller is the local administrator; `npm start` says so unless " +
        "told otherwise, and it is refused on Cloud Run and off the loopback interface.",
    ),
  AUTH_ISSUERS: list()
    .refine((issuers) => issuers.every(isIssuer), "must be https URLs (http on loopback), as issuer or issuer=keys")
    .refine((issuers) => areDistinct(issuers.map(withoutScheme)), "must name each issuer once")
    .describe(
      "Issuers whose tokens (OpenID Connect) are taken. `issuer=URL` names the URL of its keys; without, it is discovered.",
    ),
  AUTH_AUDIENCES: list().describe("Audiences of which a token must name one; needed with AUTH_ISSUERS."),
  PLATFORM_AUTH: z
    .enum(["none", "iam"])
    .default("none")
    .describe(
      "`iam`: Cloud Run checks the invoker, whose token comes without its signature. Only where it really does.",
    ),
  AUTH_PLATFORM_AUDIENCES: list().describe(
    "Audiences of which a platform token must name one; needed with PLATFORM_AUTH.",
  ),
  AUTH_GATEWAY_ACCOUNT: z
    .string()
    .transform((account) => account.trim().toLowerCase())
    .optional()
    .describe("The API Gateway's service account: no caller itself, it passes on its callers' tokens."),
  AUTH_SYSTEM_ACCOUNTS: list().describe(
    "Principals with the role `system`: Cloud Scheduler's and the deployer's accounts.",
  ),
  CAMS_ADMINS: list().describe("Principals that are administrators without being registered: the first ones."),
  RATE_LIMIT_PER_MINUTE: z.coerce
    .number()
    .int()
    .min(0)
    .default(6000)
    .describe("Requests a principal may make of one process in a minute, system accounts aside; 0: any number."),
  SECRETS_KEY: z
    .string()
    .refine(
      (keys) => keys.split(",").every((key) => Buffer.from(key, "base64").length === 32),
      "must be 32 bytes in base64, or several such separated by commas",
    )
    .optional()
    .describe("Encrypts the secrets of webhooks: 32 bytes in base64. Several: the first encrypts, all decrypt."),
  ALLOW_INSECURE_DESTINATIONS: z
    .enum(["true", "false"])
    .default("false")
    .describe("Webhooks by http, at any port and address, on one's own machine; refused on Cloud Run."),
  DNS_SERVERS: z
    .string()
    .optional()
    .describe(
      "Name servers (`address:port`, separated by commas) that resolve webhooks' names; default: the system's.",
    ),
  DELIVER_SECONDS: z.coerce
    .number()
    .int()
    .min(0)
    .max(60)
    .default(50)
    .describe("How long a call of messages-deliver goes on; 0: until nothing is due."),
  PUBSUB_ENDPOINT: z
    .url()
    .default("https://pubsub.googleapis.com")
    .describe("Pub/Sub's REST endpoint, such as a regional one."),
  PUBSUB_EMULATOR_HOST: z.string().optional().describe("Pub/Sub emulator, `host:port`: published to without a token."),
  LOG_LEVEL: z
    .enum(["DEBUG", "INFO", "WARNING", "ERROR"])
    .default("INFO")
    .describe("Least severity that is logged; DEBUG shows every database statement."),
  LOG_TRANSPORT: z
    .enum(["console", "google"])
    .default("console")
    .describe("`google`: lines go through @google-cloud/logging-winston, as Terraform sets it."),
  LOG_FORMAT: z.enum(["json", "text"]).default("json").describe("Console lines: JSON for machines, text for people."),
  GOOGLE_CLOUD_PROJECT: z.string().optional().describe("Project id, to link log lines to traces."),
  FUNCTION_TARGET: z.string().optional().describe("The function this process serves; set by the platform."),
  K_SERVICE: z.string().optional().describe("Set by Cloud Run."),
});

/** The configuration: read once, frozen, passed as an argument to whatever needs it. */
export type Config = Readonly<z.output<typeof environment>>;

/** Thrown when the environment is not usable; the message names all faults together. */
export class ConfigError extends Error {}

/**
 * Parses an environment. Empty and blank values count as not set.
 * @throws ConfigError naming every fault
 */
export function readConfig(
  env: Record<string, string | undefined> = process.env,
  { needsDatabase = true } = {},
): Config {
  // Of a list nothing but commas is nothing too.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => /[^,\s]/.test(value ?? "")));
  const parsed = environment.safeParse(given);
  const wrong = parsed.error?.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`) ?? [];
  const faults = [...wrong, ...contradictions(given, needsDatabase)];
  if (!parsed.success || faults.length > 0) throw new ConfigError(`configuration: ${faults.join("; ")}`);
  return Object.freeze(parsed.data);
}

function contradictions(config: Record<string, string | undefined>, needsDatabase: boolean): string[] {
  const faults: string[] = [];
  const onCloudRun = config.K_SERVICE !== undefined;
  if (needsDatabase && !config.DATABASE_URL && !config.INSTANCE_CONNECTION_NAME)
    faults.push("DATABASE_URL or INSTANCE_CONNECTION_NAME must be set");
  if (config.DATABASE_URL && config.INSTANCE_CONNECTION_NAME)
    faults.push("DATABASE_URL and INSTANCE_CONNECTION_NAME exclude each other");
  if (config.INSTANCE_CONNECTION_NAME && !config.DB_USER)
    faults.push("DB_USER must be set with INSTANCE_CONNECTION_NAME");
  if (onCloudRun && config.ALLOW_INSECURE_DESTINATIONS === "true")
    faults.push("ALLOW_INSECURE_DESTINATIONS is refused on Cloud Run");
  if (onCloudRun && config.AUTH_MODE === "none") faults.push("AUTH_MODE: none is refused on Cloud Run");
  if (config.AUTH_MODE === "none" && (config.AUTH_ISSUERS || config.PLATFORM_AUTH === "iam"))
    faults.push("AUTH_MODE: none excludes AUTH_ISSUERS and PLATFORM_AUTH=iam");
  if (config.AUTH_ISSUERS && !config.AUTH_AUDIENCES) faults.push("AUTH_AUDIENCES must be set with AUTH_ISSUERS");
  if (config.PLATFORM_AUTH === "iam" && !config.AUTH_PLATFORM_AUDIENCES)
    faults.push("AUTH_PLATFORM_AUDIENCES must be set with PLATFORM_AUTH=iam");
  if (config.AUTH_GATEWAY_ACCOUNT && config.PLATFORM_AUTH !== "iam")
    faults.push("AUTH_GATEWAY_ACCOUNT needs PLATFORM_AUTH=iam");
  return faults;
}

/** The function this process was started for: the framework's `--target`, or `FUNCTION_TARGET`. */
export function targetOf(argv: readonly string[], env: Record<string, string | undefined> = process.env) {
  const at = argv.findIndex((argument) => argument === "--target" || argument.startsWith("--target="));
  const given = at < 0 ? undefined : (argv[at]?.split("=")[1] ?? argv[at + 1]);
  return given ?? env.FUNCTION_TARGET;
}
