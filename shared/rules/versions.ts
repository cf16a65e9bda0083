import compareVersions from "semver/functions/compare.js";
import increment from "semver/functions/inc.js";
import maxSatisfying from "semver/ranges/max-satisfying.js";

/** Orders versions as Semantic Versioning does: negative when `a` comes before `b`. */
export const compare: (a: string, b: string) => number = compareVersions;

/** The highest of some versions. */
export function highest(versions: Iterable<string>): string | undefined {
  let found: string | undefined;
  for (const version of versions) if (found === undefined || compare(version, found) > 0) found = version;
  return found;
}

/** The next patch level after `version` that is not taken; a pre-release is followed by its release. */
export function nextPatch(version: string, taken: ReadonlySet<string>): string {
  let next = version;
  do next = increment(next, "patch") as string;
  while (taken.has(next));
  return next;
}

/** What a range is resolved against: the published versions of one definition. */
export interface Published {
  versions: readonly string[];
  current?: string | undefined;
}

/** The version that a range means: the current one with `latest`, else the highest that fits. */
export function resolve(range: string, { versions, current }: Published): string | undefined {
  return range === "latest" ? current : (maxSatisfying([...versions], range) ?? undefined);
}
