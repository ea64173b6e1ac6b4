/**
 * The small readers that scanner and decoder share: what a type byte says, numbers, lengths, text.
 * They trust their positions: whoever calls has held them against the bytes. Runs in browsers.
 */

/** Arrays and maps inside one another, the frame's own array included. */
export const MAX_DEPTH = 32;

export function u8(bytes: Uint8Array, pos: number): number {
  return bytes[pos] as number;
}

export function u16(bytes: Uint8Array, pos: number): number {
  return (u8(bytes, pos) << 8) | u8(bytes, pos + 1);
}

export function u32(bytes: Uint8Array, pos: number): number {
  return ((u8(bytes, pos) << 24) | (u8(bytes, pos + 1) << 16) | (u8(bytes, pos + 2) << 8) | u8(bytes, pos + 3)) >>> 0;
}

/** Whether a type byte is a string's. */
export function isText(type: number): boolean {
  return type >= 0xa0 && type <= 0xdb && (type < 0xc0 || type > 0xd8);
}

/** Whether a type byte is an array's. */
export function isArray(type: number): boolean {
  return (type & 0xf0) === 0x90 || type === 0xdc || type === 0xdd;
}

/** Whether what follows a type byte in 0xc0–0xdf is a value and not a length. */
export function isScalar(type: number): boolean {
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
export function widthOf(type: number): number {
  return widths[type - 0xc0] as number;
}

/** The length at `pos`, in 1, 2 or 4 bytes. */
export function readSize(bytes: Uint8Array, pos: number, width: number): number {
  return width === 1 ? u8(bytes, pos) : width === 2 ? u16(bytes, pos) : u32(bytes, pos);
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

// Names come again and again (topics, events, sessions, map keys): a small table of the strings last
// seen saves building them. A slot holds one string, so chosen collisions cost a rebuild, not a search.
const CACHED_BYTES = 24;
const SLOTS = 1024;
const seen: string[] = new Array<string>(SLOTS).fill('');
/** Without `ignoreBOM` it would drop U+FEFF from the start of a string. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Up to here V8 builds a flat string by appending, faster than a call of TextDecoder. */
const SHORT_BYTES = 12;

/** The text in `start`–`end`. Throws TypeError where that is no well-formed UTF-8. */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length > CACHED_BYTES) return buildText(bytes, start, end);
  let hash = length;
  for (let i = start; i < end; i++) hash = Math.imul(hash, 31) + u8(bytes, i);
  const slot = (hash ^ (hash >>> 12)) & (SLOTS - 1);
  const hit = seen[slot] as string;
  if (hit.length === length) {
    let i = 0;
    // A byte above 0x7f never equals its character here: only ASCII is ever put in the table.
    while (i < length && hit.charCodeAt(i) === bytes[start + i]) i++;
    if (i === length) return hit;
  }
  const text = buildText(bytes, start, end);
  if (text.length === length) seen[slot] = text;
  return text;
}

function buildText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > SHORT_BYTES) return decoder.decode(bytes.subarray(start, end));
  let text = '';
  for (let i = start; i < end; i++) {
    const unit = u8(bytes, i);
    if (unit > 0x7f) return decoder.decode(bytes.subarray(start, end));
    text += String.fromCharCode(unit);
  }
  return text;
}
