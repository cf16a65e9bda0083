type Json = unknown;
type JsonObject = Record<string, Json>;

/**
 * Applies a JSON merge patch (RFC 7396): objects are merged, null removes, anything else replaces. Neither argument is
 * changed.
 */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const merged = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch))
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  // Also `__proto__` becomes a key like any other.
  return Object.fromEntries(merged);
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
