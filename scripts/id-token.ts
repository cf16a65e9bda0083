import { GoogleAuth } from "google-auth-library";
import { exchange } from "./exchange.ts";

const SCOPE = "https://www.googleapis.com/auth/cloud-platform";
const LOGIN = "run: gcloud auth application-default login";

/** No token was to be had; the message is one line and says what to do. */
export class TokenError extends Error {
  /** Whether it may be different in a minute: IAM tells of a new right late, and any service fails at times. */
  readonly mayPass: boolean;

  constructor(message: string, mayPass: boolean) {
    super(message);
    this.name = "TokenError";
    this.mayPass = mayPass;
  }
}

/**
 * An access token of the application default credentials.
 * @throws TokenError
 */
export async function accessToken(): Promise<string> {
  // A project is not needed; without one named it is looked for, which takes seconds where there is none.
  const auth = new GoogleAuth({ scopes: SCOPE, projectId: "none" });
  const token = await auth.getAccessToken().catch((error: Error & { status?: number }) => {
    const isTheirs = (error.status ?? 0) >= 500;
    throw new TokenError(
      `no Google credentials (${lineOf(error.message)}): ${isTheirs ? "try again" : LOGIN}`,
      isTheirs,
    );
  });
  if (!token) throw new TokenError(`no Google credentials: ${LOGIN}`, false);
  return token;
}

interface Wanted {
  /** The service account whose token it is to be: its e-mail address. */
  account: string;
  audience: string;
  /** Where IAM's credentials service is; by default `IAM_CREDENTIALS_ENDPOINT`, or Google's public one. */
  endpoint?: string | undefined;
}

/**
 * An ID token of a service account, with its e-mail address, good for an hour. Whoever is logged in needs
 * `roles/iam.serviceAccountOpenIdTokenCreator` on that account.
 * @throws TokenError
 */
export async function idToken({ account, audience, endpoint = process.env.IAM_CREDENTIALS_ENDPOINT }: Wanted) {
  const base = (endpoint || "https://iamcredentials.googleapis.com").replace(/\/$/, "");
  const { status, json } = await exchange({
    method: "POST",
    url: `${base}/v1/projects/-/serviceAccounts/${encodeURIComponent(account)}:generateIdToken`,
    headers: ["Authorization", `Bearer ${await accessToken()}`],
    body: JSON.stringify({ audience, includeEmail: true }),
    timeoutMs: 30_000,
  }).catch((error: Error) => {
    throw new TokenError(`no ID token of ${account}: ${error.message}`, true);
  });
  const { token, error } = (json ?? {}) as { token?: unknown; error?: { message?: string } };
  if (status === 200 && typeof token === "string") return token;
  const said = error?.message ? ` (${lineOf(error.message)})` : "";
  throw new TokenError(
    `no ID token of ${account}: ${REASONS[status] ?? `IAM answers ${status}`}${said}`,
    // 403 and 404 pass too: the account and the right on it may be seconds old.
    [403, 404, 429].includes(status) || status >= 500,
  );
}

const REASONS: Record<number, string> = {
  401: `the Google credentials are not taken: ${LOGIN}`,
  403: "you need roles/iam.serviceAccountOpenIdTokenCreator on it",
  404: "there is no such account",
};

function lineOf(message: string): string {
  return message.split("\n")[0]?.slice(0, 300) ?? "";
}
