/**
 * Rings: the newest chunks of each topic, in memory, for cursors that are behind. All rings share
 * one byte budget; when it is passed, the coldest topic's ring goes first and its readers turn to
 * the store. A ring is a cache: nothing depends on what it still holds.
 */
import type { LogChunk } from '../../store/store.js';

/** What an empty chunk costs beside its bytes, roughly. */
const CHUNK_OVERHEAD = 160;

export class Ring {
  /** Consecutive; the last one ends at the topic's head. */
  readonly chunks: LogChunk[] = [];
  bytes = 0;

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
  /** In the order of their last append, the coldest first. */
  readonly #byWarmth = new Set<Ring>();
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
    this.#byWarmth.delete(ring);
    this.#byWarmth.add(ring);
    if (ring.bytes > this.#perRing) this.#trim(ring);
    for (const coldest of this.#byWarmth) {
      if (this.#bytes <= this.#budget || coldest === ring) break;
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
    this.#byWarmth.delete(ring);
    this.#grow(ring, -ring.bytes);
    ring.chunks.length = 0;
  }

  #grow(ring: Ring, by: number): void {
    ring.bytes += by;
    this.#bytes += by;
  }
}
