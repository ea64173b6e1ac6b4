/**
 * Bodies of HTTP requests and answers, in parts between the other frames: so many bytes may be under way for each and for
 * all, so that no download holds up an event. Both ends have one of these.
 */
import { LinkError, number, Op, readNumber } from './frames.js';
import type { Channel } from './channel.js';

export const PART = 64 * 1024;
/** Bytes under way for one exchange, and for all. */
const ONE = 256 * 1024;
const ALL = 1024 * 1024;

interface Going {
  readonly bytes: Uint8Array;
  at: number;
  inFlight: number;
}

interface Coming {
  readonly length: number;
  readonly parts: Buffer[];
  have: number;
  readonly done: (body: Buffer) => void;
}

export class Bodies {
  readonly #channel: Pick<Channel, 'send'>;
  /** The first is the next to send a part. */
  readonly #going = new Map<number, Going>();
  readonly #coming = new Map<number, Coming>();
  #inFlight = 0;

  constructor(channel: Pick<Channel, 'send'>) {
    this.#channel = channel;
  }

  /** Nothing is under way to the other end. */
  get idle(): boolean {
    return this.#going.size === 0;
  }

  /** After the head that says its length. The bytes must not change until they have left. */
  send(id: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#going.set(id, { bytes, at: 0, inFlight: 0 });
    this.#pump();
  }

  /** `done` gets the body when it is whole; at once where it is empty. */
  await(id: number, length: number, done: (body: Buffer) => void): void {
    if (length === 0) return done(Buffer.alloc(0));
    this.#coming.set(id, { length, parts: [], have: 0, done });
  }

  part(id: number, payload: Buffer): void {
    const coming = this.#coming.get(id);
    // Given up here; the other end learns it, or knows.
    if (coming === undefined) return;
    coming.have += payload.length;
    if (payload.length === 0 || payload.length > PART || coming.have > coming.length) {
      throw new LinkError('sent more of a body than it had said');
    }
    // A copy: the view would keep its whole piece.
    coming.parts.push(Buffer.from(payload));
    this.#channel.send(Op.CREDIT, id, number(payload.length));
    if (coming.have < coming.length) return;
    this.#coming.delete(id);
    coming.done(Buffer.concat(coming.parts, coming.length));
  }

  credit(id: number, payload: Buffer): void {
    const going = this.#going.get(id);
    if (going === undefined) return;
    const taken = readNumber(payload);
    if (taken > going.inFlight) throw new LinkError('took more of a body than was sent');
    going.inFlight -= taken;
    this.#inFlight -= taken;
    if (going.inFlight === 0 && going.at === going.bytes.length) this.#going.delete(id);
    this.#pump();
  }

  /** Nobody wants it any more, in either direction. */
  drop(id: number): void {
    this.#coming.delete(id);
    const going = this.#going.get(id);
    if (going === undefined) return;
    this.#going.delete(id);
    this.#inFlight -= going.inFlight;
    this.#pump();
  }

  /** In turns. */
  #pump(): void {
    let waiting = this.#going.size;
    while (waiting > 0 && this.#inFlight < ALL) {
      const [id, going] = this.#going.entries().next().value as [number, Going];
      this.#going.delete(id);
      this.#going.set(id, going);
      const end = Math.min(going.at + PART, going.bytes.length);
      if (going.at === end || going.inFlight >= ONE) {
        waiting--;
        continue;
      }
      waiting = this.#going.size;
      this.#channel.send(Op.PART, id, going.bytes.subarray(going.at, end));
      this.#inFlight += end - going.at;
      going.inFlight += end - going.at;
      going.at = end;
    }
  }
}
