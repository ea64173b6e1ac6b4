/**
 * The codec of the strict subset, for speed and without `new Function`; the SDK has a smaller one of its
 * own (client/encode.ts). Encoding is here, decoding in decode.ts. Encoding refuses what JSON would quietly
 * change (dates, maps, class instances) and names its path.
 */
import { EncodeError, isPlain, LONE_SURROGATE, loneSurrogate, notPlain, powerOf } from './encode-error.js';
import { float, floatBytes } from './read.js';
import { INITIAL_BYTES, KEEP_BYTES, MAX_DEPTH, SHORT_TEXT } from './sizes.js';

export { decode, decodeAll, DecodeError, decodeScanned } from './decode.js';
export { EncodeError } from './encode-error.js';

export interface EncodeOptions {
  /** What the value is called in an error's path. Default `data`. */
  readonly name?: string;
  /** Arrays and maps that will surround the value; they count towards MAX_DEPTH. Default 0. */
  readonly level?: number;
}

const textEncoder = new TextEncoder();

/**
 * Appends to one buffer that it keeps from use to use; `take` returns what was written as a copy
 * that is the caller's. When `writeValue` throws, nothing of the value stays written.
 */
export class Writer {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #pos = 0;
  /** The way from the root to the value being written, for an error's path. */
  readonly #path: (string | number)[] = [];
  /** Whether the value written last has a member `__proto__`, which no event may have (RW-PUB-7). */
  sawProtoKey = false;

  /** What was written, in this writer's own buffer: good until it is used again. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#pos);
  }

  take(): Uint8Array {
    const taken = this.written.slice();
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
    // A signed type reaches half as far as its unsigned one, and one further below 0.
    else if (value < 0) this.#uint(0xd0, value, powerOf(-2 * (value + 1)));
    else this.#uint(0xcc, value, powerOf(value));
  }

  /** Throws EncodeError for a lone surrogate, which UTF-8 cannot carry. */
  writeString(text: string): void {
    this.#path[0] = 'a string';
    this.#text(text, 1);
  }

  writeBin(view: ArrayBufferView): void {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    this.#size(bytes.length, 0, 0, 0xc4);
    this.writeRaw(bytes);
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
    this.sawProtoKey = false;
    try {
      this.#value(value, 1, MAX_DEPTH - level);
    } catch (error) {
      this.#pos = start;
      throw error;
    }
  }

  /** `depth` is how much of the path leads to the value. */
  #refuse(depth: number, problem: string): never {
    throw new EncodeError(this.#path.slice(0, depth), problem);
  }

  #value(value: unknown, depth: number, maxDepth: number): void {
    if (typeof value === 'string') return this.#text(value, depth);
    if (typeof value === 'number') {
      // Like JSON, −0 becomes 0.
      return Number.isSafeInteger(value) ? this.writeInt(value) : this.#float64(value);
    }
    if (typeof value === 'boolean') return this.#byte(value ? 0xc3 : 0xc2);
    if (value === undefined || value === null) return this.writeNil();
    if (ArrayBuffer.isView(value)) return this.writeBin(value);
    if (typeof value === 'object') {
      if (depth > maxDepth) this.#refuse(depth, `is deeper than ${maxDepth} levels`);
      if (Array.isArray(value)) return this.#array(value, depth, maxDepth);
      if (isPlain(value)) return this.#map(value, depth, maxDepth);
    }
    this.#refuse(depth, notPlain(value));
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
    // Each member is read once: a getter may answer differently the second time.
    const members = Object.entries(map).filter(([, value]) => value !== undefined);
    this.writeMapHeader(members.length);
    for (const [key, value] of members) {
      this.#path[depth] = key;
      if (key === '__proto__') this.sawProtoKey = true;
      this.#text(key, depth + 1);
      this.#value(value, depth + 1, maxDepth);
    }
  }

  #text(text: string, depth: number): void {
    if (text.length < SHORT_TEXT && this.#ascii(text)) return;
    if (loneSurrogate.test(text)) this.#refuse(depth, LONE_SURROGATE);
    const utf8 = textEncoder.encode(text);
    this.#size(utf8.length, 0xa0, SHORT_TEXT, 0xd9);
    this.writeRaw(utf8);
  }

  /** False, with nothing written, when the short text is not all ASCII. */
  #ascii(text: string): boolean {
    this.#reserve(SHORT_TEXT);
    const { length } = text;
    const start = this.#pos + 1;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return false;
      this.#bytes[start + i] = unit;
    }
    this.#bytes[start - 1] = 0xa0 | length;
    this.#pos = start + length;
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
    else this.#uint(type8, size, Math.max(powerOf(size), fixLimit === 16 ? 1 : 0));
  }

  /** `type + power`, then the value in 2 ** power bytes. */
  #uint(type: number, value: number, power: number): void {
    const width = 1 << power;
    this.#byte(type + power);
    this.#reserve(width);
    this.#pos += width;
    for (let i = 1; i <= width; i++) {
      this.#bytes[this.#pos - i] = value;
      value = Math.floor(value / 0x100);
    }
  }

  #float64(value: number): void {
    this.#byte(0xcb);
    float.setFloat64(0, value);
    this.writeRaw(floatBytes);
  }

  #reserve(size: number): void {
    const needed = this.#pos + size;
    if (needed > this.#bytes.length) this.#resize(Math.max(needed, this.#bytes.length * 2));
  }

  #resize(size: number): void {
    const written = this.#bytes.subarray(0, this.#pos);
    this.#bytes = new Uint8Array(size);
    this.#bytes.set(written);
  }
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
