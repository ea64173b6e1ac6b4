/**
 * One who follows a topic over HTTP: a cursor beside the topic's own. It holds a position and no events; while its socket
 * takes nothing it stays where it is, and when the history no longer has what it needs next, it is told so (rule 2).
 */
import { concat } from '../../protocol/codec.js';
import { closes } from '../../protocol/codes.js';
import { RoomwireError } from '../../protocol/errors.js';
import { isPromise } from '../../store/promise.js';
import type { LogChunk, MaybePromise } from '../../store/store.js';
import type { LiveFormat, StreamedBody } from '../api.js';
import { FRAME_BYTES } from '../hub/events-frame.js';
import type { Timer } from '../time/wheel.js';
import type { Socket, SocketEvents } from '../transport/transport.js';
import type { Counters } from '../watch/counters.js';
import type { Encoded } from './encoded.js';
import type { Followed, Follower } from './followed.js';

/** Bytes that one reader gets in one turn. */
const TURN_BYTES = 512 * 1024;
/** Ms until one whose answer has ended comes again, at least. */
const RETRY_MS = 2_000;
/** The last part of an answer's longest time, at some moment of which it ends, so that not all come back at once. */
const SPREAD = 0.2;

export interface ReaderOwner {
  readonly encoded: Encoded;
  readonly counters: Pick<Counters, 'resets' | 'liveBytes'>;
  /** Ms between two signs of life. */
  readonly pingEvery: number;
  /** Ms that an answer goes on. */
  readonly maxMs: number;
  after(ms: number, fn: () => void): Timer;
  read(topic: string, from: number, maxBytes: number): MaybePromise<readonly LogChunk[]>;
  /** Has `feed` called in a turn of its own. */
  wake(reader: Reader): void;
  /** It has gone. */
  gone(reader: Reader): void;
}

/** What is to be written next, and where the reader is after it. */
interface Part {
  readonly bytes: Uint8Array;
  readonly next: number;
}

export class Reader implements StreamedBody, SocketEvents, Follower {
  readonly followed: Followed;
  readonly userId: string | undefined;
  readonly #owner: ReaderOwner;
  readonly #format: LiveFormat;
  readonly #resting: Timer;
  #beating: Timer;
  #epoch: string;
  #next: number;
  /** The history did not reach back to where it was. */
  #isLost: boolean;
  #socket: Socket | undefined;
  #isOver = false;
  /** Why, where it is to be told. */
  #why: { readonly error: RoomwireError; readonly retryMs: number } | undefined;
  /** The socket takes no more, until it says so. */
  #isBlocked = false;
  /** So it was at the last beat, and has not said so since. */
  #wasBlocked = false;
  #isReading = false;
  #hasWritten = false;

  constructor(
    owner: ReaderOwner,
    followed: Followed,
    start: {
      readonly format: LiveFormat;
      readonly offset: number;
      readonly recovered: boolean;
      readonly userId: string | undefined;
    },
  ) {
    this.#owner = owner;
    this.followed = followed;
    this.#format = start.format;
    this.#epoch = followed.epoch;
    this.#next = start.offset + 1;
    this.#isLost = !start.recovered;
    this.userId = start.userId;
    this.#resting = owner.after(owner.maxMs * (1 - SPREAD * Math.random()), () => this.rest());
    this.#beating = owner.after(owner.pingEvery, () => this.#beat());
  }

  // ---- what the transport calls ------------------------------------------------------------------------

  get filler(): Uint8Array {
    return this.#format.idle;
  }

  open(socket: Socket): SocketEvents {
    this.#socket = socket;
    // A position before the first event: one who is cut off now is to come back to it. That of a RESET comes with it alone, or
    // one who is cut off in between would never hear of the gap.
    this.#send(this.#format.begin(this.#isLost ? undefined : [this.#epoch, this.#next - 1]));
    if (this.#isOver) this.#finish();
    else this.#owner.wake(this);
    return this;
  }

  message(): void {
    // None comes: the request was read to its end.
  }

  drained(): void {
    this.#isBlocked = this.#wasBlocked = false;
    this.#owner.wake(this);
  }

  closed(): void {
    this.#leave();
  }

  /** Its edge goes away. */
  leave(spreadMs: number): void {
    this.end(new RoomwireError('draining'), spreadMs);
  }

  // ---- what becomes of the topic and of its rights -----------------------------------------------------

  grown(): void {
    this.#owner.wake(this);
  }

  end(error: RoomwireError, spreadMs = 0): void {
    if (this.#isOver) return;
    this.#why = { error, retryMs: RETRY_MS + Math.round(Math.random() * spreadMs) };
    this.#finish();
  }

  /** The answer has gone on for long enough: its reader comes back to where it is. */
  rest(): void {
    if (!this.#isOver) this.#finish();
  }

  #leave(): void {
    this.#isOver = true;
    this.#resting.cancel();
    this.#beating.cancel();
    this.#owner.gone(this);
  }

  #finish(): void {
    this.#leave();
    const socket = this.#socket;
    if (socket === undefined) return;
    if (this.#why !== undefined && !this.#isBlocked) this.#send(this.#format.end(this.#why.error, this.#why.retryMs));
    socket.end(closes.bye, '');
  }

  /** Once each ping interval: says that it lives, or ends who has taken nothing for a whole one, or never came. */
  #beat(): void {
    this.#beating = this.#owner.after(this.#owner.pingEvery, () => this.#beat());
    if (this.#socket === undefined) return this.closed();
    if (this.#isBlocked && this.#wasBlocked) return this.#socket.terminate();
    this.#wasBlocked = this.#isBlocked;
    if (!this.#hasWritten && !this.#isBlocked) this.#send(this.#format.idle);
    this.#hasWritten = false;
  }

  // ---- feeding -----------------------------------------------------------------------------------------

  /** Writes what there is for it, as far as the socket takes it and the turn goes. */
  feed(): void {
    let budget = TURN_BYTES;
    while (this.#takes) {
      if (budget <= 0) return this.#owner.wake(this);
      const part = this.#part();
      if (part === undefined) return this.#atHead();
      if (isPromise(part)) return this.#await(part);
      budget -= part.bytes.length;
      this.#write(part);
    }
  }

  get #takes(): boolean {
    return this.#socket !== undefined && !this.#isOver && !this.#isBlocked && !this.#isReading;
  }

  #atHead(): void {
    if (this.followed.isOver) this.end(new RoomwireError('position_unknown', 'the topic was deleted'));
  }

  /** Undefined: it has all. */
  #part(): MaybePromise<Part> | undefined {
    const { topic, epoch, head } = this.followed;
    if (this.#isLost || this.#epoch !== epoch) return this.#reset();
    if (this.#next > head) return undefined;
    const chunks: LogChunk[] = [];
    let bytes = 0;
    for (let next = this.#next; next <= head && bytes < FRAME_BYTES;) {
      const chunk = topic.ring.find(next);
      if (chunk === undefined) break;
      chunks.push(chunk);
      bytes += chunk.frame.length;
      next = chunk.first + chunk.count;
    }
    if (chunks.length > 0) return this.#encode(chunks);
    // Of one that was deleted nothing is left there.
    const read = this.followed.isOver ? [] : this.#read();
    return isPromise(read) ? read.then((found) => this.#fromStore(found)) : this.#fromStore(read);
  }

  /** A log that cannot be read is told as a gap, like one that is gone. */
  #read(): MaybePromise<readonly LogChunk[]> {
    try {
      const read = this.#owner.read(this.followed.name, this.#next, FRAME_BYTES);
      return isPromise(read) ? read.catch(() => []) : read;
    } catch {
      return [];
    }
  }

  #fromStore(chunks: readonly LogChunk[]): Part {
    const [first] = chunks;
    if (first === undefined || first.first > this.#next || this.#epoch !== this.followed.epoch) return this.#reset();
    try {
      // The store may be ahead of what was told so far.
      return this.#encode(chunks.filter((chunk) => chunk.first <= this.followed.head));
    } catch {
      // A file that was damaged.
      return this.#reset();
    }
  }

  #encode(chunks: readonly LogChunk[]): Part {
    const { head } = this.followed;
    const wanted = { format: this.#format, epoch: this.#epoch, from: this.#next, until: head };
    const parts = chunks.map((chunk) => this.#owner.encoded.get(chunk, wanted));
    const { first, count } = chunks[chunks.length - 1] as LogChunk;
    const bytes = parts.length === 1 ? (parts[0] as Uint8Array) : concat(parts);
    return { bytes, next: Math.min(first + count, head + 1) };
  }

  /** One explicit RESET, never a silent gap. */
  #reset(): Part {
    const { epoch, head } = this.followed;
    this.#isLost = true;
    return { bytes: this.#format.reset([epoch, head]), next: head + 1 };
  }

  #await(part: Promise<Part>): void {
    this.#isReading = true;
    void part.then((found) => {
      this.#isReading = false;
      // It may have gone during the read (rule 1).
      if (this.#takes) this.#write(found);
      this.#owner.wake(this);
    });
  }

  #write({ bytes, next }: Part): void {
    if (!this.#send(bytes)) return;
    this.#next = next;
    if (!this.#isLost) return;
    this.#isLost = false;
    this.#epoch = this.followed.epoch;
    this.#owner.counters.resets++;
  }

  /** False when it was not taken. */
  #send(bytes: Uint8Array): boolean {
    const result = (this.#socket as Socket).send(bytes);
    if (result !== 'sent') this.#isBlocked = true;
    if (result === 'dropped') return false;
    this.#hasWritten = true;
    this.#owner.counters.liveBytes += bytes.length;
    return true;
  }
}
