/** EVENTS messages that are made before they are measured: only the offset is written anew for each use. */
import { loadCodec, loadFrames } from '../dist.js';
import type { Value } from '../../src/protocol/frames.js';
import { event } from '../peers/names.js';
import { payloadOf } from '../peers/peer.js';

const { encode, concat } = await loadCodec();
const { Op } = await loadFrames();

/** Of 64 bytes: what an application might send, and as many bytes raw. */
export const payloads = {
  map: { x: 0.125, y: -2.718281828459045, z: 3.141592653589793, text: 'aaaaaaaaaaaaaaaaaaaaaaaa' },
  bin: payloadOf(64),
} satisfies Record<string, Value>;
export type Payload = keyof typeof payloads;

/** Bytes of an offset that is always written as a uint32. */
const OFFSET = { marker: 0xce, size: 5 };

export interface Premade {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of the uint32 in `bytes`. */
  readonly offsetAt: number;
}

/** `[EVENTS, topic, offset, ...items]` with `w` items. */
export function eventsMessage(topic: string, w: number, data: Payload): Premade {
  const item = encode([event, payloads[data], null]);
  const head = encode([Op.EVENTS, topic, 0, ...Array.from({ length: w }, () => null)]).subarray(0, -w - 1);
  const items = Array.from({ length: w }, () => item);
  const bytes = Uint8Array.from(concat([head, new Uint8Array(OFFSET.size), ...items]));
  bytes[head.length] = OFFSET.marker;
  return { bytes, offsetAt: head.length + 1 };
}
