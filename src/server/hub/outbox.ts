/**
 * What leaves one connection, in order: replies and notices (bytes) and, between them, "feed this
 * cursor". Written once at the end of a tick. While the socket does not drain, bytes wait here
 * (bounded by limits.controlBytes) and cursors simply stay where they are: there is no queue of
 * events per client.
 */
import { isPromise } from '../../store/promise.js';
import { concat } from '../../protocol/codec.js';
import { Cursors } from './cursors.js';
import { FRAME_BYTES, sliceChunk } from './events-frame.js';
import type { Counters } from '../watch/counters.js';
import type { Cursor, Slot } from './topic.js';
import type { LogChunk, MaybePromise } from '../../store/store.js';
import type { Socket } from '../transport/transport.js';
import { writeReset } from '../wire/frames.js';

/** Feed a removed cursor up to `until`, so that what follows in the outbox comes after its last event. */
interface Ending {
  readonly cursor: Cursor;
  readonly until: number;
}
type Entry = Uint8Array | Ending;

/** What a waiting entry costs beside its bytes: without it a million tiny replies would pass as a megabyte. */
const ENTRY_BYTES = 64;
/** Bytes of replay one connection gets in one tick: a storm of resumes must not stop the loop. */
const FEED_BUDGET = 512 * 1024;

/** What the last connection that was fed several topics at once was sent: the frames, and their bytes in one. */
let lastFrames: Uint8Array[] = [];
let lastJoined: Uint8Array = new Uint8Array(0);

/** The frame that brings a cursor from where it is to the head, when it is one and nothing else is due. */
function nextFrame({ topic, next, seen, index }: Cursor): Uint8Array | undefined {
  const { chunks } = topic.ring;
  const last = chunks[chunks.length - 1];
  return last?.first === next && index >= 0 && seen === topic.volatile.sequence ? last.frame : undefined;
}

export interface OutboxOwner {
  readonly counters: Pick<Counters, 'replyBytes' | 'catchUpBytes'>;
  /** Reads chunks of a log that are no longer in the ring. */
  read(topic: string, from: number, maxBytes: number): MaybePromise<readonly LogChunk[]>;
  /** Ask for another `write` at the end of the next tick. */
  again(outbox: Outbox): void;
  /** A cursor fell out of the log and was told so; it had needed `from`. */
  reset(cursor: Cursor, from: number): void;
  /** It cannot be fed for the time being. */
  stalls(cursor: Cursor): void;
  /** It could not, and has caught up. */
  caughtUp(cursor: Cursor): void;
}

export interface OutboxLimit {
  /** Bytes of replies that may wait. */
  readonly controlBytes: number;
  /** More waited: the outbox is closed. */
  overflowed(): void;
}

export class Outbox {
  readonly #socket: Socket;
  readonly #owner: OutboxOwner;
  readonly #limit: OutboxLimit;
  /** Subscriptions of this connection. */
  readonly cursors = new Cursors();
  /** Topics that WELCOME gave as not recovered: the first SUBSCRIBE with a position may take each back (RW-SUB-4). */
  unrecovered: Set<string> | undefined;
  #entries: Entry[] = [];
  /** How many entries wait; beside the other fields, for `clear` is asked once per event and subscriber. */
  #waiting = 0;
  #waitingBytes = 0;
  /** The socket told us to stop, until `drain`. */
  #blocked = false;
  /** A log read is under way; nothing may overtake it. */
  #reading = false;
  /** Cursors with something to catch up with, each once; some may have ended or caught up since. */
  #lagging: Cursor[] = [];
  #budget = 0;
  #closed = false;
  /** Already on the hub's list of connections to write this tick. */
  dirty = false;

  constructor(socket: Socket, owner: OutboxOwner, limit: OutboxLimit) {
    this.#socket = socket;
    this.#owner = owner;
    this.#limit = limit;
  }

  /** Nothing waits, so a tick's frame may go straight to the socket. */
  get clear(): boolean {
    return !this.#blocked && !this.#reading && this.#waiting === 0;
  }

  get stalled(): boolean {
    return this.#blocked || this.#reading;
  }

  /** Subscriptions that have not been sent what is there for them. */
  get behind(): number {
    let behind = 0;
    for (const cursor of this.#lagging) if (cursor.index >= 0 && cursor.behind) behind++;
    return behind;
  }

  /** Queues a reply or notice. The hub writes it at the end of the tick. */
  push(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#owner.counters.replyBytes += bytes.length;
    // A copy for what will wait: the bytes may be in a pool, and must not keep a page of it for long.
    const entry = this.stalled ? new Uint8Array(bytes) : bytes;
    if (this.#waiting === 0) this.#entries = [entry];
    else this.#entries.push(entry);
    this.#waiting++;
    this.#waitingBytes += bytes.length + ENTRY_BYTES;
    if (!this.dirty) this.#owner.again(this);
    if (this.#waitingBytes <= this.#limit.controlBytes) return;
    // Bounded (rule 4). A socket that does take them gets them before the tick ends; replies only, for
    // events must wait until all of the batch's replies stand before them.
    if (!this.stalled) this.#writeEntries();
    if (this.#waitingBytes <= this.#limit.controlBytes) return;
    this.close();
    this.#limit.overflowed();
  }

  /** Queues the last events of a subscription that ends at offset `until`. */
  pushEnding(cursor: Cursor, until: number): void {
    if (this.#closed || cursor.next > until) return;
    this.#waiting = this.#entries.push({ cursor, until });
    if (!this.dirty) this.#owner.again(this);
  }

  /** This cursor has something to catch up with. */
  lag(cursor: Cursor): void {
    this.#lags(cursor);
    if (!this.dirty && !this.stalled) this.#owner.again(this);
  }

  #lags(cursor: Cursor): void {
    if (cursor.lagging) return;
    cursor.lagging = true;
    if (this.stalled) this.#owner.stalls(cursor);
    this.#lagging.push(cursor);
  }

  /**
   * The hot path: one tick's frame of a topic for a cursor that has missed nothing, straight to the
   * socket. Only when `clear`.
   */
  sendLive(cursor: Cursor, frame: Uint8Array, next: number): void {
    const result = this.#socket.send(frame);
    if (result !== 'sent') this.#blocked = true;
    if (result !== 'dropped') cursor.next = next;
    else this.#lags(cursor);
  }

  /** Writes what waits, in order, then feeds cursors that are behind; stops at the first sign of backpressure. */
  write(): void {
    this.dirty = false;
    if (this.#closed || this.stalled) return;
    if (this.#waiting === 0 && this.#feedTogether()) return;
    if (this.#waiting + this.#lagging.length === 1) this.#run();
    else this.#socket.cork(() => this.#run());
  }

  drained(): void {
    if (this.#closed) return;
    this.#blocked = false;
    if (!this.#reading && this.#waiting + this.#lagging.length > 0) this.write();
  }

  close(): void {
    this.#closed = true;
    this.#entries = [];
    this.#lagging = [];
    this.#waiting = this.#waitingBytes = 0;
  }

  #run(): void {
    this.#budget = FEED_BUDGET;
    if (!this.#writeEntries()) return;
    const lagging = this.#lagging;
    let done = 0;
    while (done < lagging.length && this.#catchUp(lagging[done] as Cursor)) done++;
    if (done === lagging.length) lagging.length = 0;
    else lagging.splice(0, done);
  }

  /** False when it had to stop. */
  #catchUp(cursor: Cursor): boolean {
    if (cursor.index >= 0 && cursor.behind) {
      if (!this.#feed(cursor, cursor.topic.head)) return false;
      if (cursor.seen < cursor.topic.volatile.sequence && !this.#feedVolatile(cursor)) return false;
    }
    cursor.lagging = false;
    if (cursor.stalls !== undefined) this.#owner.caughtUp(cursor);
    return true;
  }

  /**
   * The usual case: some topics of this connection grew in one tick, and nothing else is due. Their frames
   * leave as one message, whose bytes are shared with its neighbours while those are in the same topics.
   * Returns false, with nothing done, when there is more to it.
   */
  #feedTogether(): boolean {
    const lagging = this.#lagging;
    if (lagging.length === 0) return true;
    let same = lagging.length === lastFrames.length;
    let bytes = 0;
    for (let i = 0; i < lagging.length; i++) {
      const frame = nextFrame(lagging[i] as Cursor);
      if (frame === undefined || (bytes += frame.length) > FRAME_BYTES) return false;
      same &&= frame === lastFrames[i];
    }
    if (!same) {
      lastFrames = lagging.map((cursor) => nextFrame(cursor) as Uint8Array);
      lastJoined = lastFrames.length === 1 ? (lastFrames[0] as Uint8Array) : concat(lastFrames);
    }
    const result = this.#socket.send(lastJoined);
    if (result !== 'sent') this.#blocked = true;
    if (result === 'dropped') return true;
    for (const cursor of lagging) {
      cursor.next = cursor.topic.head + 1;
      cursor.lagging = false;
      if (cursor.stalls !== undefined) this.#owner.caughtUp(cursor);
    }
    lagging.length = 0;
    return true;
  }

  /** False when it had to stop. Replies that follow one another leave as one message. */
  #writeEntries(): boolean {
    const entries = this.#entries;
    let done = 0;
    let go = true;
    while (go && done < entries.length) {
      const entry = entries[done] as Entry;
      if (!(entry instanceof Uint8Array)) {
        if (!this.#feed(entry.cursor, entry.until)) break;
        done++;
        continue;
      }
      let end = done + 1;
      let size = entry.length;
      for (; end < entries.length; end++) {
        const following = entries[end] as Entry;
        if (!(following instanceof Uint8Array) || size + following.length > FRAME_BYTES) break;
        size += following.length;
      }
      const cost = size + (end - done) * ENTRY_BYTES;
      const bytes = end === done + 1 ? entry : concat(entries.slice(done, end) as Uint8Array[]);
      const result = this.#socket.send(bytes);
      if (result !== 'sent') this.#blocked = true;
      if (result === 'dropped') break;
      this.#waitingBytes -= cost;
      done = end;
      go = result === 'sent';
    }
    if (done === entries.length) entries.length = 0;
    else entries.splice(0, done);
    this.#waiting = entries.length;
    return go && this.#waiting === 0;
  }

  /** Brings a cursor up to `until`; false when it had to stop before. */
  #feed(cursor: Cursor, until: number): boolean {
    const { topic } = cursor;
    while (cursor.next <= until) {
      if (this.#budget <= 0) {
        this.#owner.again(this);
        return false;
      }
      const chunk = topic.ring.find(cursor.next);
      if (chunk === undefined) return this.#feedFromStore(cursor, until);
      const chunks = [chunk];
      let bytes = chunk.frame.length;
      let next = chunk.first + chunk.count;
      while (next <= until && bytes < FRAME_BYTES) {
        const following = topic.ring.find(next);
        if (following === undefined || bytes + following.frame.length > FRAME_BYTES) break;
        chunks.push(following);
        bytes += following.frame.length;
        next = following.first + following.count;
      }
      if (!this.#sendChunks(cursor, chunks, until)) return false;
    }
    return true;
  }

  #sendChunks(cursor: Cursor, chunks: readonly LogChunk[], until: number): boolean {
    const frames = chunks.map((chunk) => sliceChunk(cursor.topic.name, chunk, cursor.next, until));
    const bytes = frames.length === 1 ? (frames[0] as Uint8Array) : concat(frames);
    const last = chunks[chunks.length - 1] as LogChunk;
    this.#budget -= bytes.length;
    this.#owner.counters.catchUpBytes += bytes.length;
    const result = this.#socket.send(bytes);
    if (result !== 'sent') this.#blocked = true;
    if (result === 'dropped') return false;
    cursor.next = Math.min(last.first + last.count, until + 1);
    return result === 'sent';
  }

  #feedFromStore(cursor: Cursor, until: number): boolean {
    const { topic } = cursor;
    const chunks = topic.dropped ? [] : this.#read(cursor);
    if (!isPromise(chunks)) return this.#feedRead(cursor, chunks, until) && this.#feed(cursor, until);
    this.#reading = true;
    void chunks
      .catch(() => [])
      .then((read) => {
        this.#reading = false;
        // The connection may have closed during the read (rule 1).
        if (this.#closed) return;
        this.#budget = FEED_BUDGET;
        if (!this.#blocked) this.#feedRead(cursor, read, until);
        if (!this.#blocked) this.write();
      });
    return false;
  }

  /** A log that cannot be read is told as a RESET, like one that is gone. */
  #read(cursor: Cursor): MaybePromise<readonly LogChunk[]> {
    try {
      return this.#owner.read(cursor.topic.name, cursor.next, FRAME_BYTES);
    } catch {
      return [];
    }
  }

  #feedRead(cursor: Cursor, chunks: readonly LogChunk[], until: number): boolean {
    const first = chunks[0];
    if (first === undefined || first.first > cursor.next) {
      this.#reset(cursor, until);
      return !this.#blocked;
    }
    // The store may be ahead of this cursor's end, or of what was told so far.
    const wanted = chunks.filter((chunk) => chunk.first <= until);
    return this.#sendChunks(cursor, wanted, until);
  }

  /** The log no longer holds what the cursor needs: one explicit RESET, never a silent gap (rule 2). */
  #reset(cursor: Cursor, until: number): void {
    const { name, epoch } = cursor.topic;
    const result = this.#socket.send(writeReset(name, epoch, until));
    if (result !== 'sent') this.#blocked = true;
    if (result === 'dropped') return;
    const from = cursor.next;
    cursor.next = until + 1;
    this.#owner.reset(cursor, from);
  }

  #feedVolatile(cursor: Cursor): boolean {
    const { volatile } = cursor.topic;
    const slots = volatile.since(cursor.seen);
    for (let i = 0; i < slots.length;) {
      // As large as an EVENTS frame may be, unless one value is larger.
      const frames: Uint8Array[] = [];
      let bytes = 0;
      let seen = cursor.seen;
      for (; i < slots.length; i++) {
        const { frame, sequence } = slots[i] as Slot;
        if (frames.length > 0 && bytes + frame.length > FRAME_BYTES) break;
        frames.push(frame);
        bytes += frame.length;
        seen = sequence;
      }
      const result = this.#socket.send(frames.length === 1 ? (frames[0] as Uint8Array) : concat(frames));
      if (result !== 'sent') this.#blocked = true;
      if (result === 'dropped') return false;
      cursor.seen = seen;
      if (result !== 'sent') return false;
    }
    cursor.seen = volatile.sequence;
    return true;
  }
}
