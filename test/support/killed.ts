/** Calls a service that may be killed under it: then it throws. */
// biome-ignore lint/suspicious/noExplicitAny: an answer is what a client makes of it
export async function post(url: string, path: string, body: unknown): Promise<{ status: number; body: any }> {
  const response = await fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: response.status < 300 ? await response.json() : await response.text() };
}

/** Repeats `step` until the service is killed under it. */
export async function untilKilled(step: (count: number) => Promise<void>): Promise<void> {
  for (let count = 0; ; count++) {
    try {
      await step(count);
    } catch {
      return;
    }
  }
}
