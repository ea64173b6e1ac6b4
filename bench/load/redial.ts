/** A client that knows all addresses: when its connection ends it dials the next one, as soon as the SDK would, and so on. */
import { loadBackoff } from '../dist.js';
import { Subscriber } from './subscriber.js';
import type { Wire } from './wires.js';

/** The SDK's own rule and settings. */
const { retryDelay } = await loadBackoff();
const BACKOFF = { firstMs: 500, longestMs: 20_000, jitter: Math.random };
const LOST = 1006;

export interface RedialOptions {
  readonly ports: readonly number[];
  /** Of `ports`: where it begins. */
  readonly first: number;
  readonly wire: Wire;
  /** The handshake is over, each time. */
  readonly ready?: (subscriber: Subscriber) => void;
  readonly received?: (events: number) => void;
  /** What the server said before the connection ended. */
  readonly goaway?: () => { readonly code: number; readonly retryAfterMs: number } | undefined;
}

export class Redial {
  readonly #options: RedialOptions;
  #turn: number;
  #attempt = 0;
  #subscriber: Subscriber | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** Why it was lost the last time. */
  problem = '';

  constructor(options: RedialOptions) {
    this.#options = options;
    this.#turn = options.first;
    this.#dial();
  }

  #dial(): void {
    const { ports, wire, ready, received = () => undefined } = this.#options;
    const port = ports[this.#turn++ % ports.length] as number;
    const subscriber = new Subscriber({
      ...{ port, wire, received },
      stepped: () => undefined,
      ready: () => {
        this.#attempt = 0;
        ready?.(subscriber);
      },
      failed: (error) => this.#lost(error),
    });
    this.#subscriber = subscriber;
  }

  #lost({ message }: Error): void {
    if (this.#isClosed) return;
    this.problem = message;
    const { code = LOST, retryAfterMs = 0 } = this.#options.goaway?.() ?? {};
    const delay = retryDelay(BACKOFF, { attempt: ++this.#attempt, code, retryAfterMs });
    this.#timer = setTimeout(() => this.#dial(), delay);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#subscriber?.close();
  }
}
