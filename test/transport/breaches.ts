/** Breaches of RFC 6455's framing, each as the bytes that a client would send: the connection must end. */
import type { EngineInfo } from '../../src/protocol/http-answers.js';
import { closePayload, frame, opcodes } from './raw-client.js';

export type Breach = readonly [title: string, bytes: Buffer];

const long = Buffer.alloc(126, 'x');
const breaches: readonly Breach[] = [
  ['the first reserved bit without an extension', frame(opcodes.binary, 'x', { rsv: 4 })],
  ['the second reserved bit', frame(opcodes.binary, 'x', { rsv: 2 })],
  ['the third reserved bit', frame(opcodes.binary, 'x', { rsv: 1 })],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((code) => [`the reserved opcode ${code}`, frame(code, 'x')] as const),
  ['a ping of more than 125 bytes', frame(opcodes.ping, long)],
  ['a close frame of more than 125 bytes', frame(opcodes.close, closePayload(1000, long))],
  ['a ping in fragments', Buffer.concat([frame(opcodes.ping, 'x', { fin: false }), frame(opcodes.continuation, 'y')])],
  ['a continuation of nothing', frame(opcodes.continuation, 'x')],
  ['a text that is not UTF-8', frame(opcodes.text, Buffer.from([0x48, 0xc3, 0x28]))],
  ['a text with a surrogate', frame(opcodes.text, Buffer.from([0xed, 0xa0, 0x80]))],
  [
    'a fragmented text that is not UTF-8',
    Buffer.concat([
      frame(opcodes.text, Buffer.from([0xe2, 0x82]), { fin: false }),
      frame(opcodes.continuation, Buffer.from([0x28])),
    ]),
  ],
  ['a close frame of one byte', frame(opcodes.close, Buffer.from([3]))],
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535].map(
    (code) => [`the close code ${code}`, frame(opcodes.close, closePayload(code))] as const,
  ),
  ['a close reason that is not UTF-8', frame(opcodes.close, closePayload(1000, Buffer.from([0xff])))],
  ['a length of 2^63 and more', Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
];

// uWebSockets.js lets two through. It does not look at the mask bit but reads the first four bytes
// as the mask, and it appends a new message to the open fragments. What comes out is for the
// scanner to refuse, and harms nobody but the client that sent it.
const strict: readonly Breach[] = [
  ['a frame without a mask', frame(opcodes.binary, 'x', { mask: false })],
  [
    'a new message within a fragmented one',
    Buffer.concat([frame(opcodes.binary, 'x', { fin: false }), frame(opcodes.binary, 'y')]),
  ],
];

/** `messageBytes`: the most that the server takes. */
export function breachesOf(engine: EngineInfo['name'] | undefined, messageBytes: number): readonly Breach[] {
  const tooLong: Breach = ['a length beyond the limit', frame(opcodes.binary, 'x', { length: messageBytes + 1 })];
  return [...breaches, tooLong, ...(engine === 'ws' ? strict : [])];
}
