/**
 * A topic is a log, a subscriber is a cursor. The log is `epoch`, `head` and the ring of its latest
 * frames (the rest is in the store); a cursor is a connection's outbox, a topic and the next offset
 * it needs. The set of cursors is the only truth of who is in a topic (rule 1).
 */
import { Ring } from './ring.js';

/** What a cursor's connection does for it (outbox.ts). */
export interface Subscriber {
  /** Nothing waits: a tick's frame may go straight to the socket. */
  readonly clear: boolean;
  sendLive(cursor: Cursor, frame: Uint8Array, next: number): void;
  /** The cursor has something to catch up with. */
  lag(cursor: Cursor): void;
}

/** A time in which a cursor could not be fed, or what it was told to have missed; for diagnosis. */
export interface Stall {
  /** The first offset that it waited for. */
  readonly from: number;
  /** Store time, ms. */
  readonly since: number;
  /** The last offset that came with it; null while it goes on. */
  to: number | null;
  until: number | null;
  /** A RESET stood for these events. */
  readonly reset: boolean;
}

/** How a cursor came to where it began. */
export type Via = 'subscribed' | 'resumed' | 'reset';

export class Cursor {
  readonly topic: Topic;
  readonly outbox: Subscriber;
  /** Where it began, and when (store time, ms): what came after is its to get. */
  readonly start: number;
  readonly since: number;
  readonly via: Via;
  /** The latest few. */
  stalls: Stall[] | undefined;
  /** The last offset that the client said it has handled (POSITION), and when; 0: none. */
  handled = 0;
  handledAt = 0;
  /** The offset this subscriber needs next. It only grows: an event goes out at most once (rule 2). */
  next: number;
  /** The last volatile sequence number it was sent. */
  seen = 0;
  /** Its place in `topic.cursors`; −1 once removed. */
  index = -1;
  /** On its outbox's list of those that are behind. */
  lagging = false;

  constructor(
    topic: Topic,
    outbox: Subscriber,
    begin: { readonly start: number; readonly since: number; readonly via: Via },
  ) {
    this.topic = topic;
    this.outbox = outbox;
    this.start = begin.start;
    this.next = begin.start + 1;
    this.since = begin.since;
    this.via = begin.via;
  }

  get behind(): boolean {
    return this.next <= this.topic.head || this.seen < this.topic.volatile.sequence;
  }
}

export interface Slot {
  readonly sequence: number;
  /** A ready LATEST frame. */
  readonly frame: Uint8Array;
  /** The sender's session; null: the server. */
  readonly from: string | null;
}

/** The newest value per slot, beside the log; in the order of their sequence numbers. */
export class VolatileSlots {
  sequence = 0;
  readonly slots = new Map<string, Slot>();

  /** Returns false when the topic has its `limit` of slots and this would be one more. */
  set(key: string, frame: Uint8Array, from: string | null, limit: number): boolean {
    if (!this.slots.delete(key) && this.slots.size >= limit) return false;
    this.slots.set(key, { sequence: ++this.sequence, frame, from });
    return true;
  }

  /** What is newer than `sequence`, oldest first. */
  since(sequence: number): Slot[] {
    return [...this.slots.values()].filter((slot) => slot.sequence > sequence);
  }

  /** A volatile value is gone when its sender leaves. */
  forget(from: string): void {
    for (const [key, slot] of this.slots) if (slot.from === from) this.slots.delete(key);
  }

  clear(): void {
    this.slots.clear();
  }
}

export class Topic {
  readonly name: string;
  readonly epoch: string;
  /** Offset of the newest event, 0 before the first. */
  head: number;
  /** Offset of the oldest event that can still be read, from the ring or the store. */
  tail: number;
  /** Bytes of the stored log. */
  logBytes: number;
  readonly ring = new Ring();
  readonly cursors: Cursor[] = [];
  readonly volatile = new VolatileSlots();
  /** True once deleted: cursors that still drain read its ring alone. */
  dropped = false;

  constructor(name: string, epoch: string, head: number, tail: number, logBytes: number) {
    this.name = name;
    this.epoch = epoch;
    this.head = head;
    this.tail = tail;
    this.logBytes = logBytes;
  }

  add(cursor: Cursor): void {
    cursor.index = this.cursors.length;
    this.cursors.push(cursor);
  }

  remove(cursor: Cursor): void {
    const { index } = cursor;
    if (index < 0) return;
    const last = this.cursors.pop() as Cursor;
    if (last !== cursor) {
      this.cursors[index] = last;
      last.index = index;
    }
    cursor.index = -1;
  }
}
