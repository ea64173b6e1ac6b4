/** What waits for the end of the tick, in order: publishes and transactions. Bounded (rule 4). */
import { type RoomwireError } from '../../protocol/errors.js';
import type { Published } from '../api.js';
import type { Stage } from './stage.js';
import type { Effect } from './transaction.js';

export interface PublishEntry {
  readonly topic: string;
  readonly item: Uint8Array;
  /** Called after the commit, before the topic's frame goes out (rule 2). */
  readonly done: ((published: Published) => void) | null;
  readonly failed: (error: RoomwireError) => void;
  /** Kicked before its turn: nothing is published. */
  readonly sender?: { readonly kicked: boolean };
}

export interface TransactionEntry {
  /** Stages the work and returns the effects of its success. Throws what `failed` is to be told. */
  stage(stage: Stage): readonly Effect[];
  failed(error: unknown): void;
}
export type Entry = PublishEntry | TransactionEntry;

/** A batch takes at most this much; the rest waits for the next tick, so that a flood never stops the loop. */
const BATCH_ENTRIES = 16_384;
const BATCH_BYTES = 16 * 1024 * 1024;
/** Bytes of publishes that may wait for a store that is slow. */
const QUEUE_BYTES = 128 * 1024 * 1024;

export class EntryQueue {
  #entries: Entry[] = [];
  #bytes = 0;

  get length(): number {
    return this.#entries.length;
  }

  /** False when it is full; transactions are always taken, their callers bound them. */
  push(entry: Entry): boolean {
    if ('item' in entry) {
      if (this.#bytes > QUEUE_BYTES) return false;
      this.#bytes += entry.item.length;
    }
    if (this.#entries.length === 0) this.#entries = [entry];
    else this.#entries.push(entry);
    return true;
  }

  /** They come first again. */
  putBack(entries: Entry[]): void {
    for (const entry of entries) if ('item' in entry) this.#bytes += entry.item.length;
    this.#entries = entries.concat(this.#entries);
  }

  /** The next batch's entries. */
  take(): Entry[] {
    const entries = this.#entries;
    let count = 0;
    let bytes = 0;
    while (count < entries.length && count < BATCH_ENTRIES && bytes < BATCH_BYTES) {
      const entry = entries[count++] as Entry;
      if ('item' in entry) bytes += entry.item.length;
    }
    this.#bytes -= bytes;
    if (count === entries.length) this.#entries = [];
    else {
      this.#entries = entries.slice(count);
      entries.length = count;
    }
    return entries;
  }
}
