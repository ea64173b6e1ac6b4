/**
 * The strict decoder: reads and checks at once, with the refusals of the scanner (scan.ts) in the
 * scanner's order, so that the browser SDK needs only one of the two. It trusts nothing, never reads
 * past the end it was given, and what it returns shares no memory with the bytes.
 */
import type { Value } from './frames.js';
import { isArray, isScalar, isText, MAX_DEPTH, readNumber, readSize, readText, u8, widthOf } from './read.js';
import type { ScanReason } from './scan.js';

/** Bytes outside the subset. */
export class DecodeError extends TypeError {
  override readonly name = 'DecodeError';
  readonly reason: ScanReason;
  /** Index of the bad frame in its message; 0 outside messages. */
  readonly frame: number;

  constructor(reason: ScanReason, frame = 0) {
    super(`frame ${frame}: ${reason}`);
    this.reason = reason;
    this.frame = frame;
  }
}

// The reader's place. Nothing of a user's runs while reading, so reading is never entered twice.
let at = 0;
let end = 0;
let frame = 0;

function fail(reason: ScanReason): never {
  throw new DecodeError(reason, frame);
}

/** The one value that fills `pos`–`to`. Throws DecodeError. */
export function decode(bytes: Uint8Array, pos = 0, to = bytes.length): Value {
  const value = decodeScanned(bytes, pos, to);
  if (at !== to) fail('bytes after the value');
  return value;
}

/** The frames of one message. Throws DecodeError; then no frame of the message counts. */
export function decodeAll(bytes: Uint8Array): Value[][] {
  const frames: Value[][] = [];
  at = frame = 0;
  end = bytes.length;
  if (end === 0) fail('empty message');
  while (at < end) {
    if (!isArray(u8(bytes, at))) fail('frame is not an array');
    const parts = readValue(bytes, end, MAX_DEPTH) as Value[];
    if (!Number.isSafeInteger(parts[0]) || (parts[0] as number) < 0) fail('frame has no opcode');
    frame = frames.push(parts);
  }
  return frames;
}

/** The value at `pos`, whatever follows it: for parts of what the scanner has passed. */
export function decodeScanned(bytes: Uint8Array, pos: number, to = bytes.length): Value {
  frame = 0;
  at = pos;
  end = Math.min(to, bytes.length);
  return readValue(bytes, end, MAX_DEPTH);
}

function readValue(bytes: Uint8Array, end: number, room: number): Value {
  const start = at;
  if (start >= end) fail('truncated or a length past the end');
  const type = u8(bytes, start);
  at = start + 1;
  if (type < 0x80) return type;
  if (type >= 0xe0) return type - 0x100;
  if (type < 0x90) return readMap(bytes, type & 0x0f, end, room);
  if (type < 0xa0) return readArray(bytes, type & 0x0f, end, room);
  if (type < 0xc0) return readString(bytes, take(type & 0x1f, end));
  const width = widthOf(type);
  if (width < 0) fail('ext or reserved type');
  take(width, end);
  if (type === 0xc0) return null;
  if (type < 0xc4) return type === 0xc3;
  if (isScalar(type)) {
    const value = readNumber(bytes, start) as number;
    if (width === 8 && type !== 0xcb && !Number.isSafeInteger(value)) fail('integer outside ±(2^53 - 1)');
    return value;
  }
  const size = readSize(bytes, start + 1, width);
  if (type > 0xdb) return type > 0xdd ? readMap(bytes, size, end, room) : readArray(bytes, size, end, room);
  if (type > 0xc6) return readString(bytes, take(size, end));
  return new Uint8Array(bytes.subarray(take(size, end), at));
}

/** Where the next `size` bytes start, once it is sure that they are there. */
function take(size: number, end: number): number {
  const start = at;
  if (size > end - start) fail('truncated or a length past the end');
  at = start + size;
  return start;
}

/** From `start` to here. */
function readString(bytes: Uint8Array, start: number): string {
  try {
    return readText(bytes, start, at);
  } catch {
    return fail('invalid UTF-8');
  }
}

/** Every element takes a byte at least, so a lying header fails here and not in a loop. */
function open(size: number, end: number, room: number): void {
  if (size > end - at) fail('truncated or a length past the end');
  if (room <= 0) fail('nested too deep');
}

/** Headers inside headers, each as large as the bytes left, must not reserve that much each. */
const RESERVED = 4096;

function readArray(bytes: Uint8Array, length: number, end: number, room: number): Value[] {
  open(length, end, room);
  // Pushing would reserve 17 places for three.
  const items = new Array<Value>(Math.min(length, RESERVED));
  for (let i = 0; i < length; i++) items[i] = readValue(bytes, end, room - 1);
  return items;
}

const ownMember = { writable: true, enumerable: true, configurable: true };

function readMap(bytes: Uint8Array, size: number, end: number, room: number): Value {
  open(size * 2, end, room);
  const map: Record<string, Value> = {};
  for (let i = 0; i < size; i++) {
    if (at < end && !isText(u8(bytes, at))) fail('map key is not a string');
    const key = readValue(bytes, end, 0) as string;
    const value = readValue(bytes, end, room - 1);
    // Assigning `__proto__` would change what the object inherits instead of what it holds.
    if (key === '__proto__') Object.defineProperty(map, key, { ...ownMember, value });
    else map[key] = value;
  }
  return map;
}
