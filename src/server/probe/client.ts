/**
 * The probe's client: connects to the server's own port as any client does, says HELLO, is subscribed as a
 * call such as `join:room` would do it, and waits for one event at a time.
 */
import { decodeAll, encode } from '../../protocol/codec.js';
import { Op, SUBPROTOCOL, type Value } from '../../protocol/frames.js';
import { connectLoopback, type Loopback } from '../transport/loopback.js';
import { OWN_PREFIX } from '../wire/names.js';

export interface ProbeClientOptions {
  /** `ws://…` of the server's own port. */
  readonly url: string;
  readonly token: string;
  /** Subscribes this session to the probe's topic. */
  readonly subscribe: (sid: string, failed: (error: unknown) => void) => void;
  /** Says how far it is. */
  readonly reached: (stage: 'login' | 'subscribe') => void;
}

export class ProbeClient {
  readonly #options: ProbeClientOptions;
  readonly #loopback: Loopback;
  #open = true;
  /** The one thing that is waited for: the subscription, then one event after the other. */
  #waiting: { readonly event: number | undefined; done(): void; failed(error: Error): void } | undefined;
  readonly subscribed: Promise<void>;

  constructor(options: ProbeClientOptions) {
    this.#options = options;
    const { url, token } = options;
    this.subscribed = this.#wait(undefined);
    // Whoever began it may have given up.
    this.subscribed.catch(() => undefined);
    this.#loopback = connectLoopback({
      url,
      token,
      subprotocol: SUBPROTOCOL,
      opened: () => {
        options.reached('login');
        this.#send([Op.HELLO, 1, { instance: OWN_PREFIX, grace: 0, agent: 'roomwire probe' }]);
      },
      message: (bytes) => {
        for (const frame of decodeAll(bytes)) this.#frame(frame);
      },
      closed: (reason) => {
        this.#open = false;
        this.#waiting?.failed(new Error(`the probe's connection ended: ${reason}`));
      },
    });
  }

  get open(): boolean {
    return this.#open;
  }

  /** Resolves when the event with this number comes; rejects when the connection ends before. */
  event(number: number): Promise<void> {
    const arrived = this.#wait(number);
    arrived.catch(() => undefined);
    return arrived;
  }

  close(): void {
    this.#loopback.close();
  }

  #wait(event: number | undefined): Promise<void> {
    return new Promise((done, failed) => {
      if (this.#open) this.#waiting = { event, done, failed };
      else failed(new Error("the probe's connection ended"));
    });
  }

  #send(frame: readonly unknown[]): void {
    this.#loopback.send(encode(frame));
  }

  #frame([op, second, third, ...items]: readonly Value[]): void {
    switch (op) {
      case Op.PING:
        return this.#send([Op.PONG, second ?? null]);
      case Op.WELCOME: {
        const { session } = third as { readonly session: readonly [sid: string] };
        this.#options.reached('subscribe');
        return this.#options.subscribe(session[0], (error) => this.#waiting?.failed(error as Error));
      }
      case Op.SUBSCRIBED:
        return this.#waiting?.done();
      case Op.EVENTS:
        for (const item of items) {
          const [, number] = item as readonly [event: string, number: Value];
          if (number === this.#waiting?.event) this.#waiting.done();
        }
        return;
      default:
        return;
    }
  }
}
