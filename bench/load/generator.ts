/**
 * The load: subscribers, and windows of events in a closed loop: the next window is asked for when
 * every subscriber has every event of the last. It costs the same for every peer: one read per
 * arrival and a look at the headers.
 */
import type { PeerProcess } from '../peer-process.js';
import type { PublishOrder } from '../peers/peer.js';
import { Subscriber } from './subscriber.js';
import type { Wire } from './wires.js';

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
  /** Bytes on the wire of a delivery, WebSocket headers included. */
  readonly wireBytes: number;
  /** Share of the time that the load's own core was busy. */
  readonly load: number;
}

/** A window: what is published, and how many deliveries come of it. */
export interface Window {
  readonly order: PublishOrder;
  readonly deliveries: number;
}

export class Generator {
  readonly #peer: PeerProcess;
  readonly #subscribers: Subscriber[] = [];
  /** Deliveries of the window that are still to come. */
  #remaining = 0;
  /** Changes with everything that arrives. */
  #progress = 0;
  #done: () => void = () => undefined;
  #failed: (error: Error) => void = () => undefined;
  /** What went wrong while nobody waited. */
  #error: Error | undefined;

  constructor(peer: PeerProcess) {
    this.#peer = peer;
  }

  get subscribers(): readonly Subscriber[] {
    return this.#subscribers;
  }

  /** Opens `n` subscribers; `wireOf` tells what each says. */
  async connect(n: number, wireOf: (index: number) => Wire): Promise<void> {
    for (let opened = 0; opened < n; opened += CONNECTING) {
      const batch: Promise<void>[] = [];
      for (let i = opened; i < Math.min(n, opened + CONNECTING); i++) {
        const subscriber = new Subscriber({
          port: this.#peer.port,
          wire: wireOf(i),
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

  /** Windows for at least `seconds`, and at least one: each is the next of `windows`, round and round. */
  async run(windows: readonly Window[], seconds: number): Promise<Windows> {
    const latencies: number[] = [];
    const bytes = this.#bytes();
    const events = this.#events();
    const cpu = process.cpuUsage();
    const start = performance.now();
    let now = start;
    let deliveries = 0;
    while (now - start < seconds * 1000 || latencies.length === 0) {
      const window = windows[latencies.length % windows.length] as Window;
      await this.#window(window);
      deliveries += window.deliveries;
      const after = performance.now();
      latencies.push(after - now);
      now = after;
    }
    const { user, system } = process.cpuUsage(cpu);
    if (this.#remaining !== 0 || this.#events() - events !== deliveries) {
      throw new Error(`${this.#events() - events} deliveries came instead of ${deliveries}`);
    }
    return {
      windows: latencies.length,
      deliveries,
      seconds: (now - start) / 1000,
      latencies: Float64Array.from(latencies).sort(),
      wireBytes: (this.#bytes() - bytes) / deliveries,
      load: (user + system) / 1000 / (now - start),
    };
  }

  /** The sum came out right; where all are in the same topics, each one's own count must too. */
  checkEqual(): void {
    const events = this.#subscribers[0]?.events;
    const wrong = this.#subscribers.filter((subscriber) => subscriber.events !== events);
    if (wrong.length > 0) throw new Error(`${wrong.length} subscribers did not get as many events as the first`);
  }

  close(): void {
    for (const subscriber of this.#subscribers.splice(0)) subscriber.close();
  }

  #window({ order, deliveries }: Window): Promise<unknown> {
    this.#remaining = deliveries;
    const delivered = new Promise<void>((resolve) => (this.#done = resolve));
    this.#peer.send(order);
    return this.#within(delivered, 'a window');
  }

  #events(): number {
    return this.#subscribers.reduce((sum, { events }) => sum + events, 0);
  }

  #bytes(): number {
    return this.#subscribers.reduce((sum, { wireBytes }) => sum + wireBytes, 0);
  }

  async #within(work: Promise<unknown>, what: string): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    let timer: NodeJS.Timeout | undefined;
    let progress = this.#progress;
    const failure = new Promise<never>((_, reject) => {
      this.#failed = reject;
      timer = setInterval(() => {
        if (progress === this.#progress) {
          reject(new Error(`${what} came to a halt, ${this.#remaining} deliveries are missing`));
        }
        progress = this.#progress;
      }, STALL_MS);
    });
    try {
      await Promise.race([work, this.#peer.failure, failure]);
    } finally {
      clearInterval(timer);
    }
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#failed(error);
  }
}
