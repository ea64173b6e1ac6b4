/** A clock that stands still until told. Timers run in the order of their time. */
import type { Timers } from '../../src/client/types.js';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

export class FakeTimers implements Timers {
  readonly #timers = new Set<Timer>();
  #now = 0;
  #wallLead = 0;
  readonly #waiting = new Set<() => void>();

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + this.#wallLead;
  }

  /** The wall clock is set forward, or the machine slept with its monotonic clock stopped: it looks the same. */
  jump(ms: number): void {
    this.#wallLead += ms;
  }

  setTimeout(run: () => void, ms: number): Timer {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    return timer;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as Timer);
  }

  /** Ms until each timer, the next first. */
  get delays(): readonly number[] {
    return [...this.#timers].map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** Waits until a timer of about this length is set. */
  async set(ms: number): Promise<void> {
    while (!this.delays.some((delay) => Math.abs(delay - ms) < 1)) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.run();
    }
    this.#now = end;
  }

  /** Lets `ms` pass as for a machine that slept: what is overdue then fires at once, late. */
  wake(ms: number): void {
    this.#now += ms;
    const overdue = [...this.#timers].filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at);
    for (const timer of overdue) if (this.#timers.delete(timer)) timer.run();
  }
}
