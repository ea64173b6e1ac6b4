/**
 * What scanner, decoder and encoder share: the limit of depth, what a type byte says, text. Positions
 * are trusted: whoever calls has held them against the bytes. Runs in browsers.
 */

// Constants come before all else: then a bundler puts the numbers in place of the names.

/** The longest text that is looked for among those last seen. */
const CACHED_BYTES = 24;
/** How many of those are kept: a power of two. */
const CACHE_SLOTS = 1_024;
/** Up to here V8 builds a flat string by appending, faster than a call of TextDecoder. */
const APPENDED_BYTES = 12;

/** Where floats are put together and taken apart; nothing stays in it. */
export const float = new DataView(new ArrayBuffer(8));
export const floatBytes = new Uint8Array(float.buffer);

export function u8(bytes: Uint8Array, pos: number): number {
  return bytes[pos] as number;
}

/** Whether a type byte is a string's. */
export function isText(type: number): boolean {
  return type >= 0xa0 && type <= 0xdb && (type < 0xc0 || type > 0xd8);
}

/** Whether a type byte is an array's. */
export function isArray(type: number): boolean {
  return (type & 0xf0) === 0x90 || type === 0xdc || type === 0xdd;
}

// Names come again and again (topics, events, sessions, map keys): a small table of the strings last
// seen saves building them. A slot holds one string, so chosen collisions cost a rebuild, not a search.
const seen: string[] = new Array<string>(CACHE_SLOTS).fill('');
/** Without `ignoreBOM` it would drop U+FEFF from the start of a string. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text in `start`–`end`. Throws TypeError where that is no well-formed UTF-8. */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length > CACHED_BYTES) return buildText(bytes, start, end);
  let hash = length;
  for (let i = start; i < end; i++) hash = Math.imul(hash, 31) + u8(bytes, i);
  const slot = (hash ^ (hash >>> 12)) & (CACHE_SLOTS - 1);
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
  if (end - start > APPENDED_BYTES) return decoder.decode(bytes.subarray(start, end));
  let text = '';
  for (let i = start; i < end; i++) {
    const unit = u8(bytes, i);
    if (unit > 0x7f) return decoder.decode(bytes.subarray(start, end));
    text += String.fromCharCode(unit);
  }
  return text;
}
