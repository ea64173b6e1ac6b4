/**
 * The codec of the strict subset, for speed and without `new Function`; the SDK has a smaller one of its
 * own (client/encode.ts). Encoding is here, decoding in decode.ts. Encoding refuses what JSON would quietly
 * change (dates, maps, class instances) and names its path.
 */
import { EncodeError, isPlain, LONE_SURROGATE, loneSurrogate, notPlain } from './encode-error.js';
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
/** Up to so many UTF-16 units a loop is faster than a call of TextEncoder. */
const LOOPED_TEXT = 40;
/** Of the longest header: a type byte and 32 bits. */
const HEADER = 5;

/**
 * Appends to one buffer that it keeps from use to use; `take` returns what was written as a copy
 * that is the caller's. When `writeValue` throws, nothing of the value stays written.
 */
export class Writer {
  readonly #room: number;
  #bytes: Uint8Array;
  #view: DataView;
  /** Where what is being written begins: what stands before it was left to others. */
  #start = 0;
  #pos = 0;
  /** The way from the root to the value being written, for an error's path. */
  readonly #path: (string | number)[] = [];
  /** Whether the value written last has a member `__proto__`, which no event may have (RW-PUB-7). */
  sawProtoKey = false;

  /** `room`: bytes of its first buffer, and of each that it begins after `leave`. */
  constructor(room = INITIAL_BYTES) {
    this.#room = room;
    this.#bytes = new Uint8Array(room);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** What was written, in this writer's own buffer: good until it is used again. */
  get written(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#pos);
  }

  take(): Uint8Array {
    const taken = this.#bytes.slice(this.#start, this.#pos);
    this.reset();
    return taken;
  }

  /** What was written, without a copy: the writer goes on behind it. Whoever keeps it keeps its neighbours with it. */
  leave(): Uint8Array {
    const left = this.#bytes.subarray(this.#start, this.#pos);
    this.#start = this.#pos;
    return left;
  }

  /** Drops what was written. */
  reset(): void {
    this.#pos = this.#start;
    // Little is left of it, or it was for once a large one.
    if (this.#start > this.#room - INITIAL_BYTES / 2 || this.#bytes.length > KEEP_BYTES) {
      this.#start = this.#pos = 0;
      this.#resize(this.#room);
    }
  }

  writeNil(): void {
    this.#byte(0xc0);
  }

  writeArrayHeader(length: number): void {
    this.#reserve(HEADER);
    this.#pos = this.#arrayOrMap(this.#pos, length, 0x90, 0xdc);
  }

  writeMapHeader(size: number): void {
    this.#reserve(HEADER);
    this.#pos = this.#arrayOrMap(this.#pos, size, 0x80, 0xde);
  }

  /** `value` must be a safe integer. */
  writeInt(value: number): void {
    this.#reserve(9);
    const view = this.#view;
    const pos = this.#pos;
    const bytes = this.#bytes;
    if (value < 0x80 && value >= -0x20) {
      bytes[pos] = value;
      this.#pos = pos + 1;
    } else if (value < -(2 ** 31) || value >= 2 ** 32) {
      bytes[pos] = value < 0 ? 0xd3 : 0xcf;
      view.setUint32(pos + 1, Math.floor(value / 2 ** 32));
      view.setUint32(pos + 5, value);
      this.#pos = pos + 9;
    } else if (value < -0x8000 || value >= 0x1_0000) {
      bytes[pos] = value < 0 ? 0xd2 : 0xce;
      view.setUint32(pos + 1, value);
      this.#pos = pos + 5;
    } else if (value < -0x80 || value >= 0x100) {
      bytes[pos] = value < 0 ? 0xd1 : 0xcd;
      view.setUint16(pos + 1, value);
      this.#pos = pos + 3;
    } else {
      bytes[pos] = value < 0 ? 0xd0 : 0xcc;
      bytes[pos + 1] = value;
      this.#pos = pos + 2;
    }
  }

  /** Throws EncodeError for a lone surrogate, which UTF-8 cannot carry. */
  writeString(text: string): void {
    this.#path[0] = 'a string';
    this.#text(text, 1);
  }

  writeBin(view: ArrayBufferView): void {
    // Asked for its `buffer`, V8 moves a short array out of its heap, which costs more than to copy it.
    const bytes = view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    this.#reserve(HEADER);
    this.#pos = this.#sized(this.#pos, bytes.length, 0xc4);
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
    if (typeof value === 'object') {
      if (ArrayBuffer.isView(value)) return this.writeBin(value);
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

  /** Each member is read once: a getter may answer differently the second time. So the header is right at the end only. */
  #map(map: Readonly<Record<string, unknown>>, depth: number, maxDepth: number): void {
    const keys = Object.keys(map);
    const { length } = keys;
    const start = this.#pos;
    let size = length;
    this.writeMapHeader(length);
    for (let i = 0; i < length; i++) {
      const key = keys[i] as string;
      const value = map[key];
      if (value === undefined) {
        size--;
        continue;
      }
      this.#path[depth] = key;
      if (key === '__proto__') this.sawProtoKey = true;
      this.#text(key, depth + 1);
      this.#value(value, depth + 1, maxDepth);
    }
    if (size < length) this.#shrink(start, length, size);
  }

  /** The map whose header of `written` is at `start` has fewer members. */
  #shrink(start: number, written: number, size: number): void {
    const before = start + headerBytes(written);
    const after = this.#arrayOrMap(start, size, 0x80, 0xde);
    if (after === before) return;
    this.#bytes.copyWithin(after, before, this.#pos);
    this.#pos -= before - after;
  }

  #text(text: string, depth: number): void {
    const { length } = text;
    // A UTF-16 unit is at most three bytes; long text mostly has one each.
    this.#reserve(2 * HEADER + (length > LOOPED_TEXT ? length : 3 * length));
    const pos = this.#pos;
    // The header that it has when it is all ASCII.
    const start = pos + textHeaderBytes(length);
    const end = length > LOOPED_TEXT ? this.#encodeInto(text, start, depth) : this.#utf8(text, start, depth);
    const size = end - start;
    const from = pos + textHeaderBytes(size);
    if (from !== start) this.#bytes.copyWithin(from, start, end);
    if (size < SHORT_TEXT) this.#bytes[pos] = 0xa0 | size;
    else this.#sized(pos, size, 0xd9);
    this.#pos = from + size;
  }

  /** Returns where it ends. */
  #utf8(text: string, pos: number, depth: number): number {
    const bytes = this.#bytes;
    const { length } = text;
    for (let i = 0; i < length; i++) {
      let unit = text.charCodeAt(i);
      if (unit < 0x80) {
        bytes[pos++] = unit;
        continue;
      }
      if (unit < 0x800) bytes[pos++] = 0xc0 | (unit >> 6);
      else {
        if ((unit & 0xf800) === 0xd800) {
          // NaN, past the end, is no second half.
          const low = text.charCodeAt(++i);
          if (unit > 0xdbff || (low & 0xfc00) !== 0xdc00) this.#refuse(depth, LONE_SURROGATE);
          unit = 0x1_0000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);
          bytes[pos++] = 0xf0 | (unit >> 18);
          bytes[pos++] = 0x80 | ((unit >> 12) & 0x3f);
        } else bytes[pos++] = 0xe0 | (unit >> 12);
        bytes[pos++] = 0x80 | ((unit >> 6) & 0x3f);
      }
      bytes[pos++] = 0x80 | (unit & 0x3f);
    }
    return pos;
  }

  /** Returns where it ends. */
  #encodeInto(text: string, start: number, depth: number): number {
    // Its header may turn out longer than it began with.
    let done = textEncoder.encodeInto(text, this.#bytes.subarray(start, -HEADER));
    if (done.read < text.length) {
      this.#reserve(2 * HEADER + 3 * text.length);
      done = textEncoder.encodeInto(text, this.#bytes.subarray(start, -HEADER));
    }
    const { written } = done;
    // It writes U+FFFD for half a character.
    if (written !== text.length && loneSurrogate.test(text)) this.#refuse(depth, LONE_SURROGATE);
    return start + written;
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#pos++] = value;
  }

  // ---- headers, where there is room for one; they return where it ends --------------------------------

  #arrayOrMap(pos: number, size: number, fix: number, type16: number): number {
    if (size >= 16) return this.#wide(pos, size, type16);
    this.#bytes[pos] = fix | size;
    return pos + 1;
  }

  /** Of text and bytes, which have a form of 8 bits. */
  #sized(pos: number, size: number, type8: number): number {
    if (size >= 0x100) return this.#wide(pos, size, type8 + 1);
    this.#bytes[pos] = type8;
    this.#bytes[pos + 1] = size;
    return pos + 2;
  }

  /** 16 bits after `type16`, or 32 after the type that follows it. */
  #wide(pos: number, size: number, type16: number): number {
    const fits = size < 0x1_0000;
    this.#bytes[pos] = fits ? type16 : type16 + 1;
    if (fits) this.#view.setUint16(pos + 1, size);
    else this.#view.setUint32(pos + 1, size);
    return pos + (fits ? 3 : 5);
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

/** Of an array or a map. */
function headerBytes(size: number): number {
  return size < 16 ? 1 : size < 0x1_0000 ? 3 : 5;
}

function textHeaderBytes(size: number): number {
  return size < SHORT_TEXT ? 1 : size < 0x100 ? 2 : size < 0x1_0000 ? 3 : 5;
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
