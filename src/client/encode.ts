/**
 * Encodes frames with few bytes of code: a page loads it, and sends little. The server's encoder
 * (protocol/codec.ts) is for speed; a test holds both to the same bytes and refusals.
 */
import { EncodeError, isPlain, LONE_SURROGATE, loneSurrogate, notPlain } from '../protocol/encode-error.js';
import { RoomwireError } from '../protocol/errors.js';
import { float, floatBytes } from '../protocol/read.js';
import { MAX_DEPTH, SHORT_TEXT } from '../protocol/sizes.js';

const textEncoder = new TextEncoder();

/**
 * `most`: the bytes of the largest message that the server takes. Throws too_large, and EncodeError with the path
 * inside the part, which is the application's own data.
 */
export function encodeFrame(parts: readonly unknown[], most = Infinity): Uint8Array {
  const bytes: number[] = [];
  /** From the frame to the value being written. */
  const path: (string | number)[] = [];

  /** `type + power`, then the value in 2 ** power bytes. */
  const putNumber = (type: number, value: number, power: number): void => {
    bytes.push(type + power);
    for (let byte = 1 << power; byte-- > 0;) bytes.push(Math.floor(value / 0x100 ** byte));
  };
  /** A length: in the type byte below `fixLimit`, else after `type8` or the two types that follow it. */
  const putSize = (size: number, fix: number, fixLimit: number, type8: number): void => {
    if (size < fixLimit) bytes.push(fix | size);
    // Arrays and maps, whose limit is 16, have no 8-bit form.
    else putNumber(type8, size, Math.max(powerOf(size), fixLimit === 16 ? 1 : 0));
  };
  const putBytes = (more: Uint8Array): void => {
    for (const byte of more) bytes.push(byte);
  };
  /** `depth`: how much of the path leads to the value. */
  const putValue = (value: unknown, depth: number): void => {
    const refuse = (problem: string): never => {
      // Whichever part it is, its sender calls it data.
      throw new EncodeError(['data', ...path.slice(1, depth)], problem);
    };
    const putMember = (member: unknown, step: string | number): void => {
      path[depth] = step;
      putValue(member, depth + 1);
    };
    if (typeof value === 'string') {
      if (loneSurrogate.test(value)) refuse(LONE_SURROGATE);
      const utf8 = textEncoder.encode(value);
      putSize(utf8.length, 0xa0, SHORT_TEXT, 0xd9);
      putBytes(utf8);
    } else if (typeof value === 'number') {
      if (!Number.isSafeInteger(value)) {
        bytes.push(0xcb);
        float.setFloat64(0, value);
        putBytes(floatBytes);
      } else if (value < 0x80 && value >= -0x20) bytes.push(value);
      // A signed type reaches half as far as its unsigned one, and one further below 0.
      else if (value < 0) putNumber(0xd0, value, powerOf(-2 * (value + 1)));
      else putNumber(0xcc, value, powerOf(value));
    } else if (typeof value === 'boolean') bytes.push(value ? 0xc3 : 0xc2);
    else if (value === undefined || value === null) bytes.push(0xc0);
    else if (ArrayBuffer.isView(value)) {
      putSize(value.byteLength, 0, 0, 0xc4);
      putBytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    } else if (typeof value !== 'object' || !(Array.isArray(value) || isPlain(value))) refuse(notPlain(value));
    else if (depth >= MAX_DEPTH) refuse(`is deeper than ${MAX_DEPTH - 1} levels`);
    else if (Array.isArray(value)) {
      // Holes, too.
      const items = [...(value as unknown[])];
      putSize(items.length, 0x90, 16, 0xdb);
      items.forEach(putMember);
    } else {
      // Each member is read once: a getter may answer differently the second time.
      const members = Object.entries(value).filter(([, member]) => member !== undefined);
      putSize(members.length, 0x80, 16, 0xdd);
      for (const [key, member] of members) {
        putMember(key, key);
        putMember(member, key);
      }
    }
  };

  putValue(parts, 0);
  if (bytes.length > most) throw new RoomwireError('too_large');
  return new Uint8Array(bytes);
}

/** What an entry adds to a map. */
export function entryBytes(key: string, value: unknown): number {
  return encodeFrame([key, value]).length - 1;
}

/** The smallest power for which 2 ** power bytes hold the value. */
function powerOf(value: number): number {
  return value < 0x100 ? 0 : value < 2 ** 16 ? 1 : value < 2 ** 32 ? 2 : 3;
}
