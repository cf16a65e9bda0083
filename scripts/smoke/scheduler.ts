import { setTimeout as sleep } from "node:timers/promises";
import { exchange } from "../exchange.ts";
import { accessToken } from "../id-token.ts";
import { Failed, Skipped, type Smoke } from "./check.ts";

interface Job {
  state?: string;
  lastAttemptTime?: string;
  /** google.rpc.Status of the last attempt; code 0 or none: it was answered 2xx. */
  status?: { code?: number; message?: string };
}

/**
 * Has Scheduler run the job now, as whoever is logged in, and waits for what the function answered. Where Scheduler's
 * API is: `CLOUD_SCHEDULER_ENDPOINT`, or Google's public one.
 */
export async function runsJob({ scheduler, patienceSeconds }: Smoke): Promise<string> {
  if (!scheduler) throw new Skipped("give --project and --region");
  const { pollMs = 1000 } = scheduler;
  const base = (process.env.CLOUD_SCHEDULER_ENDPOINT || "https://cloudscheduler.googleapis.com").replace(/\/$/, "");
  const headers = ["Authorization", `Bearer ${await accessToken()}`];
  const ask = async (method: string, action = ""): Promise<Job> => {
    const url = `${base}/v1/${scheduler.job}${action}`;
    const body = method === "POST" ? "{}" : undefined;
    const { status, json } = await exchange({ method, url, headers, body, timeoutMs: 30_000 });
    if (status === 200) return json as Job;
    const said = (json as { error?: { message?: string } } | undefined)?.error?.message ?? "";
    throw new Failed(`Scheduler answers ${status} ${said} (needed: roles/cloudscheduler.jobRunner and .viewer)`);
  };

  const before = await ask("GET");
  if (before.state !== "ENABLED") throw new Failed(`${scheduler.job} is ${before.state}`);
  await ask("POST", ":run");
  const end = performance.now() + patienceSeconds * 1000;
  let job = await ask("GET");
  while (job.lastAttemptTime === before.lastAttemptTime && performance.now() < end) {
    await sleep(pollMs);
    job = await ask("GET");
  }
  if (job.lastAttemptTime === before.lastAttemptTime)
    throw new Failed(`no attempt of ${scheduler.job} within ${patienceSeconds} s`);
  // The time is that of the attempt's start: should it be written before the outcome is known, a status read at once
  // would be that of the attempt before.
  await sleep(pollMs);
  job = await ask("GET");
  if (job.status?.code) throw new Failed(`the function refused: code ${job.status.code} ${job.status.message ?? ""}`);
  return `${scheduler.job.split("/").at(-1)} at ${job.lastAttemptTime}`;
}
