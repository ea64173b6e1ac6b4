/**
 * The strict scanner: decides over raw bytes whether a message lies in roomwire's subset of
 * MessagePack (nil, bool, int within ±(2^53 − 1), float, str, bin, array, map with str keys; no ext;
 * depth ≤ 32), and reads the few parts of a frame that routing needs, so that payloads stay bytes.
 * `scan…` trusts nothing and never reads past `end`; `skip`, `elements` and `read…` trust what was
 * scanned. Runs in browsers.
 */
import { isArray, isText, readText, u8 } from './read.js';
import { DEEP, EMPTY, EXT, KEY, NO_ARRAY, NO_OPCODE, RANGE, TEXT, TRUNCATED } from './refusals.js';
import { MAX_DEPTH } from './sizes.js';

const reasons = [
  'valid',
  'truncated or a length past the end',
  'ext or reserved type',
  'nested too deep',
  'integer outside ±(2^53 - 1)',
  'invalid UTF-8',
  'map key is not a string',
  'frame is not an array',
  'frame has no opcode',
  'empty message',
  'bytes after the value',
] as const;
export type ScanReason = (typeof reasons)[number];

/** What a negative result of `scanValue` stands for. */
export function scanReason(result: number): ScanReason {
  return result < 0 ? (reasons[-result] as ScanReason) : reasons[0];
}

export interface ScanFailure {
  /** Index of the first bad frame in its message. */
  readonly frame: number;
  readonly reason: ScanReason;
}

function u16(bytes: Uint8Array, pos: number): number {
  return (u8(bytes, pos) << 8) | u8(bytes, pos + 1);
}

function u32(bytes: Uint8Array, pos: number): number {
  return ((u8(bytes, pos) << 24) | (u8(bytes, pos + 1) << 16) | (u8(bytes, pos + 2) << 8) | u8(bytes, pos + 3)) >>> 0;
}

/** Whether what was scanned last has a map key `__proto__`. Such data is refused where it becomes an event (RW-PUB-7). */
let protoKey = false;

/** Of the message that `scanMessage` scanned last. Costs nothing where it is false, which is why it is asked first. */
export function sawProtoKey(): boolean {
  return protoKey;
}

/** Of one scanned value. */
export function holdsProtoKey(bytes: Uint8Array): boolean {
  const ofMessage = protoKey;
  protoKey = false;
  scanItems(bytes, 0, bytes.length, 1, MAX_DEPTH, false);
  const found = protoKey;
  protoKey = ofMessage;
  return found;
}

/**
 * Checks the one value that starts at `pos` and returns the offset after it, or a negative number
 * for `scanReason`. Bytes between the value's end and `end` are the caller's business.
 */
export function scanValue(bytes: Uint8Array, pos: number, end = bytes.length, maxDepth = MAX_DEPTH): number {
  return scanItems(bytes, pos, Math.min(end, bytes.length), 1, maxDepth, false);
}

/** Recursion is bounded by `room`, the loop by the bytes: whoever calls has checked `count` against them. */
function scanItems(bytes: Uint8Array, pos: number, end: number, count: number, room: number, keyed: boolean): number {
  for (let i = 0; i < count; i++) {
    if (pos >= end) return TRUNCATED;
    const type = u8(bytes, pos++);
    if (keyed && (i & 1) === 0 && !isText(type)) return KEY;
    if (type < 0x80 || type >= 0xe0) continue;
    let size: number;
    if (type < 0xa0) {
      size = type & 0x0f;
    } else if (type < 0xc0) {
      size = type & 0x1f;
      if (size > end - pos) return TRUNCATED;
      if (!isUtf8(bytes, pos, pos + size)) return TEXT;
      if (size === PROTO_BYTES && u8(bytes, pos) === UNDERSCORE && keyed && (i & 1) === 0) noteKey(bytes, pos);
      pos += size;
      continue;
    } else {
      const width = widthOf(type);
      if (width < 0) return EXT;
      if (width > end - pos) return TRUNCATED;
      if (isScalar(type)) {
        if (width === 8 && type !== 0xcb && !isSafe64(bytes, pos, type === 0xd3)) return RANGE;
        pos += width;
        continue;
      }
      size = readSize(bytes, pos, width);
      pos += width;
      if (type < 0xdc) {
        if (size > end - pos) return TRUNCATED;
        if (type > 0xc6 && !isUtf8(bytes, pos, pos + size)) return TEXT;
        if (size === PROTO_BYTES && u8(bytes, pos) === UNDERSCORE && keyed && (i & 1) === 0) noteKey(bytes, pos);
        pos += size;
        continue;
      }
    }
    const isMap = type < 0x90 || type > 0xdd;
    if (isMap) size *= 2;
    // Every element takes a byte at least, so a lying header fails here and not in a loop.
    if (size > end - pos) return TRUNCATED;
    if (room <= 0) return DEEP;
    pos = scanItems(bytes, pos, end, size, room - 1, isMap);
    if (pos < 0) return pos;
  }
  return pos;
}

const PROTO = '__proto__';
const PROTO_BYTES = PROTO.length;
const UNDERSCORE = 0x5f;

function noteKey(bytes: Uint8Array, pos: number): void {
  for (let i = 0; i < PROTO_BYTES; i++) if (u8(bytes, pos + i) !== PROTO.charCodeAt(i)) return;
  protoKey = true;
}

/** Whether what follows a type byte in 0xc0–0xdf is a value and not a length. */
function isScalar(type: number): boolean {
  return type < 0xc4 || (type > 0xc6 && type < 0xd9);
}

// prettier-ignore
const widths = [
  0, -1, 0, 0, 1, 2, 4, -1, // nil, (never used), false, true, bin 8/16/32, ext 8
  -1, -1, 4, 8, 1, 2, 4, 8, // ext 16/32, float 32/64, uint 8/16/32/64
  1, 2, 4, 8, -1, -1, -1, -1, // int 8/16/32/64, fixext 1/2/4/8
  -1, 1, 2, 4, 2, 4, 2, 4, // fixext 16, str 8/16/32, array 16/32, map 16/32
];

/** Bytes of the scalar or length that follows a type byte in 0xc0–0xdf; −1 where the subset has no such type. */
function widthOf(type: number): number {
  return widths[type - 0xc0] as number;
}

/** The length at `pos`, in 1, 2 or 4 bytes. */
function readSize(bytes: Uint8Array, pos: number, width: number): number {
  return width === 1 ? u8(bytes, pos) : width === 2 ? u16(bytes, pos) : u32(bytes, pos);
}

function isSafe64(bytes: Uint8Array, pos: number, signed: boolean): boolean {
  const high = u32(bytes, pos);
  if (high <= 0x1fffff) return true;
  // Two's complement: −(2^53 − 1) is ffe00000 00000001.
  return signed && high >= 0xffe00000 && (high > 0xffe00000 || u32(bytes, pos + 4) > 0);
}

/** Well-formed UTF-8 in Unicode's sense (table 3-7): nothing overlong, no surrogates, nothing past U+10FFFF. */
function isUtf8(bytes: Uint8Array, pos: number, end: number): boolean {
  while (pos < end) {
    const lead = u8(bytes, pos++);
    if (lead < 0x80) {
      // A run of ASCII takes four bytes a step.
      while (pos + 4 <= end && (u8(bytes, pos) | u8(bytes, pos + 1) | u8(bytes, pos + 2) | u8(bytes, pos + 3)) < 0x80) {
        pos += 4;
      }
      continue;
    }
    if (lead < 0xc2 || lead > 0xf4) return false;
    const more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (more > end - pos) return false;
    // Only the second byte's range depends on the first.
    const second = u8(bytes, pos);
    if (second < (lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80)) return false;
    if (second > (lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf)) return false;
    if (more > 1 && (u8(bytes, pos + 1) & 0xc0) !== 0x80) return false;
    if (more > 2 && (u8(bytes, pos + 2) & 0xc0) !== 0x80) return false;
    pos += more;
  }
  return true;
}

/** A list kept from message to message must not keep the size of the largest. */
const KEEP_OFFSETS = 4096;

/**
 * Checks a whole WebSocket message: one or more arrays back to back, each with an opcode. Returns
 * how many frames there are, with frame i in `starts[i]`–`starts[i + 1]`, or the failure; what a
 * failure leaves in `starts` means nothing. `starts` is the caller's, to be used again; entries past
 * the count are old. `maxDepth` below MAX_DEPTH leaves room for what the receiver wraps around data.
 */
export function scanMessage(bytes: Uint8Array, starts: number[], maxDepth = MAX_DEPTH): number | ScanFailure {
  if (starts.length > KEEP_OFFSETS) starts.length = 0;
  protoKey = false;
  const end = bytes.length;
  let frame = 0;
  let pos = 0;
  let next = end === 0 ? EMPTY : 0;
  while (pos < end) {
    next = scanFrame(bytes, pos, end, maxDepth);
    if (next < 0) break;
    starts[frame++] = pos;
    pos = next;
  }
  if (next < 0) return { frame, reason: scanReason(next) };
  starts[frame] = end;
  return frame;
}

function scanFrame(bytes: Uint8Array, pos: number, end: number, maxDepth: number): number {
  if (!isArray(u8(bytes, pos))) return NO_ARRAY;
  const next = scanItems(bytes, pos, end, 1, maxDepth, false);
  if (next < 0) return next;
  if (arrayLength(bytes, pos) === 0) return NO_OPCODE;
  return (readInt(bytes, arrayStart(bytes, pos)) ?? -1) < 0 ? NO_OPCODE : next;
}

// From here on: parts of what was scanned. With other bytes the results mean nothing.

/** The offset after the value at `pos`. */
export function skip(bytes: Uint8Array, pos: number): number {
  for (let pending = 1; pending > 0; pending--) {
    const type = u8(bytes, pos++);
    if (type < 0x80 || type >= 0xe0) continue;
    if (type < 0x90) pending += (type & 0x0f) * 2;
    else if (type < 0xa0) pending += type & 0x0f;
    else if (type < 0xc0) pos += type & 0x1f;
    else {
      const width = widthOf(type);
      const size = isScalar(type) ? 0 : readSize(bytes, pos, width);
      pos += width;
      if (type < 0xdc) pos += size;
      else pending += type > 0xdd ? size * 2 : size;
    }
  }
  return pos;
}

/** The number of elements of the array at `pos`, or −1 when there is none. */
export function arrayLength(bytes: Uint8Array, pos: number): number {
  const type = u8(bytes, pos);
  if ((type & 0xf0) === 0x90) return type & 0x0f;
  return type === 0xdc ? u16(bytes, pos + 1) : type === 0xdd ? u32(bytes, pos + 1) : -1;
}

/** Where the first element of the array at `pos` starts. */
export function arrayStart(bytes: Uint8Array, pos: number): number {
  const type = u8(bytes, pos);
  return pos + (type === 0xdc ? 3 : type === 0xdd ? 5 : 1);
}

/**
 * Finds the elements of the array that fills `pos`–`end`: element i is in `into[i]`–`into[i + 1]`.
 * Returns the array's length (−1 when it is no array); at most `into.length - 1` elements are
 * written, so a frame padded with elements nobody reads costs nothing. The last element is not walked.
 */
export function elements(bytes: Uint8Array, pos: number, end: number, into: Int32Array): number {
  const length = arrayLength(bytes, pos);
  if (length < 0) return length;
  const wanted = Math.min(length, into.length - 1);
  pos = arrayStart(bytes, pos);
  into[0] = pos;
  const walked = wanted === length ? wanted - 1 : wanted;
  for (let i = 1; i <= walked; i++) into[i] = pos = skip(bytes, pos);
  if (walked !== wanted) into[wanted] = end;
  return length;
}

export function isNil(bytes: Uint8Array, pos: number): boolean {
  return bytes[pos] === 0xc0;
}

const floats = new DataView(new ArrayBuffer(8));

/** The number at `pos` in any encoding, or undefined when it is none. */
export function readNumber(bytes: Uint8Array, pos: number): number | undefined {
  const type = u8(bytes, pos++);
  if (type < 0x80) return type;
  if (type >= 0xe0) return type - 0x100;
  switch (type) {
    case 0xca:
      floats.setUint32(0, u32(bytes, pos));
      return floats.getFloat32(0);
    case 0xcb:
      floats.setUint32(0, u32(bytes, pos));
      floats.setUint32(4, u32(bytes, pos + 4));
      return floats.getFloat64(0);
    case 0xcc:
      return u8(bytes, pos);
    case 0xcd:
      return u16(bytes, pos);
    case 0xce:
      return u32(bytes, pos);
    case 0xcf:
      return u32(bytes, pos) * 0x1_0000_0000 + u32(bytes, pos + 4);
    case 0xd0:
      return (u8(bytes, pos) << 24) >> 24;
    case 0xd1:
      return (u16(bytes, pos) << 16) >> 16;
    case 0xd2:
      return u32(bytes, pos) | 0;
    case 0xd3:
      return (u32(bytes, pos) | 0) * 0x1_0000_0000 + u32(bytes, pos + 4);
    default:
      return undefined;
  }
}

/** The integer at `pos` in any encoding, an integral float included; undefined when it is none or not a safe one. */
export function readInt(bytes: Uint8Array, pos: number): number | undefined {
  const value = readNumber(bytes, pos);
  return Number.isSafeInteger(value) ? (value as number) + 0 : undefined;
}

/** The string at `pos`, or undefined when it is none. */
export function readString(bytes: Uint8Array, pos: number): string | undefined {
  const type = u8(bytes, pos);
  if ((type & 0xe0) === 0xa0) return readText(bytes, pos + 1, pos + 1 + (type & 0x1f));
  if (type < 0xd9 || type > 0xdb) return undefined;
  return readText(bytes, pos + 1 + widthOf(type), skip(bytes, pos));
}
