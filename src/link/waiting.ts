/**
 * Clients that connected while there was no hub, and one is to come within seconds: they wait, with what they say first, in place
 * of trying again and again. Bounded in number, in time, and in what they may say; the door counts them as connections.
 */
import type { Doorkeeper } from '../server/gate/doorkeeper.js';
import type { Socket, SocketEvents, UpgradeInfo } from '../server/transport/transport.js';
import { inTurns } from '../server/transport/turns.js';

const MOST_CLIENTS = 20_000;
/** A HELLO, which is said alone; more follows WELCOME. */
const MOST_BYTES = 64 * 1024;
/** Of all of them. */
const MOST_BYTES_IN_ALL = 64 * 1024 * 1024;

export interface Client {
  readonly socket: Socket;
  readonly info: UpgradeInfo;
  readonly address: string;
  readonly door: Doorkeeper;
}

export class WaitingClients {
  readonly #after: (ms: number, fn: () => void) => void;
  readonly #waiting = new Set<Waiting>();
  #bytes = 0;

  constructor(after: (ms: number, fn: () => void) => void) {
    this.#after = after;
  }

  get full(): boolean {
    return this.#waiting.size >= MOST_CLIENTS;
  }

  /** It is cut off when no hub has come within so many ms. */
  add(client: Client, ms: number): SocketEvents {
    client.door.opened(client.address);
    const waiting = new Waiting(client, {
      takes: (bytes) => this.#bytes + bytes <= MOST_BYTES_IN_ALL && ((this.#bytes += bytes), true),
      over: (bytes) => {
        this.#waiting.delete(waiting);
        this.#bytes -= bytes;
        client.door.closed(client.address);
      },
    });
    this.#waiting.add(waiting);
    this.#after(ms, () => {
      if (this.#waiting.has(waiting)) client.socket.terminate();
    });
    return waiting;
  }

  /** A hub has come. `open`: undefined when it is gone again; then they wait on. */
  go(open: (client: Client) => SocketEvents | undefined): void {
    void inTurns([...this.#waiting], (waiting) => {
      if (!this.#waiting.has(waiting)) return;
      const to = open(waiting.client);
      if (to !== undefined) waiting.go(to);
    });
  }
}

interface Bounds {
  /** Counts them. False: there is no room. */
  readonly takes: (bytes: number) => boolean;
  /** It waits no more. `bytes`: what was counted. */
  readonly over: (bytes: number) => void;
}

class Waiting implements SocketEvents {
  readonly client: Client;
  readonly #bounds: Bounds;
  readonly #said: { readonly bytes: Uint8Array; readonly binary: boolean }[] = [];
  #bytes = 0;
  #to: SocketEvents | undefined;

  constructor(client: Client, bounds: Bounds) {
    this.client = client;
    this.#bounds = bounds;
  }

  /** From here on these hear what it says. */
  go(to: SocketEvents): void {
    this.#to = to;
    this.#bounds.over(this.#bytes);
    for (const { bytes, binary } of this.#said.splice(0)) to.message(bytes, binary);
  }

  message(bytes: Uint8Array, binary: boolean): void {
    if (this.#to !== undefined) return this.#to.message(bytes, binary);
    if (this.#bytes + bytes.length > MOST_BYTES || !this.#bounds.takes(bytes.length))
      return this.client.socket.terminate();
    this.#bytes += bytes.length;
    // Rule 8: the engine's buffer is its own again after this.
    this.#said.push({ bytes: new Uint8Array(bytes), binary });
  }

  drained(): void {
    this.#to?.drained();
  }

  closed(code: number, reason: string): void {
    if (this.#to === undefined) this.#bounds.over(this.#bytes);
    else this.#to.closed(code, reason);
  }
}
