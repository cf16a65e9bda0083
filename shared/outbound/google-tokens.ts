import type { GoogleAuth } from "google-auth-library";

/** Access tokens of the process's Google credentials: those of its environment, of a person's machine, or of Cloud Run. */
export interface GoogleTokens {
  /**
   * The headers that authorise a request, of a cached token while it lasts.
   * @throws Error "no access token: …", which quotes no secret; also when the signal aborts
   */
  headers(signal: AbortSignal): Promise<Headers>;
  /** Drops the cached token: for when it was refused before its time. */
  forget(): Promise<void>;
}

export function createGoogleTokens(scopes: string): GoogleTokens {
  let auth: Promise<GoogleAuth> | undefined;
  // Loading it costs 40 ms, of which a process that never publishes knows nothing.
  const load = () => (auth ??= import("google-auth-library").then(({ GoogleAuth }) => new GoogleAuth({ scopes })));
  return {
    async headers(signal: AbortSignal): Promise<Headers> {
      signal.throwIfAborted();
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
      const found = load().then((google) => google.getRequestHeaders());
      return Promise.race([found, aborted]).catch((error) => {
        throw new Error(`no access token: ${tokenFault(error)}`);
      });
    },
    async forget(): Promise<void> {
      (await load()).cachedCredential = null;
    },
  };
}

/** Why there is no token, without a word of a key file or an answer, which other messages quote. */
function tokenFault(error: Error & { status?: number; code?: string | number }): string {
  if (error.status) return `answered ${error.status}`;
  return String(error.code ?? (error.name === "Error" ? error.message : error.name));
}
