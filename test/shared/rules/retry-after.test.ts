import { expect, onTestFinished, test, vi } from "vitest";
import { retryAfterSeconds } from "../../../shared/rules/retry-after.ts";

const now = new Date("2026-11-21T10:00:00.250Z");

test.each([
  ["0", 0],
  ["120", 120],
  [" 7 ", 7],
  ["86400", 86_400],
  ["86401", 86_400],
  ["99999999999999999999", 86_400],
  ["Sat, 21 Nov 2026 10:00:30 GMT", 30],
  ["Saturday, 21-Nov-26 10:00:30 GMT", 30],
  ["Sat Nov 21 10:00:30 2026", 30],
  ["Sat, 21 Nov 2026 10:00:00 GMT", 0],
  ["Fri, 20 Nov 2026 10:00:00 GMT", 0],
  ["Sun, 22 Nov 2026 09:00:00 GMT", 82_800],
  ["Tue, 24 Nov 2026 10:00:00 GMT", 86_400],
])("%j asks to wait %i s", (header, seconds) => {
  expect(retryAfterSeconds(header, now)).toBe(seconds);
});

test.each([
  undefined,
  null,
  "",
  " ",
  "-1",
  "+5",
  "1.5",
  "1e3",
  "0x10",
  "5s",
  "5, 6",
  "soon",
  "Infinity",
  "NaN",
  "2026-11-21T10:00:30Z",
  "Sat, 99 Nov 2026 10:00:30 GMT",
  "Sat, 21 Nov 2026 10:00:30 CET",
  "Sat, 21 Nov 2026",
])("%j asks for nothing", (header) => {
  expect(retryAfterSeconds(header, now)).toBeUndefined();
});

test("a date that names no zone is UTC wherever the process runs", () => {
  vi.stubEnv("TZ", "Asia/Tokyo");
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(now.getTimezoneOffset()).toBe(-540);
  expect(retryAfterSeconds("Sat Nov 21 10:00:30 2026", now)).toBe(30);
});
