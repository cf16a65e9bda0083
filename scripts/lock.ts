import { readFileSync } from "node:fs";

/** Checks that the lock file is for this package.json and carries no registry's address. */
const read = (path: string) => JSON.parse(readFileSync(new URL(`../${path}`, import.meta.url), "utf8"));
const manifest = read("package.json");
const lock = read("package-lock.json");
const faults: string[] = [];

for (const group of ["dependencies", "devDependencies"]) {
  for (const [name, version] of Object.entries<string>(manifest[group])) {
    if (!/^\d/.test(version)) faults.push(`${name} is not pinned: ${version}`);
    if (lock.packages[""][group]?.[name] !== version) faults.push(`${name} is not locked at ${version}`);
  }
}
for (const [path, entry] of Object.entries<{ resolved?: string; integrity?: string; link?: boolean }>(lock.packages)) {
  if (path !== "" && !entry.integrity) faults.push(`${path} has no integrity`);
  if (entry.resolved) faults.push(`${path} names a registry`);
}
for (const fault of faults) console.error(`package-lock.json: ${fault}`);
process.exitCode = faults.length > 0 ? 1 : 0;
