/**
 * What a client of each peer says to be in its topics, and how it counts what comes. Counting reads
 * headers only, and is exact: the length of every event is known, so a message that holds anything
 * but whole events does not add up and ends the run.
 */
import type { Value } from '../../src/protocol/frames.js';
import type { Peer } from '../contestants.js';
import { loadCodec, loadFrames } from '../dist.js';
import { event, topicName } from '../peers/names.js';
import { payloadOf } from '../peers/peer.js';
import { subscribing } from '../peers/raw.js';
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

type Counting = Pick<Wire, 'stream' | 'groupHeader' | 'group'>;
const noSteps: readonly Step[] = [];
/** Requests in one message of a handshake: less than the server's `pendingFrames`. */
const REQUESTS = 2_000;
const batches = <T>(all: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(all.length / REQUESTS) }, (_, i) => all.slice(i * REQUESTS, (i + 1) * REQUESTS));

const equally = (bytes: number): Counting => {
  const one = { events: 1, bytes };
  return { stream: false, groupHeader: 0, group: () => one };
};

/** What a subscriber of that peer says to be in those topics. The floor has only one. */
export async function wireOf(peer: Peer, bytes: number, topics: readonly number[] = [0]): Promise<Wire> {
  switch (peer) {
    case 'roomwire':
      return roomwireWire(bytes, topics);
    case 'uws':
    case 'ws':
      return rawWire(bytes, topics);
    case 'socket.io':
    case 'socket.io-uws':
      return socketIoWire(bytes, topics);
    case 'nats':
      return natsWire(bytes, topics);
    case 'floor':
      return floorWire(bytes);
  }
}

/** uws and ws: a message is an event. */
export function rawWire(bytes: number, topics: readonly number[]): Wire {
  const steps = batches(topics).map((batch) => ({
    send: clientMessage(subscribing(batch)),
    answered: () => true,
  }));
  return { opcode: BINARY, hello: () => steps, ...equally(bytes) };
}

/** Engine.IO's open packet, Socket.IO's connect, then requests of our own; each is acknowledged before the next. */
export function socketIoGreeting(
  requests: readonly (readonly [event: string, argument: unknown])[],
  acked: (payload: Buffer) => void = () => undefined,
): Greeting {
  const step = (say: string | undefined, hear: string, heard?: (payload: Buffer) => void): Step => ({
    ...(say === undefined ? {} : { send: clientMessage(Buffer.from(say), TEXT) }),
    answered(payload) {
      const text = payload.toString('latin1', 0, 60);
      if (!text.startsWith(hear)) throw new Error(`Socket.IO said ${text}`);
      heard?.(payload);
      return true;
    },
  });
  const steps = [
    step(undefined, '0{'),
    step('40', '40{'),
    ...requests.map((request) => step(`421${JSON.stringify(request)}`, '431', acked)),
  ];
  return { path: '/socket.io/?EIO=4&transport=websocket', opcode: TEXT, hello: () => steps };
}

export function socketIoWire(bytes: number, topics: readonly number[]): Wire {
  const message = `42${JSON.stringify([event, Buffer.from(payloadOf(bytes)).toString('latin1')])}`;
  return {
    ...socketIoGreeting(batches(topics).map((batch) => ['join', batch.map(topicName)])),
    ...equally(message.length),
  };
}

/** The first byte of PING; an event's is that of MSG. */
const PING = 0x50;

export function natsWire(bytes: number, topics: readonly number[]): Wire {
  // Each needs an id of its own: a second subscription of the same one is passed over.
  const id = (index: number): string => String(index).padStart(6, '0');
  let subscribed = 0;
  const step = (text: string): Step => ({
    send: clientMessage(Buffer.from(text)),
    answered(payload) {
      const answer = payload.toString('latin1');
      if (answer.startsWith('-ERR')) throw new Error(`nats-server said ${answer}`);
      return answer.includes('PONG');
    },
  });
  const [first = '', ...more] = batches(topics).map((batch) =>
    batch.map((topic) => `SUB ${topicName(topic)} ${id(subscribed++)}\r\n`).join(''),
  );
  const steps: Step[] = [
    { answered: (payload) => payload.toString('latin1', 0, 4) === 'INFO' },
    step(`CONNECT {"verbose":false,"pedantic":false}\r\n${first}PING\r\n`),
    ...more.map((subscribe) => step(`${subscribe}PING\r\n`)),
  ];
  const one = { events: 1, bytes: `MSG ${topicName(0)} ${id(0)} ${bytes}\r\n`.length + bytes + 2 };
  // It measures the round trip once, some seconds after a connection began.
  const ping = { events: 0, bytes: 'PING\r\n'.length };
  return {
    opcode: BINARY,
    hello: () => steps,
    stream: true,
    groupHeader: 1,
    group: (buffer, pos) => (buffer[pos] === PING ? ping : one),
  };
}

/**
 * EVENTS frames, `[EVENTS, topic, first offset, ...items]`: their array header tells how many events
 * follow. `from` is the session that published them, null for the server.
 */
export async function roomwireWire(
  bytes: number,
  topics: readonly number[],
  from: string | null = null,
): Promise<Wire> {
  const { encode } = await loadCodec();
  const { Op } = await loadFrames();
  const greeting = await roomwireGreeting(
    topics.map((topic) => (id: number) => [Op.SUBSCRIBE, id, topicName(topic), null]),
  );
  return { ...greeting, ...(await eventsFrames(encode([event, payloadOf(bytes), from]).length)) };
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
  let id = 1;
  const messages = batches(requests).map((batch) => ({
    send: clientMessage(Buffer.concat(batch.map((request) => encode(request(++id))))),
    count: batch.length,
  }));
  const step = ({ send, count }: (typeof messages)[number]): Step => {
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
  return { subprotocol: SUBPROTOCOL, opcode: BINARY, hello: () => [welcomed, ...messages.map(step)] };
}

async function eventsFrames(itemBytes: number): Promise<Counting> {
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
