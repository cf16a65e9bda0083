/** The topic of hints that something may be pulled from an inbox. */
export function inboxTopic(address: string): string {
  return `inbox:${address}`;
}
