/** What each peer's clients ask for: an echo, to be in a room of their own choice, and to publish there. */
import type { Peer } from '../contestants.js';
import { loadCodec, loadFrames } from '../dist.js';
import type { Value } from '../../src/protocol/frames.js';
import { event, topicName } from '../peers/names.js';
import { payloadOf } from '../peers/peer.js';
import { joining, publishing } from '../peers/raw.js';
import type { Exchange } from './caller.js';
import type { Room } from './speakers.js';
import { BINARY, clientMessage, TEXT } from './websocket.js';
import {
  deafWire,
  natsWire,
  rawWire,
  repliesWire,
  roomwireGreeting,
  roomwireWire,
  socketIoGreeting,
  socketIoWire,
  type Wire,
} from './wires.js';

/** The request's id may be the same each time: its answer has come by then. */
const ID = 2;

/** An echo of that many bytes: roomwire's call, Socket.IO's emit with an acknowledgement, a message and back with uws and ws. */
export async function echoOf(peer: Peer, bytes: number): Promise<Exchange> {
  const payload = payloadOf(bytes);
  switch (peer) {
    case 'roomwire': {
      const { encode } = await loadCodec();
      const { Op } = await loadFrames();
      return {
        wire: repliesWire(await roomwireGreeting([]), encode([Op.ACK, ID, payload])),
        request: clientMessage(encode([Op.CALL, ID, 'echo', payload])),
      };
    }
    case 'uws':
    case 'ws':
      return { wire: repliesWire(rawWire(bytes, []), payload), request: clientMessage(payload) };
    case 'socket.io':
    case 'socket.io-uws': {
      const text = Buffer.from(payload).toString('latin1');
      return {
        wire: repliesWire(socketIoGreeting([]), Buffer.from(`43${ID}${JSON.stringify([text])}`)),
        request: clientMessage(Buffer.from(`42${ID}${JSON.stringify(['echo', text])}`), TEXT),
      };
    }
    case 'nats':
    case 'floor':
      throw new Error(`${peer} has no echo`);
  }
}

/** A call of roomwire's that publishes so many bytes, and is answered when the event is in the log. */
export async function publishCallOf(bytes: number): Promise<Exchange> {
  const { encode } = await loadCodec();
  const { Op } = await loadFrames();
  return {
    wire: repliesWire(await roomwireGreeting([]), encode([Op.ACK, ID, null])),
    request: clientMessage(encode([Op.CALL, ID, 'publish', payloadOf(bytes)])),
  };
}

/** A room of that topic in which a member publishes events of that many bytes, without an answer of its own. */
export async function roomOf(peer: Peer, bytes: number, topic: number): Promise<Room> {
  const payload = payloadOf(bytes);
  switch (peer) {
    case 'roomwire': {
      const { encode } = await loadCodec();
      const { Op } = await loadFrames();
      return {
        // All ids of sessions are equally long.
        wire: await roomwireWire(bytes, [topic], 's'.repeat(22)),
        publication: clientMessage(encode([Op.PUBLISH, 0, topicName(topic), event, null, payload])),
      };
    }
    case 'uws':
    case 'ws':
      return { wire: rawWire(bytes, [topic]), publication: clientMessage(publishing(topic, payload)) };
    case 'socket.io':
    case 'socket.io-uws': {
      const packet = `42${JSON.stringify(['publish', topicName(topic), Buffer.from(payload).toString('latin1')])}`;
      return { wire: socketIoWire(bytes, [topic]), publication: clientMessage(Buffer.from(packet), TEXT) };
    }
    case 'nats': {
      const head = Buffer.from(`PUB ${topicName(topic)} ${bytes}\r\n`);
      const publication = clientMessage(Buffer.concat([head, payload, Buffer.from('\r\n')]));
      return { wire: natsWire(bytes, [topic]), publication };
    }
    case 'floor':
      throw new Error('nobody can publish to the floor');
  }
}

/**
 * Joins that room, where the members are listed and announced (roomwire makes it if need be), and
 * listens no more. `joined` hears how many members the room then has.
 */
export async function joinWire(
  peer: Peer,
  room: number,
  joined: (members: number) => void = () => undefined,
): Promise<Wire> {
  const counted = (payload: Buffer): void => joined(memberCountOf(payload));
  switch (peer) {
    case 'roomwire':
      return deafWire(
        await roomwireGreeting([join(room)], (data) => joined((data as { readonly memberCount: number }).memberCount)),
      );
    case 'uws':
    case 'ws': {
      const step = {
        send: clientMessage(joining(room)),
        answered(payload: Buffer) {
          counted(payload);
          return true;
        },
      };
      return deafWire({ opcode: BINARY, hello: () => [step] });
    }
    case 'socket.io':
    case 'socket.io-uws':
      return deafWire(socketIoGreeting([['enter', topicName(room)]], counted));
    case 'nats':
    case 'floor':
      throw new Error(`${peer} has no members`);
  }
}

/** Of a list in JSON, where it comes last; the rest is not parsed. */
function memberCountOf(payload: Buffer): number {
  const end = payload.toString('latin1', Math.max(0, payload.length - 40));
  const count = /"memberCount":(\d+)\}\]?$/.exec(end)?.[1];
  if (count === undefined) throw new Error(`a join was answered with …${end}`);
  return Number(count);
}

export const roomId = (room: number): string => `bench-${room}`;

/** The CALL of a client of roomwire that joins that room. */
export function join(room: number): (id: number) => Value {
  return (id) => [CALL, id, 'join:room', { roomId: roomId(room), create: true }];
}
const { CALL } = (await loadFrames()).Op;
