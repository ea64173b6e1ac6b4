/**
 * The shared timing wheel behind heartbeats, grace, leases and deadlines (rule 10): one ticking
 * interval for the whole server; adding and cancelling cost the same however many timers wait.
 * Timers fire up to one tick late, never early.
 */
import type { TimeSource } from './clock.js';

/** Ms of one tick: the wheel's resolution. */
export const TICK_MS = 20;
const SLOTS = 512;

export interface Timer {
  /** Idempotent. Returns whether the timer was still waiting. */
  cancel(): boolean;
}

class Entry implements Timer {
  rounds: number;
  fire: (() => void) | null;
  readonly slot: Set<Entry>;
  constructor(slot: Set<Entry>, rounds: number, fire: () => void) {
    this.slot = slot;
    this.rounds = rounds;
    this.fire = fire;
  }
  cancel(): boolean {
    this.fire = null;
    return this.slot.delete(this);
  }
}

export class Wheel {
  readonly #slots = Array.from({ length: SLOTS }, () => new Set<Entry>());
  readonly #source: TimeSource;
  readonly #failed: (error: unknown) => void;
  readonly #stop: () => void;
  readonly #start: number;
  #tick = 0;

  constructor(source: TimeSource, failed: (error: unknown) => void) {
    this.#source = source;
    this.#failed = failed;
    this.#start = source.monotonic();
    this.#stop = source.every(TICK_MS, () => this.#advance());
  }

  /** Runs `fire` once, at least `ms` from now (NaN and negatives count as 0, endless waits as a very long one). */
  after(ms: number, fire: () => void): Timer {
    // Counted from the true time, not from the last tick: a late tick must not make a timer early.
    const due = this.#source.monotonic() - this.#start + Math.min(Math.max(0, ms || 0), Number.MAX_SAFE_INTEGER / 2);
    const ticks = Math.max(1, Math.ceil(due / TICK_MS) - this.#tick);
    const slot = this.#slots[(this.#tick + ticks) % SLOTS] as Set<Entry>;
    const entry = new Entry(slot, Math.floor((ticks - 1) / SLOTS), fire);
    slot.add(entry);
    return entry;
  }

  stop(): void {
    this.#stop();
    for (const slot of this.#slots) slot.clear();
  }

  /** Catches up with the clock; after a long pause every slot in between still gets its turn. */
  #advance(): void {
    const target = Math.floor((this.#source.monotonic() - this.#start) / TICK_MS);
    while (this.#tick < target) {
      this.#tick++;
      // A copy: a timer that fires may add others to this very slot.
      for (const entry of [...(this.#slots[this.#tick % SLOTS] as Set<Entry>)]) {
        if (entry.rounds-- > 0) continue;
        entry.slot.delete(entry);
        try {
          entry.fire?.();
        } catch (error) {
          this.#failed(error);
        }
      }
    }
  }
}
