/** A clock that runs as clocks do and can be turned forward: what was due until then happens at once, in its order. */
import { performance } from 'node:perf_hooks';
import type { TimeSource } from '../server/time/clock.js';

interface Ticker {
  readonly ms: number;
  readonly run: () => void;
  due: number;
}

/** Ms between two looks at what is due. */
const LOOK_MS = 10;

export class TurnedTime implements TimeSource {
  #turned = 0;
  readonly #tickers = new Set<Ticker>();
  #interval: NodeJS.Timeout | undefined;
  /** While it is turned: where it is on its way. */
  #at: number | undefined;

  wall(): number {
    return Date.now() + this.monotonic() - performance.now();
  }

  monotonic(): number {
    return this.#at ?? performance.now() + this.#turned;
  }

  every(ms: number, run: () => void): () => void {
    const ticker = { ms, run, due: this.monotonic() + ms };
    this.#tickers.add(ticker);
    this.#interval ??= setInterval(() => this.#look(), LOOK_MS).unref();
    return () => {
      this.#tickers.delete(ticker);
      if (this.#tickers.size > 0) return;
      clearInterval(this.#interval);
      this.#interval = undefined;
    };
  }

  afterInput(fn: () => void): void {
    setImmediate(() => setImmediate(fn));
  }

  advance(ms: number): void {
    const end = performance.now() + this.#turned + ms;
    try {
      for (let next = this.#next(); next !== undefined && next.due <= end; next = this.#next()) {
        this.#at = Math.max(this.monotonic(), next.due);
        next.due += next.ms;
        next.run();
      }
    } finally {
      this.#at = undefined;
      this.#turned += ms;
    }
  }

  #next(): Ticker | undefined {
    let next: Ticker | undefined;
    for (const ticker of this.#tickers) if (next === undefined || ticker.due < next.due) next = ticker;
    return next;
  }

  #look(): void {
    const now = this.monotonic();
    for (const ticker of [...this.#tickers]) {
      if (ticker.due > now || !this.#tickers.has(ticker)) continue;
      // One turn, however late, as setInterval's.
      ticker.due = now + ticker.ms;
      ticker.run();
    }
  }
}
