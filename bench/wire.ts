/**
 * What a subscriber of each peer says to subscribe, and how it counts events. Counting reads headers
 * only, and is exact: the length of every event is known, so a message that holds anything but whole
 * events does not add up and ends the run.
 */
import { loadCodec, loadFrames } from './dist.js';
import { event, topic } from './peers/names.js';
import { payloadOf } from './peers/peer.js';

export interface Group {
  readonly events: number;
  readonly bytes: number;
}

export interface Wire {
  readonly subprotocol: string | undefined;
  /** Messages to send, each after the answer to the one before; the first goes after the upgrade. */
  readonly hello: readonly { readonly message: Uint8Array; readonly answer: number }[];
  /** The most bytes `group` needs to see. */
  readonly groupHeader: number;
  /** The events that start at `pos` of a message with `left` bytes to go; `bytes` is theirs in full. */
  group(bytes: Buffer, pos: number, left: number): Group;
}

/** One message is one event. */
export function plainWire(bytes: number): Wire {
  const one = { events: 1, bytes };
  return { subprotocol: undefined, hello: [], groupHeader: 0, group: () => one };
}

/** EVENTS frames, `[EVENTS, topic, first offset, ...items]`: their array header tells how many events follow. */
export async function roomwireWire(bytes: number): Promise<Wire> {
  const { encode } = await loadCodec();
  const { Op, SUBPROTOCOL } = await loadFrames();
  const item = encode([event, payloadOf(bytes), null]).length;
  const name = encode(topic);
  const seen = { events: 0, bytes: 0 };
  return {
    subprotocol: SUBPROTOCOL,
    hello: [
      { message: encode([Op.HELLO, 1, { instance: 'bench' }]), answer: Op.WELCOME },
      { message: encode([Op.SUBSCRIBE, 2, topic, null]), answer: Op.ACK },
    ],
    // Array header, opcode, topic, offset.
    groupHeader: 5 + 1 + name.length + 9,
    group(buffer, start) {
      let pos = start;
      const type = buffer[pos++] as number;
      let length = type & 0x0f;
      if (type === 0xdc) length = buffer.readUInt16BE(pos);
      else if (type === 0xdd) length = buffer.readUInt32BE(pos);
      pos += type === 0xdc ? 2 : type === 0xdd ? 4 : 0;
      if (buffer[pos] !== Op.EVENTS) throw new Error(`the server sent a frame with opcode ${buffer[pos]}`);
      pos += 1 + name.length;
      const offset = buffer[pos++] as number;
      if (offset >= 0xcc && offset <= 0xcf) pos += 1 << (offset - 0xcc);
      // Above 2^32 offsets are float64, which no run reaches.
      else if (offset >= 0x80) throw new Error(`the server sent an offset of type 0x${offset.toString(16)}`);
      seen.events = length - 3;
      seen.bytes = pos - start + seen.events * item;
      return seen;
    },
  };
}
