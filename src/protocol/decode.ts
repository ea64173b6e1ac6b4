/**
 * The strict decoder: reads and checks at once, with the refusals of the scanner (scan.ts) in the
 * scanner's order, so that the browser SDK needs only one of the two. It trusts nothing, never reads
 * past the end it was given, and what it returns shares no memory with the bytes.
 */
import type { Value } from './frames.js';
import { float, floatBytes, isArray, isText, readText, u8 } from './read.js';
import { DEEP, EMPTY, EXT, KEY, NO_ARRAY, NO_OPCODE, RANGE, TEXT, TRAILING, TRUNCATED } from './refusals.js';
import { MAX_DEPTH, MAX_RESERVED } from './sizes.js';

/** Bytes outside the subset. */
export class DecodeError extends TypeError {
  override readonly name = 'DecodeError';
  /** One of refusals.ts; scan.ts has it in words. */
  declare readonly refusal: number;
  /** Index of the bad frame in its message; 0 outside messages. */
  declare readonly frame: number;

  constructor(refusal: number, frame = 0) {
    super(`frame ${frame}: refusal ${refusal}`);
    this.refusal = refusal;
    this.frame = frame;
  }
}

// The reader's place. Nothing of a user's runs while reading, so reading is never entered twice.
let at = 0;
let frame = 0;

function fail(refusal: number): never {
  throw new DecodeError(refusal, frame);
}

/** The one value that fills `pos`–`to`. Throws DecodeError. */
export function decode(bytes: Uint8Array, pos = 0, to = bytes.length): Value {
  const value = decodeScanned(bytes, pos, to);
  if (at !== to) fail(TRAILING);
  return value;
}

/** The frames of one message. Throws DecodeError; then no frame of the message counts. */
export function decodeAll(bytes: Uint8Array): Value[][] {
  const frames: Value[][] = [];
  const end = bytes.length;
  at = frame = 0;
  if (end === 0) fail(EMPTY);
  while (at < end) {
    if (!isArray(u8(bytes, at))) fail(NO_ARRAY);
    const parts = readValue(bytes, end, MAX_DEPTH) as Value[];
    if (!Number.isSafeInteger(parts[0]) || (parts[0] as number) < 0) fail(NO_OPCODE);
    frame = frames.push(parts);
  }
  return frames;
}

/** The value at `pos`, whatever follows it: for parts of what the scanner has passed. */
export function decodeScanned(bytes: Uint8Array, pos: number, to = bytes.length): Value {
  frame = 0;
  at = pos;
  return readValue(bytes, Math.min(to, bytes.length), MAX_DEPTH);
}

/** `room`: how many arrays and maps may still open. */
function readValue(bytes: Uint8Array, end: number, room: number): Value {
  if (at >= end) fail(TRUNCATED);
  const type = u8(bytes, at++);
  if (type < 0x80) return type;
  if (type >= 0xe0) return type - 0x100;
  if (type < 0x90) return readMap(bytes, end, room, type & 0x0f);
  if (type < 0xa0) return readArray(bytes, end, room, type & 0x0f);
  if (type < 0xc0) return readString(bytes, end, type & 0x1f);
  return readLong(bytes, end, room, type);
}

/** What does not fit its type byte: apart, so that the short form of `readValue` can be inlined. */
function readLong(bytes: Uint8Array, end: number, room: number, type: number): Value {
  if (type === 0xc1 || (type > 0xc6 && type < 0xca) || (type > 0xd3 && type < 0xd9)) fail(EXT);
  if (type < 0xc4) return type === 0xc0 ? null : type === 0xc3;
  // In each family the type counts up with the power of two that is the width.
  if (type < 0xc7) return readBin(bytes, end, readUint(bytes, end, 1 << (type - 0xc4)));
  if (type === 0xca) return readFloat(bytes, end, 4).getFloat32(0);
  if (type === 0xcb) return readFloat(bytes, end, 8).getFloat64(0);
  if (type < 0xd0) return safe(readUint(bytes, end, 1 << (type - 0xcc)));
  if (type < 0xd3) return readInt(bytes, end, 1 << (type - 0xd0));
  if (type === 0xd3) return safe(readInt(bytes, end, 4) * 2 ** 32 + readUint(bytes, end, 4));
  if (type < 0xdc) return readString(bytes, end, readUint(bytes, end, 1 << (type - 0xd9)));
  if (type < 0xde) return readArray(bytes, end, room, readUint(bytes, end, 1 << (type - 0xdb)));
  return readMap(bytes, end, room, readUint(bytes, end, 1 << (type - 0xdd)));
}

/** Where the next `size` bytes start, once it is sure that they are there. */
function take(size: number, end: number): number {
  if (size > end - at) fail(TRUNCATED);
  at += size;
  return at - size;
}

/** Inexact past 2 ** 53, but never back below it. */
function readUint(bytes: Uint8Array, end: number, width: number): number {
  let value = 0;
  for (let pos = take(width, end); pos < at; pos++) value = value * 0x100 + u8(bytes, pos);
  return value;
}

function readInt(bytes: Uint8Array, end: number, width: number): number {
  const unused = 32 - width * 8;
  return (readUint(bytes, end, width) << unused) >> unused;
}

function safe(value: number): number {
  return Number.isSafeInteger(value) ? value : fail(RANGE);
}

function readFloat(bytes: Uint8Array, end: number, width: number): DataView {
  const start = take(width, end);
  for (let i = 0; i < width; i++) floatBytes[i] = u8(bytes, start + i);
  return float;
}

function readBin(bytes: Uint8Array, end: number, size: number): Uint8Array {
  const start = take(size, end);
  // A copy: the memory of a message may end with its callback. (`slice` of a Buffer would share it.)
  return new Uint8Array(bytes.subarray(start, at));
}

function readString(bytes: Uint8Array, end: number, size: number): string {
  const start = take(size, end);
  try {
    return readText(bytes, start, at);
  } catch {
    return fail(TEXT);
  }
}

/** Every element takes a byte at least, so a lying header fails here and not in a loop. */
function open(size: number, end: number, room: number): void {
  at = take(size, end);
  if (room <= 0) fail(DEEP);
}

function readArray(bytes: Uint8Array, end: number, room: number, length: number): Value[] {
  open(length, end, room);
  // Pushing would reserve 17 places for three.
  const items = new Array<Value>(Math.min(length, MAX_RESERVED));
  for (let i = 0; i < length; i++) items[i] = readValue(bytes, end, room - 1);
  return items;
}

function readMap(bytes: Uint8Array, end: number, room: number, size: number): Value {
  open(size * 2, end, room);
  let map: Record<string, Value> = {};
  for (let i = 0; i < size; i++) {
    if (at < end && !isText(u8(bytes, at))) fail(KEY);
    const key = readValue(bytes, end, 0) as string;
    // Where the object holds no such member, assigning would change what it inherits.
    if (key === '__proto__' && !Object.hasOwn(map, key)) map = { ...map, [key]: null };
    map[key] = readValue(bytes, end, room - 1);
  }
  return map;
}
