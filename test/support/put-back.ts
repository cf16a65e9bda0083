import { afterAll, expect } from "vitest";

// Files share their worker's process: a variable that one leaves changed would be another's fault, now and then.
const before = { ...process.env };
afterAll(() => {
  // Names alone: what a variable holds may be a secret.
  const names = Object.keys({ ...before, ...process.env });
  expect(
    names.filter((name) => process.env[name] !== before[name]),
    "environment variables that are not put back",
  ).toEqual([]);
});
