/**
 * Rings: the newest chunks of each topic, in memory, for cursors that are behind. All rings share
 * one byte budget; when it is passed, the coldest topic's ring goes first and its readers turn to
 * the store. A ring is a cache: nothing depends on what it still holds.
 */
import type { LogChunk } from '../../store/store.js';
import { List, type Linked } from '../time/linked.js';
import type { FrameSpace } from './events-frame.js';

/** What an empty chunk costs beside its bytes, roughly. */
const CHUNK_OVERHEAD = 160;
/** Frames share slabs up to this size: an array of bytes of its own costs several times as much to make and to collect. */
const SLAB_BYTES = 16 * 1024;
/** A larger frame is one. */
const SHARED_BYTES = 4 * 1024;

export class Ring implements FrameSpace, Linked<Ring> {
  /** Consecutive; the last one ends at the topic's head. */
  readonly chunks: LogChunk[] = [];
  bytes = 0;
  older: Ring | undefined;
  newer: Ring | undefined;
  list: List<Ring> | undefined;
  /**
   * The slab being filled. A topic's own: its frames go in the order in which they came, so what stays of a slab for one
   * frame's sake is at most the slab. The first is as large as its frame, each later one twice the one before, so
   * that a topic of few events holds little more than their bytes.
   */
  #slab: ArrayBuffer | undefined;
  #used = 0;

  take(length: number): Uint8Array {
    if (length > SHARED_BYTES) return new Uint8Array(length);
    let slab = this.#slab;
    if (slab === undefined || this.#used + length > slab.byteLength) {
      const size = slab === undefined ? length : Math.max(length, Math.min(slab.byteLength * 2, SLAB_BYTES));
      this.#slab = slab = new ArrayBuffer(size);
      this.#used = 0;
    }
    const frame = new Uint8Array(slab, this.#used, length);
    this.#used += length;
    return frame;
  }

  /** What it holds is gone; so is the slab, lest it outlive its frames. */
  clear(): void {
    this.chunks.length = 0;
    this.#slab = undefined;
  }

  /** The chunk that holds `offset`, by binary search. */
  find(offset: number): LogChunk | undefined {
    const { chunks } = this;
    let low = 0;
    let high = chunks.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const chunk = chunks[middle] as LogChunk;
      if (offset < chunk.first) high = middle - 1;
      else if (offset >= chunk.first + chunk.count) low = middle + 1;
      else return chunk;
    }
    return undefined;
  }
}

export class Rings {
  readonly #budget: number;
  readonly #perRing: number;
  /** By their last append. */
  readonly #warm = new List<Ring>();
  #bytes = 0;

  /** `budget`: bytes for all rings; `perRing`: for one. */
  constructor(budget: number, perRing: number) {
    this.#budget = budget;
    this.#perRing = perRing;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(ring: Ring, chunks: readonly LogChunk[]): void {
    for (const chunk of chunks) {
      ring.chunks.push(chunk);
      this.#grow(ring, chunk.frame.length + CHUNK_OVERHEAD);
    }
    this.#warm.add(ring);
    if (ring.bytes > this.#perRing) this.#trim(ring);
    while (this.#bytes > this.#budget) {
      const coldest = this.#warm.oldest;
      if (coldest === undefined || coldest === ring) break;
      this.clear(coldest);
    }
  }

  /** An eighth more than it must: each trim moves all that stays, and not every event should. */
  #trim(ring: Ring): void {
    const { chunks } = ring;
    let surplus = 0;
    let { bytes } = ring;
    // The newest chunk always stays: live cursors are fed from it.
    while (bytes > this.#perRing * 0.875 && surplus < chunks.length - 1) {
      bytes -= (chunks[surplus++] as LogChunk).frame.length + CHUNK_OVERHEAD;
    }
    chunks.splice(0, surplus);
    this.#grow(ring, bytes - ring.bytes);
  }

  clear(ring: Ring): void {
    this.#warm.remove(ring);
    this.#grow(ring, -ring.bytes);
    ring.clear();
  }

  #grow(ring: Ring, by: number): void {
    ring.bytes += by;
    this.#bytes += by;
  }
}
