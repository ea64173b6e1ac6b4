/**
 * The load: n subscribers of one topic, and windows of w events in a closed loop: the next window is
 * asked for when every subscriber has every event of the last. It costs the same for every peer:
 * one read per arrival and a look at the headers.
 */
import type { PeerProcess } from './peer-process.js';
import { Subscriber } from './subscriber.js';
import type { Wire } from './wire.js';

/** Handshakes under way at a time. */
const CONNECTING = 200;
/** When nothing arrives for so long, something is lost. A window itself may take long: slow peers do. */
const STALL_MS = 10_000;

export interface Windows {
  readonly windows: number;
  readonly deliveries: number;
  readonly seconds: number;
  /** Ms from the command to the last delivery, of every window, sorted. */
  readonly latencies: Float64Array;
}

export class Generator {
  readonly #peer: PeerProcess;
  readonly #subscribers: Subscriber[] = [];
  /** Deliveries of the window that are still to come. */
  #remaining = 0;
  #published = 0;
  /** Changes with everything that arrives. */
  #progress = 0;
  #done: () => void = () => undefined;
  #failed: (error: Error) => void = () => undefined;
  /** What went wrong while nobody waited. */
  #error: Error | undefined;

  constructor(peer: PeerProcess) {
    this.#peer = peer;
  }

  /** Opens `n` subscribers. */
  async connect(n: number, wire: Wire): Promise<void> {
    for (let opened = 0; opened < n; opened += CONNECTING) {
      const batch: Promise<void>[] = [];
      for (let i = opened; i < Math.min(n, opened + CONNECTING); i++) {
        const subscriber = new Subscriber({
          port: this.#peer.port,
          wire,
          received: (events) => {
            this.#progress++;
            this.#remaining -= events;
            if (this.#remaining <= 0) this.#done();
          },
          failed: (error) => this.#fail(error),
        });
        this.#subscribers.push(subscriber);
        batch.push(subscriber.ready.then(() => void this.#progress++));
      }
      await this.#within(Promise.all(batch), 'subscribing');
    }
  }

  /** Windows of `w` events for at least `seconds`, and at least `atLeast` of them. Throws when a subscriber's count is not exact. */
  async run(w: number, seconds: number, atLeast: number): Promise<Windows> {
    const latencies: number[] = [];
    const start = performance.now();
    let now = start;
    while (now - start < seconds * 1000 || latencies.length < atLeast) {
      await this.#window(w);
      const after = performance.now();
      latencies.push(after - now);
      now = after;
    }
    this.#check();
    return {
      windows: latencies.length,
      deliveries: latencies.length * w * this.#subscribers.length,
      seconds: (now - start) / 1000,
      latencies: Float64Array.from(latencies).sort(),
    };
  }

  close(): void {
    for (const subscriber of this.#subscribers.splice(0)) subscriber.close();
  }

  #window(w: number): Promise<unknown> {
    this.#published += w;
    this.#remaining = w * this.#subscribers.length;
    const delivered = new Promise<void>((resolve) => (this.#done = resolve));
    this.#peer.send({ publish: w });
    return this.#within(delivered, 'a window');
  }

  /** The sum came out right; so must each subscriber's own count. */
  #check(): void {
    const wrong = this.#subscribers.filter(({ events }) => events !== this.#published);
    if (this.#remaining === 0 && wrong.length === 0) return;
    throw new Error(`${wrong.length} subscribers did not get exactly the ${this.#published} events published`);
  }

  async #within(work: Promise<unknown>, what: string): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    let timer: NodeJS.Timeout | undefined;
    let progress = this.#progress;
    const failure = new Promise<never>((_, reject) => {
      this.#failed = reject;
      timer = setInterval(() => {
        if (progress === this.#progress) reject(new Error(`${what} came to a halt, ${this.#behind()}`));
        progress = this.#progress;
      }, STALL_MS);
    });
    try {
      await Promise.race([work, this.#peer.failure, failure]);
    } finally {
      clearInterval(timer);
    }
  }

  #behind(): string {
    const behind = this.#subscribers.filter(({ events }) => events < this.#published);
    return `${behind.length} of ${this.#subscribers.length} subscribers miss events`;
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#failed(error);
  }
}
