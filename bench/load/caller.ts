/**
 * Clients that ask and wait: each has one request under way, and sends it again when its answer is
 * there. An answer that nobody waits for, or that is missing at the end, fails the run.
 */
import { Generator, type Server, type Windows } from './generator.js';
import { lapse } from './lapse.js';
import { Latencies } from './latencies.js';
import type { Wire } from './wires.js';

/** What a client says, again and again, and how it knows the answer: one event of its wire. */
export interface Exchange {
  readonly wire: Wire;
  readonly request: Buffer;
}

export class Callers {
  readonly #load: Generator;
  readonly #exchanges: Exchange[] = [];
  /** When each one's request left; 0: it waits for nothing. */
  readonly #asked: number[] = [];

  constructor(server: Server) {
    this.#load = new Generator(server);
  }

  async connect(n: number, exchangeOf: (index: number) => Exchange): Promise<void> {
    for (let i = 0; i < n; i++) this.#exchanges.push(exchangeOf(i));
    this.#asked.push(...this.#exchanges.map(() => 0));
    await this.#load.connect(n, (index) => (this.#exchanges[index] as Exchange).wire);
  }

  /** Keeps every client asking for so many seconds, then waits for the last answers. */
  async run(seconds: number): Promise<Windows> {
    return this.until(new Promise((resolve) => setTimeout(resolve, seconds * 1000)));
  }

  /** The same, until that. */
  async until(over: Promise<unknown>): Promise<Windows> {
    const { watch, subscribers } = this.#load;
    const latencies = new Latencies();
    const bytes = this.#load.wireBytes;
    const timed = lapse();
    let calls = 0;
    let waiting = subscribers.length;
    let ending = false;
    await watch.within(
      new Promise<void>((resolve) => {
        const ask = (index: number, now: number): void => {
          this.#asked[index] = now;
          subscribers[index]?.send((this.#exchanges[index] as Exchange).request);
        };
        this.#load.onEvents = (index, events) => {
          const asked = this.#asked[index] as number;
          if (asked === 0 || events !== 1) throw new Error('an answer came that nobody waited for');
          const now = performance.now();
          latencies.add(now - asked);
          calls++;
          if (!ending) return ask(index, now);
          this.#asked[index] = 0;
          if (--waiting === 0) resolve();
        };
        over.then(
          () => (ending = true),
          (error: Error) => watch.fail(error),
        );
        for (let i = 0; i < subscribers.length; i++) ask(i, performance.now());
      }),
      () => `calls with ${waiting} of them unanswered`,
    );
    return {
      windows: calls,
      deliveries: calls,
      ...timed(),
      latencies: latencies.sorted(),
      wireBytes: (this.#load.wireBytes - bytes) / calls,
    };
  }

  close(): void {
    this.#load.close();
  }
}
