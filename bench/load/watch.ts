/** Waits for what must come: fails when the server or a client did, or when nothing moves any more. */
import type { PeerProcess } from '../peer-process.js';

/** When nothing arrives for so long, something is lost. A wait itself may take long: slow peers do. */
const STALL_MS = 10_000;

export class Watch {
  readonly #peer: Pick<PeerProcess, 'failure'>;
  #moves = 0;
  #reject: (error: Error) => void = () => undefined;
  /** What went wrong while nobody waited. */
  #error: Error | undefined;

  constructor(peer: Pick<PeerProcess, 'failure'>) {
    this.#peer = peer;
  }

  /** Something arrived. */
  moved(): void {
    this.#moves++;
  }

  fail(error: Error): void {
    this.#error ??= error;
    this.#reject(error);
  }

  /** One wait at a time. `what` tells what is waited for, should it not come. */
  async within<T>(work: Promise<T>, what: () => string): Promise<T> {
    if (this.#error !== undefined) throw this.#error;
    let timer: NodeJS.Timeout | undefined;
    let moves = this.#moves;
    const failure = new Promise<never>((_, reject) => {
      this.#reject = reject;
      timer = setInterval(() => {
        if (moves === this.#moves) reject(new Error(`${what()} came to a halt`));
        moves = this.#moves;
      }, STALL_MS);
    });
    try {
      return await Promise.race([work, this.#peer.failure, failure]);
    } finally {
      clearInterval(timer);
    }
  }
}
