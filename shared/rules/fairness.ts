/** Attempts on their way to a host that nothing is known of, or that failed last. */
const FIRST_WINDOW = 2;
/** Most attempts on their way to one host. */
const WIDEST_WINDOW = 16;
/** Hosts without an attempt on its way that are remembered. */
const REMEMBERED = 1000;

/**
 * How many attempts each host may have on its way at once: each success makes room for one more, a failure closes to
 * the first two again. So 60 hosts that hang hold no more than 120 places, while one that answers gets 16.
 */
export class Windows {
  readonly #hosts = new Map<string, { busy: number; streak: number }>();

  /** How many more attempts the host may have now. */
  room(host: string): number {
    const { busy = 0, streak = 0 } = this.#hosts.get(host) ?? {};
    return Math.max(0, Math.min(FIRST_WINDOW + streak, WIDEST_WINDOW) - busy);
  }

  begin(host: string): void {
    const known = this.#hosts.get(host) ?? { busy: 0, streak: 0 };
    this.#hosts.set(host, known);
    known.busy += 1;
  }

  end(host: string, delivered: boolean): void {
    const known = this.#hosts.get(host);
    if (!known) return;
    known.busy -= 1;
    known.streak = delivered ? Math.min(known.streak + 1, WIDEST_WINDOW) : 0;
    if (known.busy === 0 && (known.streak === 0 || this.#hosts.size > REMEMBERED)) this.#hosts.delete(host);
  }
}

/** Somebody who could make attempts at a host, at most so many, each of which takes `weight` places. */
export interface Wish {
  host: string;
  most: number;
  weight: number;
}

/**
 * Shares places out, one attempt to each in turn, in random order: of a thousand inboxes behind one host none is always
 * first. Answers how many attempts each wish got, in the order given.
 */
export function shareOut(wishes: readonly Wish[], places: number, windows: Windows): number[] {
  const rooms = new Map(wishes.map(({ host }) => [host, windows.room(host)]));
  const takes = wishes.map(() => 0);
  let left = places;
  let hopeful = wishes.map((wish, index) => ({ ...wish, index, order: Math.random() }));
  hopeful.sort((a, b) => a.order - b.order);
  while (hopeful.length > 0 && left > 0) {
    hopeful = hopeful.filter(({ host, most, weight, index }) => {
      const room = rooms.get(host) ?? 0;
      const taken = takes[index] ?? 0;
      if (room === 0 || left < weight || taken === most) return false;
      rooms.set(host, room - 1);
      takes[index] = taken + 1;
      left -= weight;
      return true;
    });
  }
  return takes;
}
