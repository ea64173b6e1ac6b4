/**
 * An answer in parts on uWebSockets.js, as a socket. The engine takes whatever it is given and says afterwards whether the
 * peer took all of it; that it takes more can be found out by writing alone. A peer that takes nothing for 10 s is cut by
 * the engine.
 */
import { Sink } from './sink.js';
import type { SendResult, Socket } from './transport.js';
import type { UwsResponse } from './uws-load.js';

export class UwsStream implements Socket {
  readonly sink: Sink;
  readonly #failed: (error: unknown) => void;
  /** Undefined once it was ended or aborted: from then on its methods throw. */
  #native: UwsResponse | undefined;
  /** Bytes sent since the peer was seen not to take all: as far as anybody knows, the engine holds them. */
  #held = 0;

  constructor(native: UwsResponse, filler: Uint8Array, failed: (error: unknown) => void) {
    this.#native = native;
    this.#failed = failed;
    this.sink = new Sink(failed);
    native.onWritable(() => {
      // Alone in its write: in a cork the engine says yes to all that fits there. What it holds goes first.
      if (this.#native?.write(filler) !== true) return true;
      this.#held = 0;
      this.sink.drain();
      return true;
    });
  }

  send(bytes: Uint8Array): SendResult {
    const native = this.#native;
    if (native === undefined) return 'dropped';
    let isTaken = true;
    // The engine frames a part in several writes.
    native.cork(() => (isTaken = native.write(bytes)));
    if (isTaken && this.#held === 0) return 'sent';
    this.#held += bytes.length;
    return 'queued';
  }

  bufferedBytes(): number {
    return this.#held;
  }

  cork(fn: () => void): void {
    this.#native?.cork(() => {
      try {
        fn();
      } catch (error) {
        this.#failed(error);
      }
    });
  }

  end(code: number, reason: string): void {
    const native = this.#native;
    if (native === undefined) return;
    this.#native = undefined;
    native.cork(() => native.end(''));
    this.sink.close(code, reason);
  }

  terminate(): void {
    const native = this.#native;
    if (native === undefined) return;
    this.#native = undefined;
    native.close();
    this.sink.close(1006, '');
  }

  /** From the engine: the peer has gone. */
  gone(): void {
    this.#native = undefined;
    this.sink.close(1006, '');
  }
}
