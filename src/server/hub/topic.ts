/**
 * A topic is a log, a subscriber is a cursor. The log is `epoch`, `head` and the ring of its latest
 * frames (the rest is in the store); a cursor is a connection's outbox, a topic and the next offset
 * it needs. Who is in a topic is the sessions' to say (`Session.topics`); a cursor is the connected part of it.
 */
import type { Share } from '../gate/budget.js';
import type { Linked, List } from '../time/linked.js';
import { Ring } from './ring.js';

/** What a cursor's connection does for it (outbox.ts). */
export interface CursorOutbox {
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
  readonly outbox: CursorOutbox;
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
    outbox: CursorOutbox,
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

/** Who sets a volatile value: a session, out of its user's share. */
export interface SlotOwner {
  readonly sid: string;
  readonly share: Share;
}

export interface Slot {
  readonly sequence: number;
  /** A ready LATEST frame. */
  readonly frame: Uint8Array;
  /** undefined: the server. */
  readonly owner: SlotOwner | undefined;
}

/** What a slot takes of memory beside its frame. */
const SLOT_BYTES = 256;
const cost = (frame: Uint8Array): number => SLOT_BYTES + frame.length;

/** The newest value per slot, beside the log; in the order of their sequence numbers. */
export class VolatileSlots {
  sequence = 0;
  readonly #slots = new Map<string, Slot>();

  /** False when it would be one more than `limit`, or more than its owner's share holds: then the slot is as it was. */
  set(key: string, frame: Uint8Array, owner: SlotOwner | undefined, limit: number): boolean {
    const before = this.#slots.get(key);
    if (before === undefined && this.#slots.size >= limit) return false;
    const freed = before === undefined ? 0 : cost(before.frame);
    if (owner?.share.take(cost(frame) - freed) === false) return false;
    // Last in the order again.
    this.#slots.delete(key);
    this.#slots.set(key, { sequence: ++this.sequence, frame, owner });
    return true;
  }

  /** What is newer than `sequence`, oldest first. */
  since(sequence: number): Slot[] {
    return [...this.#slots.values()].filter((slot) => slot.sequence > sequence);
  }

  delete(key: string): void {
    const slot = this.#slots.get(key);
    slot?.owner?.share.give(cost(slot.frame));
    this.#slots.delete(key);
  }

  /** A volatile value is gone when its sender leaves. */
  forget(sid: string): void {
    for (const [key, { owner }] of this.#slots) if (owner?.sid === sid) this.delete(key);
  }

  clear(): void {
    for (const key of this.#slots.keys()) this.delete(key);
  }
}

export class Topic implements Linked<Topic> {
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
  older: Topic | undefined;
  newer: Topic | undefined;
  list: List<Topic> | undefined;

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
