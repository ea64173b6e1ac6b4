/**
 * What connections have sent and the server has not come to. Whoever sends thousands of frames at once gets a slice of
 * each turn, so that what others send comes in between; a connection's own frames stay in their order.
 */

/** Frames of one message whose turn is still to come. */
export interface Rest {
  /** The connection's own copy: what the engine read dies with its callback (rule 8). */
  readonly bytes: Uint8Array;
  /** Where each frame starts, and the last one ends. */
  readonly starts: Uint32Array;
  /** The first that is left. */
  next: number;
  /** Whether the message has a map key `__proto__` somewhere. */
  readonly protoKey: boolean;
}

/** The frames from `next` on. `starts`: of all `frames`, and where the last one ends. */
export function restOf(
  bytes: Uint8Array,
  starts: readonly number[],
  { next, frames, protoKey }: { readonly next: number; readonly frames: number; readonly protoKey: boolean },
): Rest {
  const first = starts[next] as number;
  const own = new Uint32Array(frames - next + 1);
  for (let i = 0; i < own.length; i++) own[i] = (starts[next + i] as number) - first;
  // Not `slice`: that of a Buffer is a view.
  return { bytes: new Uint8Array(bytes.subarray(first)), starts: own, next: 0, protoKey };
}

/** What a waiting rest takes of memory. */
export function weightOf({ bytes, starts }: Rest): number {
  return bytes.length + starts.byteLength;
}

/** Somebody with frames that wait. */
export interface Sliced {
  /** Works off a slice. False: there is more. Must not throw. */
  workOff(): boolean;
}

/** Gives each a slice, one after the other, a turn of the loop apart. */
export class Backlogs {
  readonly #defer: (fn: () => void) => void;
  readonly #answer: () => void;
  readonly #waiting = new Set<Sliced>();

  /** `defer`: to the next turn, after what came in meanwhile. `answer`: writes the replies that are ready. */
  constructor(defer: (fn: () => void) => void, answer: () => void) {
    this.#defer = defer;
    this.#answer = answer;
  }

  /** Its turn comes, and again until it has worked off all. */
  add(sliced: Sliced): void {
    if (this.#waiting.has(sliced)) return;
    this.#waiting.add(sliced);
    if (this.#waiting.size === 1) this.#defer(() => this.#turn());
  }

  /** One slice a turn in all: with many that flood, each waits the longer, and nobody else. */
  #turn(): void {
    // What others were answered with is not to wait for a slice of somebody else's.
    this.#answer();
    for (const sliced of this.#waiting) {
      this.#waiting.delete(sliced);
      if (!sliced.workOff()) this.#waiting.add(sliced);
      break;
    }
    if (this.#waiting.size > 0) this.#defer(() => this.#turn());
  }
}
