/**
 * The latest chunks as followers get them: many follow one topic, and each chunk is encoded once for all of them. A cache,
 * bounded in bytes; what is not in it is encoded again.
 */
import type { LogChunk } from '../../store/store.js';
import type { LiveFormat } from '../api.js';
import { loggedEvents } from '../hub/logged.js';

const MOST_BYTES = 1024 * 1024;

interface Kept {
  readonly format: LiveFormat;
  readonly bytes: Uint8Array;
}

export class Encoded {
  /** In the order in which they were made. */
  readonly #kept = new Map<LogChunk, Kept>();
  #bytes = 0;

  /** The chunk's events from `from` to `until`. */
  get(chunk: LogChunk, { format, epoch, from, until }: Wanted): Uint8Array {
    const isWhole = from <= chunk.first && until >= chunk.first + chunk.count - 1;
    const kept = isWhole ? this.#kept.get(chunk) : undefined;
    if (kept?.format === format) return kept.bytes;
    const bytes = format.events(epoch, loggedEvents(chunk, from, until));
    // One that was read from the store is another object at each reading.
    if (isWhole && chunk.at !== undefined) this.#keep(chunk, { format, bytes });
    return bytes;
  }

  #keep(chunk: LogChunk, kept: Kept): void {
    this.#bytes += kept.bytes.length - (this.#kept.get(chunk)?.bytes.length ?? 0);
    this.#kept.delete(chunk);
    this.#kept.set(chunk, kept);
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#bytes <= MOST_BYTES) return;
      this.#kept.delete(oldest);
      this.#bytes -= bytes.length;
    }
  }
}

interface Wanted {
  readonly format: LiveFormat;
  readonly epoch: string;
  readonly from: number;
  readonly until: number;
}
