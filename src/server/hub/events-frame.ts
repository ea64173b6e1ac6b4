/**
 * EVENTS frames, the hot frame: items are encoded once, independent of offset and receiver; the
 * header goes before them when the tick ends, and the same bytes go to the ring, the store and
 * every subscriber.
 */
import { Op } from '../../protocol/frames.js';
import { Writer } from '../../protocol/codec.js';
import { arrayLength, arrayStart, scanMessage, skip } from '../../protocol/scan.js';
import { requireEventData } from '../wire/event-data.js';
import { borrowWriter, pooled } from '../wire/pooled.js';
import type { LogChunk } from '../../store/store.js';

/** A tick's events are split at items into frames of about this size, unless one item is larger (RW-EVT-4). */
export const FRAME_BYTES = 64 * 1024;
/** Elements before the items: opcode, topic, first offset. */
const HEAD_ELEMENTS = 3;
const THREE = 0x93;

/** For headers alone, which hold nothing of a caller's. */
const writer = new Writer();

/** The item `[event, data, from]` around bytes that are MessagePack already; one allocation, no decoding. */
export function itemOf(event: Uint8Array, data: Uint8Array, from: Uint8Array): Uint8Array {
  const item = Buffer.allocUnsafe(1 + event.length + data.length + from.length);
  item[0] = THREE;
  item.set(event, 1);
  item.set(data, 1 + event.length);
  item.set(from, 1 + event.length + data.length);
  return item;
}

/** Data of an event, encoded. Throws EncodeError naming the path of what cannot be sent, and invalid_data. */
export function encodeData(data: unknown): Uint8Array {
  const writer = borrowWriter();
  writeData(writer, data);
  return pooled(writer);
}

function writeData(writer: Writer, data: unknown): void {
  writer.writeValue(data, { level: 2 });
  if (writer.sawProtoKey) requireEventData(data);
}

/** The server's own item: `from` is nil. Throws as `encodeData`. */
export function serverItem(event: string, data: unknown): Uint8Array {
  const writer = borrowWriter();
  writer.writeArrayHeader(3);
  writer.writeString(event);
  writeData(writer, data);
  writer.writeNil();
  return pooled(writer);
}

/** Frames for `items`, whose first has offset `first`. */
export function chunksOf(topic: string, first: number, items: readonly Uint8Array[]): LogChunk[] {
  const chunks: LogChunk[] = [];
  let start = 0;
  let size = 0;
  for (let i = 0; i < items.length; i++) {
    const length = (items[i] as Uint8Array).length;
    if (i > start && size + length > FRAME_BYTES) {
      chunks.push(chunkOf(topic, first + start, items, start, i, size));
      start = i;
      size = 0;
    }
    size += length;
  }
  if (items.length > start) chunks.push(chunkOf(topic, first + start, items, start, items.length, size));
  return chunks;
}

function chunkOf(
  topic: string,
  first: number,
  items: readonly Uint8Array[],
  start: number,
  end: number,
  size: number,
): LogChunk {
  const head = header(topic, first, end - start);
  // Not from the pool: the ring keeps these bytes and must not keep a pool page with them.
  const frame = new Uint8Array(head.length + size);
  frame.set(head);
  let pos = head.length;
  for (let i = start; i < end; i++) {
    const item = items[i] as Uint8Array;
    frame.set(item, pos);
    pos += item.length;
  }
  return { first, count: end - start, frame };
}

/** Good until the next frame. */
function header(topic: string, first: number, count: number): Uint8Array {
  writer.reset();
  writer.writeArrayHeader(HEAD_ELEMENTS + count);
  writer.writeInt(Op.EVENTS);
  writer.writeString(topic);
  writer.writeInt(first);
  return writer.written;
}

/** The events of `chunk` from offset `from` to `until`, for a cursor that starts or ends inside it. */
export function sliceChunk(topic: string, chunk: LogChunk, from: number, until: number): Uint8Array {
  const last = chunk.first + chunk.count - 1;
  if (from <= chunk.first && until >= last) return chunk.frame;
  const { frame } = chunk;
  let pos = arrayStart(frame, 0);
  for (let i = 0; i < HEAD_ELEMENTS + Math.max(0, from - chunk.first); i++) pos = skip(frame, pos);
  const start = pos;
  const first = Math.max(from, chunk.first);
  const count = Math.min(until, last) - first + 1;
  for (let i = 0; i < count; i++) pos = skip(frame, pos);
  const head = header(topic, first, count);
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
    if (scanMessage(frame, starts) !== 1 || frame[arrayStart(frame, 0)] !== Op.EVENTS) return false;
    if (eventCount(frame) !== count) return false;
  }
  return true;
}

/** How many events a stored frame holds. */
export function eventCount(frame: Uint8Array): number {
  return arrayLength(frame, 0) - HEAD_ELEMENTS;
}
