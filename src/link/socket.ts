/**
 * A WebSocket whose engine is in an edge, as the hub's connections see it. Nothing waits here: what the link or the client
 * does not take is `dropped`, so its cursor stays where it is, and it is told when there is room again.
 */
import { Sink } from '../server/transport/sink.js';
import type { SendResult, Socket } from '../server/transport/transport.js';
import type { Channel } from './channel.js';
import { ending, Op } from './frames.js';
import { InFlight } from './in-flight.js';

export interface SocketOwner {
  readonly channel: Channel;
  /** It is to be told when there is room. */
  waits(socket: LinkSocket): void;
  gone(socket: LinkSocket): void;
  /** One for all: a function of its own for each of many thousands is memory. */
  readonly failed: (error: unknown) => void;
}

export class LinkSocket implements Socket {
  readonly sink: Sink;
  readonly id: number;
  /** An answer in parts, and no WebSocket. */
  readonly isStream: boolean;
  readonly #owner: SocketOwner;
  readonly #inFlight = new InFlight();
  /** `send` answers `dropped` above it. */
  readonly #maxBufferedBytes: number;
  /** What the edge's engine held when it said stop; undefined: it takes more. */
  #stalled: number | undefined;

  constructor(
    id: number,
    owner: SocketOwner,
    { maxBufferedBytes, isStream }: { readonly maxBufferedBytes: number; readonly isStream: boolean },
  ) {
    this.id = id;
    this.isStream = isStream;
    this.#owner = owner;
    this.#maxBufferedBytes = maxBufferedBytes;
    this.sink = new Sink(owner.failed);
  }

  send(bytes: Uint8Array): SendResult {
    if (!this.sink.open) return 'dropped';
    const { channel } = this.#owner;
    // That the engine holds back comes a round trip late: what is under way counts as held.
    if (channel.full || this.bufferedBytes() > this.#maxBufferedBytes) {
      this.#owner.waits(this);
      return 'dropped';
    }
    channel.deliver(this.id, bytes);
    this.#inFlight.add(bytes.length, channel.sent, channel.acked);
    return this.#stalled === undefined ? 'sent' : 'queued';
  }

  bufferedBytes(): number {
    return this.sink.open ? (this.#stalled ?? 0) + this.#inFlight.count(this.#owner.channel.acked) : 0;
  }

  cork(fn: () => void): void {
    if (!this.sink.open) return;
    try {
      fn();
    } catch (error) {
      this.#owner.failed(error);
    }
  }

  end(code: number, reason: string): void {
    if (!this.sink.open) return;
    this.#owner.channel.send(Op.END, this.id, ending(code, reason));
    this.#owner.gone(this);
    this.sink.close(code, reason);
  }

  terminate(): void {
    if (!this.sink.open) return;
    this.#owner.channel.send(Op.CUT, this.id);
    this.#owner.gone(this);
    this.sink.close(1006, '');
  }

  /** From the edge. */
  stalls(bytes: number): void {
    this.#stalled = bytes;
  }

  /** From the edge. */
  drains(): void {
    this.#stalled = undefined;
    this.sink.drain();
  }

  /** The client takes nothing now: its edge says when it does. */
  get isStalled(): boolean {
    return this.#stalled !== undefined;
  }

  /** Whether it may be told to go on. */
  get hasRoom(): boolean {
    return this.bufferedBytes() <= this.#maxBufferedBytes / 2;
  }
}
