/**
 * Bodies of HTTP requests and answers, in parts between the other frames: so many bytes may be under way for each and for
 * all, so that no download holds up an event. Both ends have one of these.
 */
import { Gathered } from '../server/transport/gathered.js';
import { isPaced, pace } from '../server/transport/pace.js';
import { LinkError, number, Op, readNumber } from './frames.js';
import type { Channel } from './channel.js';

export const PART = 64 * 1024;
/** Bytes under way for one exchange, and for all: an event waits for no more than these. */
const ONE = 2 * PART;
const ALL = 4 * PART;

interface Going {
  readonly bytes: Uint8Array;
  at: number;
  inFlight: number;
}

interface Coming {
  readonly length: number;
  readonly gathered: Gathered;
  /** Bytes that the other end has no credit for yet. */
  owed: number;
  isWaiting: boolean;
  readonly done: (body: Buffer) => void;
}

export class Bodies {
  readonly #channel: Pick<Channel, 'send'>;
  readonly #going = new Map<number, Going>();
  /** Of these, those that may send a part; the first is the next. */
  readonly #ready = new Set<number>();
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
    this.#ready.add(id);
    this.#pump();
  }

  /** `done` gets the body when it is whole; at once where it is empty. */
  await(id: number, length: number, done: (body: Buffer) => void): void {
    if (length === 0) return done(Buffer.alloc(0));
    this.#coming.set(id, { length, gathered: new Gathered(length), owed: 0, isWaiting: false, done });
  }

  part(id: number, payload: Buffer): void {
    const coming = this.#coming.get(id);
    // Given up here; the other end learns it, or knows.
    if (coming === undefined) return;
    const { gathered, length, done } = coming;
    if (payload.length === 0 || payload.length > PART || gathered.length + payload.length > length) {
      throw new LinkError('sent more of a body than it had said');
    }
    gathered.add(payload);
    coming.owed += payload.length;
    if (gathered.length < length && isPaced(gathered.length)) return this.#wait(id, coming);
    this.#tell(id, coming);
    if (gathered.length < length) return;
    this.#coming.delete(id);
    done(gathered.take());
  }

  #wait(id: number, coming: Coming): void {
    if (coming.isWaiting) return;
    coming.isWaiting = true;
    pace.wait(() => this.#tell(id, coming));
  }

  /** That it may send more. */
  #tell(id: number, coming: Coming): number {
    const { owed } = coming;
    coming.owed = 0;
    coming.isWaiting = false;
    if (owed > 0) this.#channel.send(Op.CREDIT, id, number(owed));
    return owed;
  }

  credit(id: number, payload: Buffer): void {
    const going = this.#going.get(id);
    if (going === undefined) return;
    const taken = readNumber(payload);
    if (taken > going.inFlight) throw new LinkError('took more of a body than was sent');
    going.inFlight -= taken;
    this.#inFlight -= taken;
    if (going.at < going.bytes.length) this.#ready.add(id);
    else if (going.inFlight === 0) this.#going.delete(id);
    this.#pump();
  }

  /** Nobody wants it any more, in either direction. */
  drop(id: number): void {
    this.#coming.delete(id);
    const going = this.#going.get(id);
    if (going === undefined) return;
    this.#going.delete(id);
    this.#ready.delete(id);
    this.#inFlight -= going.inFlight;
    this.#pump();
  }

  /** In turns. */
  #pump(): void {
    for (const id of this.#ready) {
      if (this.#inFlight >= ALL) return;
      this.#ready.delete(id);
      const going = this.#going.get(id) as Going;
      const part = going.bytes.subarray(going.at, going.at + PART);
      this.#channel.send(Op.PART, id, part);
      this.#inFlight += part.length;
      going.inFlight += part.length;
      going.at += part.length;
      // To the end of the line.
      if (going.at < going.bytes.length && going.inFlight < ONE) this.#ready.add(id);
    }
  }
}
