/**
 * A client that connected while there was no hub, and one is to come within seconds: it waits, with what it says first, in place
 * of trying again and again. Bounded in time, and in what it may say.
 */
import type { Socket, SocketEvents } from '../server/transport/transport.js';

/** A HELLO and what follows it at once; more is said after WELCOME. */
const MOST_BYTES = 64 * 1024;

export class Waiting implements SocketEvents {
  readonly socket: Socket;
  readonly #over: (waiting: Waiting) => void;
  #said: { readonly bytes: Uint8Array; readonly binary: boolean }[] = [];
  #bytes = 0;
  #to: SocketEvents | undefined;

  /** `over`: it waits no more. */
  constructor(socket: Socket, over: (waiting: Waiting) => void) {
    this.socket = socket;
    this.#over = over;
  }

  /** A hub has come: from here on these hear what it says. */
  go(to: SocketEvents): void {
    this.#to = to;
    this.#over(this);
    for (const { bytes, binary } of this.#said) to.message(bytes, binary);
    this.#said = [];
  }

  message(bytes: Uint8Array, binary: boolean): void {
    if (this.#to !== undefined) return this.#to.message(bytes, binary);
    this.#bytes += bytes.length;
    if (this.#bytes > MOST_BYTES) return this.socket.terminate();
    // Rule 8: the engine's buffer is its own again after this.
    this.#said.push({ bytes: bytes.slice(), binary });
  }

  drained(): void {
    this.#to?.drained();
  }

  closed(code: number, reason: string): void {
    if (this.#to === undefined) this.#over(this);
    else this.#to.closed(code, reason);
  }
}
