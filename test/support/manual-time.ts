/** A clock that stands still until a test moves it: nothing fires on its own, so nothing is waited for. */
import type { TimeSource } from '../../src/server/time/clock.js';

interface Ticker {
  readonly ms: number;
  readonly fn: () => void;
  due: number;
}

export class ManualTime implements TimeSource {
  #wall = Date.now();
  #monotonic = 0;
  readonly #tickers = new Set<Ticker>();

  wall(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  every(ms: number, fn: () => void): () => void {
    const ticker = { ms, fn, due: this.#monotonic + ms };
    this.#tickers.add(ticker);
    return () => this.#tickers.delete(ticker);
  }

  /** A true turn of the event loop: what this process has been sent meanwhile is read. */
  afterInput(fn: () => void): void {
    setImmediate(() => setImmediate(fn));
  }

  /** Whether nothing waits for this clock any more. */
  get stopped(): boolean {
    return this.#tickers.size === 0;
  }

  /** Lets `ms` pass; every ticker gets its turns. */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (;;) {
      let next: Ticker | undefined;
      for (const ticker of this.#tickers) if (ticker.due <= (next?.due ?? end)) next = ticker;
      if (next === undefined) break;
      this.#pass(next.due);
      next.due += next.ms;
      next.fn();
    }
    this.#pass(end);
  }

  /** Lets `ms` pass as for a process that was stopped: every ticker gets one turn, late. */
  stall(ms: number): void {
    this.#pass(this.#monotonic + ms);
    for (const ticker of [...this.#tickers]) {
      ticker.due = this.#monotonic + ticker.ms;
      ticker.fn();
    }
  }

  /** The wall clock is set; no time passes. */
  jump(ms: number): void {
    this.#wall += ms;
  }

  #pass(until: number): void {
    this.#wall += until - this.#monotonic;
    this.#monotonic = until;
  }
}
