/** Bytes and answers that the tests of bad input share. */
import type { Value } from '../../src/protocol/frames.js';
import { encode, concat } from '../../src/protocol/codec.js';
import type { WireClient } from '../support/wire-client.js';
import { Op } from '../../src/protocol/frames.js';

export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
/** An object that has `__proto__` as a member of its own. */
export const proto = (value: unknown): object => JSON.parse(`{"__proto__": ${JSON.stringify(value)}}`) as object;
/** `n` arrays inside one another. */
export const nested = (n: number): Value => JSON.parse('['.repeat(n) + ']'.repeat(n)) as Value;

/** How a connection ends when it sends this. */
export async function closing(client: WireClient, message: Uint8Array | string | readonly (readonly unknown[])[]) {
  await client.open();
  if (typeof message === 'string' || message instanceof Uint8Array) client.socket.send(message);
  else client.send(...message);
  return client.closed;
}

/** `[id, code]` of every NACK so far. */
export function nacks(client: WireClient): Value[][] {
  return client.frames.filter(([op]) => op === Op.NACK).map(([, id, code]) => [id!, code!]);
}

export const broken: readonly (readonly [what: string, bytes: Uint8Array, reason: RegExp])[] = [
  ['a truncated array', hex('93 22'), /truncated/],
  ['a truncated string', hex('92 03 a5 61 62'), /truncated/],
  ['an array that claims 2^32 - 1 items', hex('dd ff ff ff ff'), /truncated/],
  ['a map that claims 2^32 - 1 entries', hex('92 03 df ff ff ff ff'), /truncated/],
  ['a string that claims 2^32 - 1 bytes', hex('92 03 db ff ff ff ff'), /truncated/],
  ['bin that claims 2^32 - 1 bytes', hex('92 03 c6 ff ff ff ff'), /truncated/],
  ['an ext', hex('92 03 d4 01 00'), /ext/],
  ['an ext that is a timestamp', hex('92 03 d6 ff 00 00 00 00'), /ext/],
  ['an ext of any length', hex('92 03 c7 01 05 00'), /ext/],
  ['the byte that MessagePack never uses', hex('92 03 c1'), /reserved/],
  ['32 levels', encode([Op.PING, nested(31)]), /deep/],
  ['32 levels of maps', concat([hex('92 03'), Buffer.from('81a161'.repeat(31) + 'c0', 'hex')]), /deep/],
  ['900,000 levels', Buffer.alloc(900_000, 0x91), /deep|truncated/],
  ['2^53', hex('92 03 cf 00 20 00 00 00 00 00 00'), /2\^53/],
  ['-2^53', hex('92 03 d3 ff e0 00 00 00 00 00 00'), /2\^53/],
  ['a byte that is no UTF-8', hex('92 03 a1 ff'), /UTF-8/],
  ['an overlong slash', hex('92 03 a2 c0 af'), /UTF-8/],
  ['a surrogate', hex('92 03 a3 ed a0 80'), /UTF-8/],
  ['a map key that is a number', hex('92 03 81 01 02'), /key/],
  ['a map key that is bin', hex('92 03 81 c4 01 61 02'), /key/],
  ['a frame that is a number', hex('01'), /not an array/],
  ['a frame that is a map', hex('80'), /not an array/],
  ['a frame that is nil', hex('c0'), /not an array/],
  ['an empty frame', hex('90'), /opcode/],
  ['an opcode that is a string', hex('91 a1 61'), /opcode/],
  ['an opcode below 0', hex('91 ff'), /opcode/],
  ['an opcode of 1.5', hex('91 cb 3f f8 00 00 00 00 00 00'), /opcode/],
];
