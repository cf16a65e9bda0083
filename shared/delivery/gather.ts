/**
 * Shares work between those that ask at the same time: `work` runs on all items that gathered while it ran last, never
 * twice at once, and a lone item never waits for company. Each caller's promise settles as the run with its item does.
 */
export function gather<T>(work: (items: T[]) => Promise<void>): (item: T) => Promise<void> {
  let waiting: T[] = [];
  let next: Promise<void> | undefined;
  let running: Promise<unknown> = Promise.resolve();

  return (item) => {
    waiting.push(item);
    next ??= running.then(() => {
      const items = waiting;
      waiting = [];
      next = undefined;
      const run = work(items);
      running = run.catch(() => {});
      return run;
    });
    return next;
  };
}
