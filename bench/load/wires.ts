/**
 * What a client of each peer says to be in its topics, and how it counts what comes. Counting reads
 * headers only, and is exact: the length of every event is known, so a message that holds anything
 * but whole events does not add up and ends the run.
 */
import type { Value } from '../../src/protocol/frames.js';
import { loadCodec, loadFrames } from '../dist.js';
import { event, topicName } from '../peers/names.js';
import { payloadOf } from '../peers/peer.js';
import { BINARY, clientMessage, TEXT } from './websocket.js';

export interface Group {
  readonly events: number;
  readonly bytes: number;
}

/** One step of a handshake: maybe say something, then hear messages until one is the answer. */
export interface Step {
  readonly send?: Buffer;
  /** True when this message ends the step; throws when the server refused. */
  answered(payload: Buffer): boolean;
}

export interface Client {
  /** A whole message, masked (clientMessage). */
  send(message: Uint8Array): void;
}

/** How a connection begins. */
export interface Greeting {
  readonly path?: string;
  readonly subprotocol?: string;
  /** How the server's messages begin. */
  readonly opcode: number;
  /** Fresh steps of one handshake; the first follows the upgrade. */
  hello(): readonly Step[];
}

export interface Wire extends Greeting {
  /** Events are a stream of bytes that messages may cut anywhere. */
  readonly stream: boolean;
  /** The most bytes `group` needs to see. */
  readonly groupHeader: number;
  /** The events that start at `pos` of a message with `left` bytes to go; `bytes` is theirs in full. */
  group(bytes: Buffer, pos: number, left: number): Group;
  /** Takes each message in whole instead, for works that must look into them; tells how many events it was. */
  readonly message?: (payload: Buffer, client: Client) => number;
}

const noSteps: readonly Step[] = [];
const equally = (bytes: number): Pick<Wire, 'stream' | 'groupHeader' | 'group'> => {
  const one = { events: 1, bytes };
  return { stream: false, groupHeader: 0, group: () => one };
};

/** ws: every client gets everything; a message is an event. */
export function plainWire(bytes: number): Wire {
  return { opcode: BINARY, hello: () => noSteps, ...equally(bytes) };
}

export function uwsWire(bytes: number, topics: readonly number[]): Wire {
  const steps: Step[] = [];
  for (let first = 0; first < topics.length; first += REQUESTS) {
    const names = topics
      .slice(first, first + REQUESTS)
      .map(topicName)
      .join('\n');
    const more = first + REQUESTS < topics.length ? '\n' : '';
    steps.push({ send: clientMessage(Buffer.from(names + more)), answered: () => true });
  }
  return { opcode: BINARY, hello: () => steps, ...equally(bytes) };
}

/** Engine.IO's open packet, Socket.IO's connect, then a `join` for each topic. */
export function socketIoWire(bytes: number, topics: readonly number[]): Wire {
  const step = (say: string | undefined, hear: string): Step => ({
    ...(say === undefined ? {} : { send: clientMessage(Buffer.from(say), TEXT) }),
    answered(payload) {
      const text = payload.toString('latin1');
      if (!text.startsWith(hear)) throw new Error(`Socket.IO said ${text.slice(0, 60)}`);
      return true;
    },
  });
  const steps = [
    step(undefined, '0{'),
    step('40', '40{'),
    ...topics.map((topic) => step(`421${JSON.stringify(['join', topicName(topic)])}`, '431')),
  ];
  const message = `42${JSON.stringify([event, Buffer.from(payloadOf(bytes)).toString('latin1')])}`;
  return {
    path: '/socket.io/?EIO=4&transport=websocket',
    opcode: TEXT,
    hello: () => steps,
    ...equally(message.length),
  };
}

export function natsWire(bytes: number, topics: readonly number[]): Wire {
  const subscribe = topics.map((topic) => `SUB ${topicName(topic)} 1\r\n`).join('');
  const steps: Step[] = [
    { answered: (payload) => payload.toString('latin1', 0, 4) === 'INFO' },
    {
      send: clientMessage(Buffer.from(`CONNECT {"verbose":false,"pedantic":false}\r\n${subscribe}PING\r\n`)),
      answered(payload) {
        const text = payload.toString('latin1');
        if (text.startsWith('-ERR')) throw new Error(`nats-server said ${text}`);
        return text.includes('PONG');
      },
    },
  ];
  const length = `MSG ${topicName(0)} 1 ${bytes}\r\n`.length + bytes + 2;
  return { opcode: BINARY, hello: () => steps, ...equally(length), stream: true };
}

/** EVENTS frames, `[EVENTS, topic, first offset, ...items]`: their array header tells how many events follow. */
export async function roomwireWire(bytes: number, topics: readonly number[]): Promise<Wire> {
  const { encode } = await loadCodec();
  const { Op } = await loadFrames();
  const greeting = await roomwireGreeting(
    topics.map((topic) => (id: number) => [Op.SUBSCRIBE, id, topicName(topic), null]),
  );
  return { ...greeting, ...(await eventsFrames(encode([event, payloadOf(bytes), null]).length)) };
}

/** The floor's bytes are roomwire's, without the handshake. */
export async function floorWire(bytes: number): Promise<Wire> {
  const { encode } = await loadCodec();
  const item = encode([event, payloadOf(bytes), null]).length;
  return { opcode: BINARY, hello: () => noSteps, ...(await eventsFrames(item)) };
}

/** HELLO, then requests, which go out together in messages of many; each must be ACKed. */
export async function roomwireGreeting(
  requests: readonly ((id: number) => Value)[],
  acked: (data: Value) => void = () => undefined,
): Promise<Greeting> {
  const { encode, decodeAll } = await loadCodec();
  const { Op, SUBPROTOCOL } = await loadFrames();
  const welcomed: Step = {
    send: clientMessage(encode([Op.HELLO, 1, { instance: 'bench', grace: 0 }])),
    answered(payload) {
      if (payload[1] !== Op.WELCOME) throw new Error(`the server refused HELLO with opcode ${payload[1]}`);
      return true;
    },
  };
  const batches: { readonly send: Buffer; readonly count: number }[] = [];
  for (let first = 0; first < requests.length; first += REQUESTS) {
    const batch = requests.slice(first, first + REQUESTS);
    const send = clientMessage(Buffer.concat(batch.map((request, i) => encode(request(first + i + 2)))));
    batches.push({ send, count: batch.length });
  }
  const step = ({ send, count }: (typeof batches)[number]): Step => {
    let left = count;
    return {
      send,
      answered(payload) {
        for (const [opcode, , ...rest] of decodeAll(payload)) {
          if (opcode === Op.NACK) throw new Error(`the server refused: ${JSON.stringify(rest)}`);
          if (opcode !== Op.ACK) continue;
          left--;
          acked(rest[0] as Value);
        }
        return left === 0;
      },
    };
  };
  return { subprotocol: SUBPROTOCOL, opcode: BINARY, hello: () => [welcomed, ...batches.map(step)] };
}
/** Requests in one message of a handshake: less than the server's `pendingFrames`. */
const REQUESTS = 2_000;

async function eventsFrames(itemBytes: number): Promise<Pick<Wire, 'stream' | 'groupHeader' | 'group'>> {
  const { encode } = await loadCodec();
  const { Op } = await loadFrames();
  const nameBytes = encode(topicName(0)).length;
  const seen = { events: 0, bytes: 0 };
  return {
    stream: false,
    // Array header, opcode, topic, offset.
    groupHeader: 5 + 1 + nameBytes + 9,
    group(buffer, start) {
      let pos = start;
      const type = buffer[pos++] as number;
      let length = type & 0x0f;
      if (type === 0xdc) length = buffer.readUInt16BE(pos);
      else if (type === 0xdd) length = buffer.readUInt32BE(pos);
      pos += type === 0xdc ? 2 : type === 0xdd ? 4 : 0;
      if (buffer[pos] !== Op.EVENTS) throw new Error(`the server sent a frame with opcode ${buffer[pos]}`);
      pos += 1 + nameBytes;
      const offset = buffer[pos++] as number;
      if (offset >= 0xcc && offset <= 0xcf) pos += 1 << (offset - 0xcc);
      // Above 2^32 offsets are float64, which no run reaches.
      else if (offset >= 0x80) throw new Error(`the server sent an offset of type 0x${offset.toString(16)}`);
      seen.events = length - 3;
      if (seen.events < 1) throw new Error('the server sent EVENTS without an event');
      seen.bytes = pos - start + seen.events * itemBytes;
      return seen;
    },
  };
}

/** Answers to one request at a time: every message is one, as long as `reply` and beginning as it does. */
export function repliesWire(greeting: Greeting, reply: Uint8Array): Wire {
  const head = Buffer.from(reply.subarray(0, 3));
  const one = { events: 1, bytes: reply.length };
  return {
    ...greeting,
    stream: false,
    groupHeader: head.length,
    group(bytes, pos, left) {
      if (left !== reply.length || bytes.compare(head, 0, head.length, pos, pos + head.length) !== 0) {
        throw new Error(`an answer of ${left} bytes began with ${bytes.toString('hex', pos, pos + head.length)}`);
      }
      return one;
    },
  };
}

/** Whatever comes after the handshake is passed over. */
export function deafWire(greeting: Greeting): Wire {
  return { ...greeting, stream: false, groupHeader: 0, group: (_bytes, _pos, left) => ({ events: 0, bytes: left }) };
}

/** Every message after the handshake is looked into. */
export function openWire(greeting: Greeting, message: (payload: Buffer, client: Client) => number): Wire {
  return { ...deafWire(greeting), message };
}
