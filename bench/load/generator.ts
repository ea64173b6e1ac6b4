/**
 * The load: subscribers, and windows of events in a closed loop: the next window is asked for when
 * every subscriber has every event of the last. It costs the same for every peer: one read per
 * arrival and a look at the headers.
 */
import type { PeerProcess } from '../peer-process.js';
import type { PublishOrder } from '../peers/peer.js';
import { lapse, type Lapse } from './lapse.js';
import { Subscriber } from './subscriber.js';
import { Watch } from './watch.js';
import type { Wire } from './wires.js';

/** Handshakes under way at a time; less than any server's queue for new connections. */
const CONNECTING = 200;

export interface Windows extends Lapse {
  readonly windows: number;
  readonly deliveries: number;
  /** Ms from the command to the last delivery, of every window, sorted. */
  readonly latencies: Float64Array;
  /** Bytes on the wire of a delivery, WebSocket headers included; null: not counted. */
  readonly wireBytes: number | null;
  /** What only this load tells; the names hold the units. */
  readonly more?: Readonly<Record<string, number>>;
}

/** A window: what is published, and how many deliveries come of it. */
export interface Window {
  readonly order: PublishOrder;
  readonly deliveries: number;
}

/** A storm is one window: what all its clients do at once. Each tells how long after the start it was done. */
export async function storm(run: (done: () => void) => Promise<unknown>): Promise<Windows> {
  const latencies: number[] = [];
  const timed = lapse();
  const start = performance.now();
  await run(() => latencies.push(performance.now() - start));
  if (latencies.length === 0) throw new Error('nobody came through the storm');
  return {
    windows: 1,
    deliveries: latencies.length,
    ...timed(),
    latencies: Float64Array.from(latencies).sort(),
    wireBytes: null,
  };
}

/** What the load needs of a server. */
export type Server = Pick<PeerProcess, 'port' | 'failure' | 'send'>;

export interface ConnectOptions {
  /**
   * All at once: the next connects when one was let in, not when its handshake is over. Still only so
   * many wait to be let in: more would overflow the kernel's queue, and its timers would be measured.
   */
  readonly storm?: boolean;
  /** Hears each whose handshake is over. */
  readonly ready?: (index: number) => void;
}

export class Generator {
  /** For waits for anything else than windows. */
  readonly watch: Watch;
  /** Hears whose events arrive. */
  onEvents: ((index: number, events: number) => void) | undefined;
  readonly #peer: Server;
  readonly #subscribers: Subscriber[] = [];
  /** Deliveries of the window that are still to come. */
  #remaining = 0;
  #done: () => void = () => undefined;

  constructor(peer: Server) {
    this.#peer = peer;
    this.watch = new Watch(peer);
  }

  get subscribers(): readonly Subscriber[] {
    return this.#subscribers;
  }

  /** That came since the handshakes. */
  get wireBytes(): number {
    return this.#subscribers.reduce((sum, { wireBytes }) => sum + wireBytes, 0);
  }

  /** Opens `n` more subscribers; `wireOf` tells what each says. */
  async connect(
    n: number,
    wireOf: (index: number) => Wire,
    { storm = false, ready }: ConnectOptions = {},
  ): Promise<void> {
    let opened = 0;
    let over = 0;
    const all = new Promise<void>((resolve) => {
      const open = (): void => {
        if (opened === n) return;
        const i = opened++;
        const subscriber = new Subscriber({
          port: this.#peer.port,
          wire: wireOf(i),
          received: (events) => {
            this.watch.moved();
            this.onEvents?.(i, events);
            this.#remaining -= events;
            if (this.#remaining <= 0) this.#done();
          },
          stepped: (step) => {
            this.watch.moved();
            if (storm && step === 0) open();
          },
          ready: () => {
            ready?.(i);
            if (!storm) open();
            if (++over === n) resolve();
          },
          failed: (error) => this.watch.fail(error),
        });
        this.#subscribers.push(subscriber);
      };
      for (let i = 0; i < CONNECTING; i++) open();
    });
    await this.watch.within(all, () => `connecting with ${n - over} left`);
  }

  /** Windows for at least `seconds`, and at least one: each is the next of `windows`, round and round. */
  async run(windows: readonly Window[], seconds: number): Promise<Windows> {
    const latencies: number[] = [];
    const bytes = this.wireBytes;
    const events = this.#events();
    const timed = lapse();
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
    const lapsed = timed();
    if (this.#remaining !== 0 || this.#events() - events !== deliveries) {
      throw new Error(`${this.#events() - events} deliveries came instead of ${deliveries}`);
    }
    return {
      windows: latencies.length,
      deliveries,
      ...lapsed,
      latencies: Float64Array.from(latencies).sort(),
      wireBytes: (this.wireBytes - bytes) / deliveries,
    };
  }

  /** The sum came out right; where these are all in the same topics, each one's own count must too. */
  checkEqual(from = 0, to = this.#subscribers.length): void {
    this.checkEach((index) => (index < from || index >= to ? undefined : this.#subscribers[from]?.events));
  }

  /** Each one's own count; undefined: any. */
  checkEach(expected: (index: number) => number | undefined): void {
    const wrong = this.#subscribers.filter(({ events }, index) => (expected(index) ?? events) !== events);
    if (wrong.length > 0) throw new Error(`${wrong.length} subscribers did not get as many events as they should have`);
  }

  /** Cuts the first `count`. */
  close(count = this.#subscribers.length): void {
    for (const subscriber of this.#subscribers.splice(0, count)) subscriber.close();
  }

  #window({ order, deliveries }: Window): Promise<unknown> {
    this.#remaining = deliveries;
    const delivered = new Promise<void>((resolve) => (this.#done = resolve));
    this.#peer.send(order);
    return this.watch.within(delivered, () => `a window with ${this.#remaining} deliveries missing`);
  }

  #events(): number {
    return this.#subscribers.reduce((sum, { events }) => sum + events, 0);
  }
}
