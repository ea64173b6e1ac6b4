/**
 * The probe's client: connects to the server's own port as any client does, says HELLO, is subscribed as a
 * call such as `join:room` would do it, and waits for one event at a time.
 */
import { decodeAll } from '../../protocol/codec.js';
import { Op, SUBPROTOCOL, type ServerFrame } from '../../protocol/frames.js';
import { connectLoopback, type Loopback } from '../transport/loopback.js';
import { OWN_PREFIX } from '../wire/names.js';
import { writeHello, writePong } from '../wire/frames.js';

export interface ProbeClientOptions {
  /** `ws://…`, or `wss://…`, of the server's own port. */
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
        this.#loopback.send(writeHello(1, { instance: OWN_PREFIX, grace: 0, agent: 'roomwire probe' }));
      },
      message: (bytes) => {
        for (const frame of decodeAll(bytes)) this.#frame(frame as unknown as ServerFrame);
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

  /** The frame is its own server's. */
  #frame(frame: ServerFrame): void {
    switch (frame[0]) {
      case Op.PING:
        return this.#loopback.send(writePong(frame[1] ?? null));
      case Op.WELCOME: {
        const [sid] = frame[2].session;
        this.#options.reached('subscribe');
        return this.#options.subscribe(sid, (error) => this.#waiting?.failed(error as Error));
      }
      case Op.SUBSCRIBED:
        return this.#waiting?.done();
      case Op.EVENTS: {
        const [, , , ...items] = frame;
        for (const [, number] of items) if (number === this.#waiting?.event) this.#waiting.done();
        return;
      }
      default:
        return;
    }
  }
}
