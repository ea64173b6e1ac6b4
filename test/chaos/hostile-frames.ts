/** What hostile clients send: frames with parts that do not belong there, and messages whose bytes are no longer theirs. */
import { concat } from '../../src/protocol/codec.js';
import { Op } from '../../src/protocol/frames.js';
import type { Random } from '../random.js';

interface Parts {
  readonly random: Random;
  readonly id: number;
  readonly topic: string;
  readonly roomId: string;
}

/** Frames as they should be, but for the last. */
const TEMPLATES: readonly ((parts: Parts) => unknown[])[] = [
  ({ random, id }) => [Op.CALL, id, 'echo', random.below(1e6)],
  ({ id, roomId }) => [Op.CALL, id, 'join:room', { roomId, create: true }],
  ({ id, roomId }) => [Op.CALL, id, 'leave:room', { roomId }],
  ({ id, roomId }) => [Op.CALL, id, 'lock:acquire', { roomId, target: 'x', ttl: 1_000, wait: 5 }],
  ({ random, id, roomId }) => [Op.CALL, id, 'lock:release', { roomId, target: 'x', token: random.below(1e9) }],
  ({ id, roomId }) => [Op.CALL, id, 'room:members', { roomId }],
  ({ id, topic }) => [Op.SUBSCRIBE, id, topic, null],
  ({ random, id, topic }) => [Op.SUBSCRIBE, id, topic, ['epoch', random.below(100)]],
  ({ id, topic }) => [Op.UNSUBSCRIBE, id, topic],
  ({ id, topic }) => [Op.PUBLISH, id, topic, 'message', null, { text: 'hi' }],
  ({ random, id, topic }) => [Op.PUBLISH, id, topic, 'message', `k${random.below(50)}`, { text: 'hi' }],
  ({ topic }) => [Op.PUBLISH, 0, topic, 'nothing', null, 1],
  ({ topic }) => [Op.VOLATILE, topic, 'message', 'slot', 1],
  ({ id }) => [Op.AUTH, id, 'token'],
  ({ random, id }) => [Op.CANCEL, id - random.below(5)],
  ({ id }) => [Op.ACK, id, 1],
  ({ id }) => [Op.NACK, id, 100, 'no'],
  ({ id }) => [Op.PING, id],
  ({ id }) => [Op.PONG, id],
  ({ topic }) => [Op.POSITION, { [topic]: ['e', 1] }],
  ({ random, id, topic }) => [random.below(256), id, topic, random.below(100)],
];

/** A frame that is well encoded: mostly one with a part that does not belong there. */
export function hostileFrame(random: Random, id: number): unknown[] {
  const topic = `chat:${random.below(4)}`;
  const roomId = `r${random.below(3)}`;
  const frame = TEMPLATES[random.below(TEMPLATES.length)]?.({ random, id, topic, roomId }) ?? [];
  // BYE and HELLO end the message; they come, but seldom.
  if ((frame[0] === Op.BYE || frame[0] === Op.HELLO) && random.chance(0.99)) frame[0] = 99;
  if (random.chance(0.2)) return frame;
  const at = 1 + random.below(frame.length);
  const kind = random.below(10);
  if (kind === 0) frame.length = Math.max(1, at - 1);
  else if (kind === 1) frame.push(valueOf(random, 3));
  else frame[Math.min(at, frame.length - 1)] = valueOf(random, 3);
  return typeof frame[0] === 'number' && Number.isInteger(frame[0]) && frame[0] >= 0 ? frame : [99, ...frame];
}

/** Anything that MessagePack can say. */
function valueOf(random: Random, depth: number): unknown {
  switch (random.below(depth === 0 ? 10 : 13)) {
    case 0:
      return null;
    case 1:
      return random.chance(0.5);
    case 2:
      return -1 - random.below(1e6);
    case 3:
      return Number.MAX_SAFE_INTEGER - random.below(3);
    case 4:
      return random.below(3) - 0.5;
    case 5:
      return [NaN, Infinity, -0, 2 ** 31, 2 ** 32][random.below(5)];
    case 6:
      return 'x'.repeat(random.below(random.chance(0.02) ? 5_000 : 30));
    case 7:
      return ['', '\0', '__proto__', 'constructor', 'chat:', ':', 'room:r0', 'é\u{1f600}'][random.below(8)];
    case 8:
      return new Uint8Array(random.below(20));
    case 9:
      return random.below(1e6);
    case 10:
      return Array.from({ length: random.below(4) }, () => valueOf(random, depth - 1));
    case 11:
      return Object.fromEntries([['__proto__', valueOf(random, depth - 1)]]);
    default:
      return {
        roomId: valueOf(random, depth - 1),
        target: valueOf(random, 0),
        [`k${random.below(9)}`]: valueOf(random, 0),
      };
  }
}

/** Bytes flipped, cut, repeated or made up. */
export function spoil(random: Random, bytes: Uint8Array): Uint8Array {
  const at = random.below(bytes.length);
  switch (random.below(5)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + random.below(4)))]);
    case 2:
      return concat([bytes, Uint8Array.from({ length: 1 + random.below(20) }, () => random.below(256))]);
    case 3:
      return Uint8Array.from({ length: random.below(bytes.length) }, () => random.below(256));
    default: {
      const spoilt = bytes.slice();
      for (let i = 1 + random.below(3); i > 0; i--) spoilt[random.below(bytes.length)] = random.below(256);
      return spoilt;
    }
  }
}
