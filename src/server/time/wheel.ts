/**
 * The shared timing wheel behind heartbeats, grace, leases and deadlines (rule 10): one ticking
 * interval for the whole server; adding and cancelling cost the same however many timers wait.
 * Timers fire up to one tick late, never early.
 *
 * A process that was frozen (SIGSTOP, a paused machine, a turn that took seconds) wakes with its timers
 * due and its peers' bytes unread. So after a turn that comes late by more than a second, one round of
 * input runs before any timer, and what waits for a peer (`afterAwake`) waits that much longer.
 */
import type { TimeSource } from './clock.js';
import { List, type Linked } from './linked.js';

/** Ms of one tick: the wheel's resolution. */
export const TICK_MS = 20;
const SLOTS = 512;
/** Ms that a turn may be late before the process counts as frozen. */
const FROZEN_MS = 1_000;

export interface Timer {
  /** Idempotent. Returns whether the timer was still waiting. */
  cancel(): boolean;
}

class Entry implements Timer, Linked<Entry> {
  fire: (() => void) | null;
  /** Ms after the wheel's start. */
  due: number;
  /** For one that counts waking time only: the wheel's own when `due` was set; −1 for any other. */
  frozenMs: number;
  older: Entry | undefined;
  newer: Entry | undefined;
  /** Its slot. */
  list: List<Entry> | undefined;
  rounds = 0;
  constructor(fire: () => void, due: number, frozenMs: number) {
    this.fire = fire;
    this.due = due;
    this.frozenMs = frozenMs;
  }
  cancel(): boolean {
    this.fire = null;
    return this.list?.remove(this) === true;
  }
}

export class Wheel {
  readonly #slots = Array.from({ length: SLOTS }, () => new List<Entry>());
  readonly #source: TimeSource;
  readonly #failed: (error: unknown) => void;
  readonly #stop: () => void;
  readonly #start: number;
  #tick = 0;
  /** When the next turn is due. */
  #turnDue: number;
  /** Ms that this process was frozen, in all. */
  #frozenMs = 0;
  /** It was frozen, and what came in meanwhile has not been read yet. */
  #owesInput = false;
  #readsInput = false;

  constructor(source: TimeSource, failed: (error: unknown) => void) {
    this.#source = source;
    this.#failed = failed;
    this.#start = source.monotonic();
    this.#turnDue = this.#start + TICK_MS;
    this.#stop = source.every(TICK_MS, () => this.#turn());
  }

  /** Runs `fire` once, at least `ms` from now (NaN and negatives count as 0, endless waits as a very long one). */
  after(ms: number, fire: () => void): Timer {
    return this.#add(ms, fire, -1);
  }

  /** Like `after`, for what a peer has to do until then: time in which this process was frozen does not count. */
  afterAwake(ms: number, fire: () => void): Timer {
    this.#notice(this.#source.monotonic());
    return this.#add(ms, fire, this.#frozenMs);
  }

  #add(ms: number, fire: () => void, frozenMs: number): Timer {
    // Counted from the true time, not from the last tick: a late tick must not make a timer early.
    const due = this.#source.monotonic() - this.#start + Math.min(Math.max(0, ms || 0), Number.MAX_SAFE_INTEGER / 2);
    const entry = new Entry(fire, due, frozenMs);
    this.#place(entry);
    return entry;
  }

  #place(entry: Entry): void {
    const ticks = Math.max(1, Math.ceil(entry.due / TICK_MS) - this.#tick);
    (this.#slots[(this.#tick + ticks) % SLOTS] as List<Entry>).add(entry);
    entry.rounds = Math.floor((ticks - 1) / SLOTS);
  }

  stop(): void {
    this.#stop();
    for (const slot of this.#slots) slot.clear();
  }

  #notice(now: number): void {
    const late = now - this.#turnDue;
    if (late <= FROZEN_MS) return;
    this.#frozenMs += late;
    this.#turnDue = now;
    this.#owesInput = true;
  }

  #turn(): void {
    const now = this.#source.monotonic();
    this.#notice(now);
    this.#turnDue = now + TICK_MS;
    if (!this.#owesInput) return this.#advance();
    if (this.#readsInput) return;
    this.#readsInput = true;
    this.#source.afterInput(() => {
      this.#owesInput = this.#readsInput = false;
      this.#advance();
    });
  }

  /** Catches up with the clock; after a long pause every slot in between still gets its turn. */
  #advance(): void {
    const target = Math.floor((this.#source.monotonic() - this.#start) / TICK_MS);
    while (this.#tick < target) {
      this.#tick++;
      for (const entry of dueIn(this.#slots[this.#tick % SLOTS] as List<Entry>)) {
        entry.list?.remove(entry);
        const owed = entry.frozenMs < 0 ? 0 : this.#frozenMs - entry.frozenMs;
        if (owed === 0) this.#fire(entry);
        // Cancelled by one of the same tick, perhaps.
        else if (entry.fire !== null) this.#postpone(entry, owed);
      }
    }
  }

  #postpone(entry: Entry, ms: number): void {
    entry.due += ms;
    entry.frozenMs = this.#frozenMs;
    this.#place(entry);
  }

  #fire({ fire }: Entry): void {
    try {
      fire?.();
    } catch (error) {
      this.#failed(error);
    }
  }
}

/** Set aside first: a timer that fires may add others to this very slot, or cancel what is due with it. */
function dueIn(slot: List<Entry>): Entry[] {
  const due: Entry[] = [];
  for (let entry = slot.oldest; entry !== undefined; entry = entry.newer) if (entry.rounds-- <= 0) due.push(entry);
  return due;
}
