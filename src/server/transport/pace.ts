/**
 * The pace of large bodies: the beginning of each comes as fast as it can, and the rest a little each millisecond, for all
 * of them together. However many they are, they take a small share of this process's turns, and events pass between.
 */

/** Of each body. */
const AT_ONCE = 1024 * 1024;
const BYTES_PER_MS = 32 * 1024;
/** An engine is stopped after so many: a body may come in pieces of any size. */
const STEP = 32 * 1024;
/** A turn that comes late makes up for so much. */
const LATE_MS = 2;

/** Whether a body of which so many bytes have come waits for the next. */
export function isPaced(bytes: number): boolean {
  return bytes > AT_ONCE;
}

export class Pace {
  readonly #waiting = new Set<() => number>();
  /** When the next may go on. */
  #at = 0;

  /** `goOn` is called in its turn, and returns how many bytes have come before it, which is what the next waits for. It must not throw. */
  wait(goOn: () => number): void {
    this.#waiting.add(goOn);
    if (this.#waiting.size === 1) this.#schedule();
  }

  #schedule(): void {
    setTimeout(() => this.#turn(), this.#at - performance.now());
  }

  #turn(): void {
    const now = performance.now();
    this.#at = Math.max(this.#at, now - LATE_MS);
    for (const goOn of this.#waiting) {
      if (this.#at > now) return this.#schedule();
      this.#waiting.delete(goOn);
      this.#at += goOn() / BYTES_PER_MS;
    }
  }
}

/** Of all that this process takes. */
export const pace = new Pace();

/** A body that comes from an engine, which reads no more of it until its turn. */
export class Inflow {
  readonly #pause: () => void;
  readonly #resume: () => void;
  #isPaused = false;
  /** Bytes since it went on. */
  #bytes = 0;

  constructor(pause: () => void, resume: () => void) {
    this.#pause = pause;
    this.#resume = resume;
  }

  /** `before`: all that came, with these. An engine may report more of what it has read while it is paused. */
  came(bytes: number, before: number): void {
    if (!isPaced(before)) return;
    this.#bytes += bytes;
    if (this.#isPaused || this.#bytes < STEP) return;
    this.#isPaused = true;
    this.#pause();
    pace.wait(() => this.goOn());
  }

  /** In its turn, or because nobody waits for the rest. Returns how much came before. */
  goOn(): number {
    const bytes = this.#bytes;
    this.#bytes = 0;
    if (this.#isPaused) this.#resume();
    this.#isPaused = false;
    return bytes;
  }
}
