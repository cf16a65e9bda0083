/** Whether events of a type are meant by a pattern: `*` is one segment, `#` at the end any number of them, or none. */
export function matchesPattern(pattern: string, type: string): boolean {
  const wanted = pattern.split(".");
  const segments = type.split(".");
  const isOpen = wanted.at(-1) === "#";
  if (isOpen) wanted.pop();
  if (isOpen ? segments.length < wanted.length : segments.length !== wanted.length) return false;
  return wanted.every((one, index) => one === "*" || one === segments[index]);
}
