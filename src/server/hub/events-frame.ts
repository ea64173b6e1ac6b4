/**
 * The chunks of a log: EVENTS frames, put together at the end of a tick from items that wire/frames.ts wrote, and cut
 * again for a cursor that starts or ends inside one. The same bytes go to the ring, the store and every subscriber.
 */
import { arrayStart, scanMessage, skip } from '../../protocol/scan.js';
import type { LogChunk } from '../../store/store.js';
import { EVENTS_HEAD, readEventCount, writeEventsHead } from '../wire/frames.js';

/** A tick's events are split at items into frames of about this size, unless one item is larger (RW-EVT-4). */
export const FRAME_BYTES = 64 * 1024;

/** Where the bytes of a topic's frames come from. */
export interface FrameSpace {
  /** So many bytes, to be filled by the caller. */
  take(length: number): Uint8Array;
}

/** Frames for `items`, whose first has offset `first`. */
export function chunksOf(space: FrameSpace, topic: string, first: number, items: readonly Uint8Array[]): LogChunk[] {
  const chunk = (start: number, end: number, size: number): LogChunk => {
    const head = writeEventsHead(topic, first + start, end - start);
    const frame = space.take(head.length + size);
    frame.set(head);
    let pos = head.length;
    for (let i = start; i < end; i++) {
      const item = items[i] as Uint8Array;
      frame.set(item, pos);
      pos += item.length;
    }
    return { first: first + start, count: end - start, frame, at: undefined, matched: undefined };
  };
  if (items.length === 1) return [chunk(0, 1, (items[0] as Uint8Array).length)];
  const chunks: LogChunk[] = [];
  let start = 0;
  let size = 0;
  for (let i = 0; i < items.length; i++) {
    const length = (items[i] as Uint8Array).length;
    if (i > start && size + length > FRAME_BYTES) {
      chunks.push(chunk(start, i, size));
      start = i;
      size = 0;
    }
    size += length;
  }
  if (items.length > start) chunks.push(chunk(start, items.length, size));
  return chunks;
}

/** The events of `chunk` from offset `from` to `until`, for a cursor that starts or ends inside it. */
export function sliceChunk(topic: string, chunk: LogChunk, from: number, until: number): Uint8Array {
  const last = chunk.first + chunk.count - 1;
  if (from <= chunk.first && until >= last) return chunk.frame;
  const { frame } = chunk;
  let pos = arrayStart(frame, 0);
  for (let i = 0; i < EVENTS_HEAD + Math.max(0, from - chunk.first); i++) pos = skip(frame, pos);
  const start = pos;
  const first = Math.max(from, chunk.first);
  const count = Math.min(until, last) - first + 1;
  for (let i = 0; i < count; i++) pos = skip(frame, pos);
  const head = writeEventsHead(topic, first, count);
  const bytes = new Uint8Array(head.length + pos - start);
  bytes.set(head);
  bytes.set(frame.subarray(start, pos), head.length);
  return bytes;
}

/**
 * Whether chunks that a disk kept are what was written: frames of so many events, one chunk after the
 * other, `from` in the first or, when that is gone, after it.
 */
export function areWhole(chunks: readonly LogChunk[], from: number): boolean {
  const starts: number[] = [];
  let next = chunks[0]?.first ?? 0;
  if (chunks[0] !== undefined && next + chunks[0].count <= from) return false;
  for (const { first, count, frame } of chunks) {
    if (first !== next || count < 1) return false;
    next = first + count;
    if (scanMessage(frame, starts) !== 1 || readEventCount(frame) !== count) return false;
  }
  return true;
}
