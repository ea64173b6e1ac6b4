/**
 * What a commit made goes out: one frame for each topic that grew, the same bytes for every subscriber who is at the
 * head; the others are fed from where they are. Writes the outboxes at the end of a tick, and reads logs for them.
 */
import { RoomwireError } from '../../protocol/errors.js';
import type { Limits } from '../../protocol/limits.js';
import { isPromise } from '../../store/promise.js';
import type { LogChunk, MaybePromise, Store } from '../../store/store.js';
import type { Counters } from '../watch/counters.js';
import { addStall, Attendance } from './attendance.js';
import { areWhole } from './events-frame.js';
import type { Outbox, OutboxOwner } from './outbox.js';
import type { StagedTopic } from './stage.js';
import type { Subscriber } from './subscriber.js';
import type { Cursor, SlotOwner, Topic } from './topic.js';
import type { TopicTable } from './topics.js';

/** Ms one turn may write to sockets that catch up; the rest gets the next turn, and input is read in between. */
const WRITE_MS = 25;

/** Who is told what becomes of topics beside their cursors. */
export interface TopicWatcher {
  /** The epoch that those were told who follow a topic. */
  epochOf(topic: string): string | undefined;
  /** In the block of the commit: must neither throw nor send. `dropped`: these were its last events. */
  grown(topic: Topic, dropped: boolean): void;
}

export interface FanOutOptions {
  readonly store: Store;
  readonly topics: TopicTable;
  readonly limits: Limits;
  readonly counters: Counters;
  /** Store time, ms. */
  readonly now: () => number;
  /** Asks for `flush` at the end of the tick. */
  readonly schedule: () => void;
  /** The stored events of a topic cannot be read from there. */
  readonly damaged: (topic: string, from: number) => void;
  /** A bug: something threw that must not. */
  readonly failed: (error: unknown) => void;
}

export class FanOut implements OutboxOwner {
  readonly #options: FanOutOptions;
  readonly counters: Counters;
  readonly attendance = new Attendance();
  watcher: TopicWatcher | undefined;
  #dirtyOutboxes: Outbox[] = [];
  /** Topics with new volatile values. */
  readonly #dirtyVolatile = new Set<Topic>();

  constructor(options: FanOutOptions) {
    this.#options = options;
    this.counters = options.counters;
  }

  /** One frame, the same bytes for everyone; whoever is not exactly here catches up from the ring. `alone`: nothing else grew in this commit. */
  grown({ topic, chunks, items, dropped }: StagedTopic, alone: boolean): void {
    this.watcher?.grown(topic, dropped);
    const { cursors } = topic;
    // Per topic and tick, never per subscriber.
    this.counters.events += items.length;
    this.counters.deliveries += items.length * cursors.length;
    for (const chunk of chunks) {
      chunk.matched = cursors.length;
      this.counters.deliveryBytes += chunk.frame.length * cursors.length;
    }
    const frame = alone && chunks.length === 1 ? chunks[0]?.frame : undefined;
    const next = topic.head + 1;
    const first = next - items.length;
    // No cursor goes meanwhile: engines report a close later, not from within a send.
    for (const cursor of cursors) {
      const { outbox } = cursor;
      if (frame !== undefined && cursor.next === first && outbox.clear) outbox.sendLive(cursor, frame, next);
      else outbox.lag(cursor);
    }
  }

  /** Sets a volatile slot, of the server's without an owner; a null frame clears it. Throws limit_reached. Only while somebody is there. */
  volatile(name: string, key: string, frame: Uint8Array | null, owner?: SlotOwner): void {
    const topic = this.#options.topics.get(name);
    if (topic === undefined || topic.cursors.length === 0) return;
    if (frame === null) return topic.volatile.delete(key);
    // The server's own are not the clients' to use up.
    const { slots, slotBytes } = this.#options.limits;
    if (!topic.volatile.set(key, frame, owner, owner === undefined ? Infinity : slots)) {
      const most = `topic has its ${slots} volatile slots, or you have ${slotBytes} bytes in slots`;
      throw new RoomwireError('limit_reached', most);
    }
    this.#dirtyVolatile.add(topic);
    this.#options.schedule();
  }

  get waits(): boolean {
    return this.#dirtyVolatile.size > 0;
  }

  flushVolatile(): void {
    for (const topic of this.#dirtyVolatile) {
      for (const cursor of topic.cursors) cursor.outbox.lag(cursor);
    }
    this.#dirtyVolatile.clear();
  }

  flush(): void {
    const outboxes = this.#dirtyOutboxes;
    if (outboxes.length === 0) return;
    // Those that ask again while being written (a spent budget) get the next tick.
    this.#dirtyOutboxes = [];
    const deadline = performance.now() + WRITE_MS;
    for (let i = 0; i < outboxes.length; i++) {
      const outbox = outboxes[i] as Outbox;
      try {
        outbox.write();
      } catch (error) {
        // One connection's failure must not keep the others from theirs.
        this.#options.failed(error);
      }
      if ((i & 15) !== 15 || performance.now() < deadline) continue;
      this.#dirtyOutboxes = outboxes.slice(i + 1).concat(this.#dirtyOutboxes);
      if (this.#dirtyOutboxes.length > 0) this.#options.schedule();
      return;
    }
  }

  /** A connection is gone: its cursors leave their topics. */
  detach(outbox: Outbox, session: Subscriber | undefined, why = 'disconnected'): void {
    outbox.close();
    const at = this.#options.now();
    for (const cursor of outbox.cursors.all()) {
      if (session !== undefined) this.attendance.ended(cursor, session, { end: cursor.next - 1, why, at });
      cursor.topic.remove(cursor);
      this.#options.topics.settle(cursor.topic);
    }
    outbox.cursors.clear();
  }

  // ---- OutboxOwner ---------------------------------------------------------------------------

  /** What a disk has damaged is read as nothing, which a subscriber is told by a RESET. */
  read(topic: string, from: number, maxBytes: number): MaybePromise<readonly LogChunk[]> {
    const { store } = this.#options;
    const chunks = store.read(topic, from, maxBytes);
    if (!store.durable) return chunks;
    return isPromise(chunks) ? chunks.then((read) => this.#whole(topic, from, read)) : this.#whole(topic, from, chunks);
  }

  #whole(topic: string, from: number, chunks: readonly LogChunk[]): readonly LogChunk[] {
    if (areWhole(chunks, from)) return chunks;
    this.#options.damaged(topic, from);
    return [];
  }

  again(outbox: Outbox): void {
    outbox.dirty = true;
    this.#dirtyOutboxes.push(outbox);
    this.#options.schedule();
  }

  reset(cursor: Cursor, from: number): void {
    this.counters.resets++;
    const now = this.#options.now();
    addStall(cursor, { from, since: now, to: cursor.next - 1, until: now, reset: true });
  }

  stalls(cursor: Cursor): void {
    const last = cursor.stalls?.at(-1);
    if (last?.until === null) return;
    addStall(cursor, { from: cursor.next, since: this.#options.now(), to: null, until: null, reset: false });
  }

  caughtUp(cursor: Cursor): void {
    const last = cursor.stalls?.at(-1);
    if (last?.until !== null) return;
    last.until = this.#options.now();
    last.to = cursor.next - 1;
  }
}
