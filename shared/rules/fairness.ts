/** Attempts on their way to a host that nothing is known of, or that failed last. */
const FIRST_WINDOW = 2;
/** Most attempts on their way to one host. */
const WIDEST_WINDOW = 16;
/** Hosts without an attempt on its way that are remembered. */
const REMEMBERED = 1000;

/** Somebody who could make attempts at a host, at most so many. */
export interface Wish {
  host: string;
  most: number;
}

/**
 * Places for attempts on their way, so many in all. Of them each host may have two at once, one more after each success,
 * up to 16, and two again after a failure: 50 hosts that hang hold 100 places, one that answers gets 16.
 */
export class Places {
  readonly #total: number;
  readonly #hosts = new Map<string, { busy: number; streak: number }>();
  #busy = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** How many places nobody has. */
  get free(): number {
    return Math.max(0, this.#total - this.#busy);
  }

  /** How many more attempts the host may have now. */
  room(host: string): number {
    const { busy = 0, streak = 0 } = this.#hosts.get(host) ?? {};
    return Math.max(0, Math.min(FIRST_WINDOW + streak, WIDEST_WINDOW) - busy);
  }

  begin(host: string): void {
    const known = this.#hosts.get(host) ?? { busy: 0, streak: 0 };
    this.#hosts.set(host, known);
    known.busy += 1;
    this.#busy += 1;
  }

  end(host: string, delivered: boolean): void {
    const known = this.#hosts.get(host);
    if (!known) return;
    known.busy -= 1;
    this.#busy -= 1;
    known.streak = delivered ? Math.min(known.streak + 1, WIDEST_WINDOW) : 0;
    if (known.busy === 0 && (known.streak === 0 || this.#hosts.size > REMEMBERED)) this.#hosts.delete(host);
  }

  /**
   * Shares the free places out, one to each wish in turn, in random order: of a thousand inboxes behind one host none is
   * always first. Answers how many each wish got, in the order given.
   */
  shareOut(wishes: readonly Wish[]): number[] {
    const rooms = new Map(wishes.map(({ host }) => [host, this.room(host)]));
    const takes = wishes.map(() => 0);
    let left = this.free;
    let hopeful = wishes.map((wish, index) => ({ ...wish, index, order: Math.random() }));
    hopeful.sort((a, b) => a.order - b.order);
    while (hopeful.length > 0 && left > 0) {
      hopeful = hopeful.filter(({ host, most, index }) => {
        const room = rooms.get(host) ?? 0;
        const taken = takes[index] ?? 0;
        if (room === 0 || left === 0 || taken >= most) return false;
        rooms.set(host, room - 1);
        takes[index] = taken + 1;
        left -= 1;
        return true;
      });
    }
    return takes;
  }
}
