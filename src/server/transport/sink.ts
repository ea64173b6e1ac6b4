/**
 * Between an engine's callbacks and the server's SocketEvents. Both engines report through it, so
 * these hold for both: what the server throws goes to `failed` and never into the engine (rule 8),
 * `closed` is reported exactly once, and nothing after it.
 */
import type { SocketEvents } from './transport.js';

export class Sink {
  readonly #failed: (error: unknown) => void;
  #events: SocketEvents | undefined;
  #open = true;
  #early: { readonly code: number; readonly reason: string } | undefined;

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** False once `close` was reported. */
  get open(): boolean {
    return this.#open;
  }

  /** Asks the server for its events; false when it threw, and then there is nobody to report to. */
  start(open: () => SocketEvents): boolean {
    try {
      this.#events = open();
    } catch (error) {
      this.#open = false;
      this.#failed(error);
      return false;
    }
    if (this.#early !== undefined) this.#report(this.#events, this.#early.code, this.#early.reason);
    return true;
  }

  message(bytes: Uint8Array, binary: boolean): void {
    if (!this.#open) return;
    try {
      this.#events?.message(bytes, binary);
    } catch (error) {
      this.#failed(error);
    }
  }

  drain(): void {
    if (!this.#open) return;
    try {
      this.#events?.drained();
    } catch (error) {
      this.#failed(error);
    }
  }

  leave(spreadMs: number): void {
    if (!this.#open) return;
    try {
      this.#events?.leave?.(spreadMs);
    } catch (error) {
      this.#failed(error);
    }
  }

  close(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    // The server may end a socket while it opens it, before its events are known.
    if (this.#events === undefined) this.#early = { code, reason };
    else this.#report(this.#events, code, reason);
  }

  #report(events: SocketEvents, code: number, reason: string): void {
    try {
      events.closed(code, reason);
    } catch (error) {
      this.#failed(error);
    }
  }
}
