/** One WebSocket of uWebSockets.js, and its steps of closing: of uws.ts, which hands on what the engine reports. */
import { Sink } from './sink.js';
import type { SendResult, Socket } from './transport.js';
import type { UwsWebSocket } from './uws-load.js';

export class UwsSocket implements Socket {
  readonly sink: Sink;
  readonly #failed: (error: unknown) => void;
  readonly #endMs: number;
  /** Undefined once the engine has reported its close: from then on its methods throw. */
  #native: UwsWebSocket<unknown> | undefined;
  /** The same, while anything may be sent: undefined from the first step of closing. */
  #sending: UwsWebSocket<unknown> | undefined;
  #corked = false;
  #closing: { readonly code: number; readonly reason: string } | 'cut' | undefined;
  #deadline: NodeJS.Timeout | undefined;

  constructor(native: UwsWebSocket<unknown>, endMs: number, failed: (error: unknown) => void) {
    this.#native = this.#sending = native;
    this.#endMs = endMs;
    this.#failed = failed;
    this.sink = new Sink(failed);
  }

  send(bytes: Uint8Array): SendResult {
    if (this.#sending === undefined) return 'dropped';
    const status = this.#sending.send(bytes, true, false);
    return status === 1 ? 'sent' : status === 0 ? 'queued' : 'dropped';
  }

  bufferedBytes(): number {
    return this.#sending?.getBufferedAmount() ?? 0;
  }

  cork(fn: () => void): void {
    if (this.#sending === undefined) return;
    const guarded = () => {
      try {
        fn();
      } catch (error) {
        this.#failed(error);
      }
    };
    if (this.#corked) return guarded();
    this.#corked = true;
    this.#sending.cork(guarded);
    this.#corked = false;
    this.#shut();
  }

  end(code: number, reason: string): void {
    if (!this.sink.open) return;
    this.#closing = { code, reason };
    this.#sending = undefined;
    this.#shut();
    this.sink.close(code, reason);
  }

  terminate(): void {
    if (!this.sink.open) return;
    this.#closing = 'cut';
    this.#sending = undefined;
    this.#shut();
    this.sink.close(1006, '');
  }

  /** From the engine: it took some of what it holds. */
  drained(): void {
    if (this.#closing === undefined) this.sink.drain();
    else this.#shut();
  }

  /** From the engine: the last word on this connection. */
  gone(code: number, reason: string): void {
    this.#native = this.#sending = undefined;
    clearTimeout(this.#deadline);
    this.sink.close(code, reason);
  }

  /** Takes the next step of closing, if there is one. */
  #shut(): void {
    // In a cork the engine would neither send the FIN after the close frame nor close cleanly.
    if (this.#closing === undefined || this.#native === undefined || this.#corked) return;
    if (this.#closing === 'cut') return this.#native.close();
    // Over maxBackpressure the engine drops the close frame and all it holds, and below it a peer
    // that drains and stays outlives the engine's own timeout: end only what has drained. Few
    // sockets ever end stalled, and timers of one length share a list: no wheel is needed here.
    if (this.#native.getBufferedAmount() === 0) return this.#native.end(this.#closing.code, this.#closing.reason);
    this.#deadline ??= setTimeout(() => this.#native?.close(), this.#endMs).unref();
  }
}
