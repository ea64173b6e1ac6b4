/**
 * The codec of the strict subset, small enough for the browser SDK and without `new Function`.
 * Decoding is scan first, then read what passed: there is one set of refusals, the scanner's.
 * Encoding refuses what JSON would quietly change (dates, maps, class instances) and names its path.
 */
import type { Value } from './frames.js';
import {
  MAX_DEPTH,
  readNumber,
  readSize,
  readText,
  scanMessage,
  type ScanReason,
  scanReason,
  scanValue,
  widthOf,
} from './scan.js';

/** A value that has no encoding; the message names its path, such as `data.user.born is a Date; …`. */
export class EncodeError extends TypeError {
  override readonly name = 'EncodeError';
  readonly path: string;

  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

/** Bytes the scanner refuses. */
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

export interface EncodeOptions {
  /** What the value is called in an error's path. Default `data`. */
  readonly name?: string;
  /** Arrays and maps that will surround the value; they count towards MAX_DEPTH. Default 0. */
  readonly level?: number;
}

const INITIAL_BYTES = 1024;
/** A writer that once held more than this gives the memory back. */
const KEEP_BYTES = 64 * 1024;
/** Below this many characters a loop beats the call of `encodeInto`. */
const SHORT_TEXT = 48;
const textEncoder = new TextEncoder();

/**
 * Appends to one buffer that it keeps from use to use; `take` returns what was written as a copy
 * that is the caller's. When `writeValue` throws, nothing of the value stays written.
 */
export class Writer {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #pos = 0;
  /** The way from the root to the value being written, for an error's path. */
  readonly #path: (string | number)[] = [];

  get length(): number {
    return this.#pos;
  }

  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#pos);
    this.reset();
    return taken;
  }

  /** Drops what was written. */
  reset(): void {
    this.#pos = 0;
    if (this.#bytes.length > KEEP_BYTES) this.#resize(INITIAL_BYTES);
  }

  writeNil(): void {
    this.#byte(0xc0);
  }

  writeArrayHeader(length: number): void {
    this.#size(length, 0x90, 16, 0xdb);
  }

  writeMapHeader(size: number): void {
    this.#size(size, 0x80, 16, 0xdd);
  }

  /** `value` must be a safe integer. */
  writeInt(value: number): void {
    if (value < 0x80 && value >= -0x20) this.#byte(value);
    else if (value >= 0) this.#uint(0xcc, value < 0x100 ? 0 : value < 2 ** 16 ? 1 : value < 2 ** 32 ? 2 : 3, value);
    else this.#uint(0xd0, value >= -0x80 ? 0 : value >= -(2 ** 15) ? 1 : value >= -(2 ** 31) ? 2 : 3, value);
  }

  /** Throws EncodeError for a lone surrogate, which UTF-8 cannot carry. */
  writeString(text: string): void {
    if (!this.#text(text)) throw new EncodeError('a string', LONE_SURROGATE);
  }

  writeBin({ buffer, byteOffset, byteLength }: ArrayBufferView): void {
    this.#size(byteLength, 0, 0, 0xc4);
    this.writeRaw(new Uint8Array(buffer, byteOffset, byteLength));
  }

  /** Appends bytes that are MessagePack already. */
  writeRaw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#pos);
    this.#pos += bytes.length;
  }

  writeValue(value: unknown, { name = 'data', level = 0 }: EncodeOptions = {}): void {
    const start = this.#pos;
    this.#path[0] = name;
    try {
      this.#value(value, 1, MAX_DEPTH - level);
    } catch (error) {
      this.#pos = start;
      throw error;
    }
  }

  /** `depth` is how much of the path leads to the value. */
  #refuse(depth: number, problem: string): never {
    throw new EncodeError(pathOf(this.#path.slice(0, depth)), problem);
  }

  #value(value: unknown, depth: number, maxDepth: number): void {
    switch (typeof value) {
      case 'string':
        if (!this.#text(value)) this.#refuse(depth, LONE_SURROGATE);
        return;
      case 'number':
        // Like JSON, −0 becomes 0.
        if (Number.isSafeInteger(value)) this.writeInt(value);
        else this.#float64(value);
        return;
      case 'boolean':
        return this.#byte(value ? 0xc3 : 0xc2);
      case 'undefined':
        return this.#byte(0xc0);
      case 'object':
        if (value === null) this.#byte(0xc0);
        else if (ArrayBuffer.isView(value)) this.writeBin(value);
        else if (depth > maxDepth) this.#refuse(depth, `is deeper than ${maxDepth} levels; does it hold itself?`);
        else if (Array.isArray(value)) this.#array(value, depth, maxDepth);
        else if (isPlain(value)) this.#map(value, depth, maxDepth);
        else this.#refuse(depth, problemOf(value));
        return;
      default:
        this.#refuse(depth, problemOf(value));
    }
  }

  #array(items: readonly unknown[], depth: number, maxDepth: number): void {
    const { length } = items;
    this.writeArrayHeader(length);
    for (let i = 0; i < length; i++) {
      this.#path[depth] = i;
      this.#value(items[i], depth + 1, maxDepth);
    }
  }

  #map(map: Readonly<Record<string, unknown>>, depth: number, maxDepth: number): void {
    const keys = Object.keys(map);
    const start = this.#pos;
    this.writeMapHeader(keys.length);
    const body = this.#pos;
    let size = 0;
    for (const key of keys) {
      // Read once: a getter may answer differently the second time.
      const value = map[key];
      if (value === undefined) continue;
      this.#path[depth] = key;
      if (!this.#text(key)) this.#refuse(depth + 1, `has a key that ${LONE_SURROGATE}`);
      this.#value(value, depth + 1, maxDepth);
      size++;
    }
    if (size === keys.length) return;
    // Members were left out: the header is written again and may have become shorter.
    const end = this.#pos;
    this.#pos = start;
    this.writeMapHeader(size);
    this.#bytes.copyWithin(this.#pos, body, end);
    this.#pos += end - body;
  }

  /** False, with nothing written, when the text has a lone surrogate. */
  #text(text: string): boolean {
    const size = utf8Length(text);
    if (size < 0) return false;
    this.#size(size, 0xa0, 32, 0xd9);
    this.#reserve(size);
    if (size === text.length && size < SHORT_TEXT) {
      for (let i = 0; i < size; i++) this.#bytes[this.#pos + i] = text.charCodeAt(i);
    } else {
      textEncoder.encodeInto(text, this.#bytes.subarray(this.#pos));
    }
    this.#pos += size;
    return true;
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#pos++] = value;
  }

  /** A length: in the type byte below `fixLimit`, else after `type8` or the two types that follow it. */
  #size(size: number, fix: number, fixLimit: number, type8: number): void {
    if (size < fixLimit) this.#byte(fix | size);
    // Arrays and maps, whose limit is 16, have no 8-bit form.
    else this.#uint(type8, size < 0x100 && fixLimit !== 16 ? 0 : size < 2 ** 16 ? 1 : 2, size);
  }

  /** `type + power`, then the value in 2 ** power bytes. */
  #uint(type: number, power: number, value: number): void {
    this.#reserve(9);
    const pos = this.#pos;
    this.#bytes[pos] = type + power;
    if (power === 0) this.#bytes[pos + 1] = value;
    else if (power === 1) this.#view.setUint16(pos + 1, value);
    else if (power === 2) this.#view.setUint32(pos + 1, value);
    else {
      this.#view.setUint32(pos + 1, Math.floor(value / 2 ** 32));
      this.#view.setUint32(pos + 5, value);
    }
    this.#pos = pos + 1 + (1 << power);
  }

  #float64(value: number): void {
    this.#reserve(9);
    this.#bytes[this.#pos] = 0xcb;
    this.#view.setFloat64(this.#pos + 1, value);
    this.#pos += 9;
  }

  #reserve(size: number): void {
    const needed = this.#pos + size;
    if (needed > this.#bytes.length) this.#resize(Math.max(needed, this.#bytes.length * 2));
  }

  #resize(size: number): void {
    const written = this.#bytes.subarray(0, this.#pos);
    this.#bytes = new Uint8Array(size);
    this.#bytes.set(written);
    this.#view = new DataView(this.#bytes.buffer);
  }
}

const LONE_SURROGATE = 'has a lone surrogate; send well-formed text or bytes';

function pathOf([name, ...steps]: readonly (string | number)[]): string {
  const named = /^[a-z_$][\w$]*$/i;
  return name + steps.map((step) => (named.test(`${step}`) ? `.${step}` : `[${JSON.stringify(step)}]`)).join('');
}

const remedies: Readonly<Record<string, string>> = {
  Date: 'a number or a string',
  Set: 'an array',
  ArrayBuffer: 'a Uint8Array',
  bigint: 'a number or a string',
};

function problemOf(value: unknown): string {
  const isObject = typeof value === 'object';
  const kind = isObject ? value?.constructor?.name || 'class instance' : typeof value;
  return `is ${/^[AEIOU]/i.test(kind) ? 'an' : 'a'} ${kind}; send ${remedies[kind] ?? (isObject ? 'a plain object' : 'plain data')}`;
}

function isPlain(value: object): value is Readonly<Record<string, unknown>> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Bytes of the text in UTF-8, or −1 when it has a lone surrogate. */
function utf8Length(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    size += unit < 0x800 ? 1 : 2;
    if (unit < 0xd800 || unit > 0xdfff) continue;
    // A pair is 4 bytes: 2 units, and the 2 already added for its first half.
    if (unit > 0xdbff || (text.charCodeAt(++i) & 0xfc00) !== 0xdc00) return -1;
  }
  return size;
}

let idle: Writer | undefined;

/** The shortest encoding of plain data, as bytes of the caller's own. Throws EncodeError. */
export function encode(value: unknown, options?: EncodeOptions): Uint8Array {
  // A getter may encode too, while this one writes: then it finds no idle writer.
  const writer = idle ?? new Writer();
  idle = undefined;
  try {
    writer.writeValue(value, options);
    return writer.take();
  } finally {
    idle = writer;
  }
}

/** With `concat`: an array around encoded values. */
export function arrayHeader(length: number): Uint8Array {
  const writer = new Writer();
  writer.writeArrayHeader(length);
  return writer.take();
}

/** One copy of all parts, in their order. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.length;
  const whole = new Uint8Array(size);
  let pos = 0;
  for (const part of parts) {
    whole.set(part, pos);
    pos += part.length;
  }
  return whole;
}

/** The one value that fills `pos`–`end`. Throws DecodeError. The result shares no memory with `bytes`. */
export function decode(bytes: Uint8Array, pos = 0, end = bytes.length): Value {
  const next = scanValue(bytes, pos, end);
  if (next < 0) throw new DecodeError(scanReason(next));
  if (next !== end) throw new DecodeError('bytes after the value');
  return decodeScanned(bytes, pos);
}

// The reader's place. Nothing of a user's runs while reading, so reading is never entered twice.
const starts: number[] = [];
let at = 0;

/** The frames of one message. Throws DecodeError; then no frame of the message counts. */
export function decodeAll(bytes: Uint8Array): Value[][] {
  const scanned = scanMessage(bytes, starts);
  if (typeof scanned !== 'number') throw new DecodeError(scanned.reason, scanned.frame);
  const frames: Value[][] = [];
  for (let i = 0; i < scanned; i++) frames.push(decodeScanned(bytes, starts[i] as number) as Value[]);
  return frames;
}

/** The value at `pos` of bytes that the scanner has passed; with others the result means nothing. */
export function decodeScanned(bytes: Uint8Array, pos: number): Value {
  at = pos;
  return readValue(bytes);
}

function readValue(bytes: Uint8Array): Value {
  const start = at;
  const type = bytes[at++] as number;
  if (type < 0x80) return type;
  if (type >= 0xe0) return type - 0x100;
  if (type < 0x90) return readMap(bytes, type & 0x0f);
  if (type < 0xa0) return readArray(bytes, type & 0x0f);
  if (type < 0xc0) return readText(bytes, start + 1, (at += type & 0x1f));
  const width = widthOf(type);
  at += width;
  if (type === 0xc0) return null;
  if (type < 0xc4) return type === 0xc3;
  if (type > 0xc6 && type < 0xd9) return readNumber(bytes, start) as number;
  const size = readSize(bytes, start + 1, width);
  if (type > 0xdb) return type > 0xdd ? readMap(bytes, size) : readArray(bytes, size);
  const body = at;
  at += size;
  // A copy: the memory of a message may end with its callback. (`slice` of a Buffer would share it.)
  return type < 0xc7 ? new Uint8Array(bytes.subarray(body, at)) : readText(bytes, body, at);
}

function readArray(bytes: Uint8Array, length: number): Value[] {
  // The scanner has held the length against the bytes. Pushing would reserve 17 places for three.
  const items = new Array<Value>(length);
  for (let i = 0; i < length; i++) items[i] = readValue(bytes);
  return items;
}

const ownMember = { writable: true, enumerable: true, configurable: true };

function readMap(bytes: Uint8Array, size: number): Value {
  const map: Record<string, Value> = {};
  for (let i = 0; i < size; i++) {
    const key = readValue(bytes) as string;
    const value = readValue(bytes);
    // Assigning `__proto__` would change what the object inherits instead of what it holds.
    if (key === '__proto__') Object.defineProperty(map, key, { ...ownMember, value });
    else map[key] = value;
  }
  return map;
}
