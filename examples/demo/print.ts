const start = performance.now();

export function title(text: string): void {
  console.log(`\n── ${text}`);
}

/** Prints a line with the time since the start. */
export function tell(line: string): void {
  // Ids made in one minute differ at their end only.
  const short = line.replace(/[0-9a-f]{8}-[0-9a-f-]{21}([0-9a-f]{6})/g, "…$1");
  console.log(`${elapsed().padStart(7)}  ${short}`);
}

export function elapsed(): string {
  return seconds(performance.now() - start);
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}
