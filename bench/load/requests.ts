/** What each peer's clients ask for: an echo, and to be in a room of their own choice. */
import type { Peer } from '../contestants.js';
import { loadCodec, loadFrames } from '../dist.js';
import type { Value } from '../../src/protocol/frames.js';
import { payloadOf } from '../peers/peer.js';
import type { Exchange } from './caller.js';
import { clientMessage, TEXT } from './websocket.js';
import { deafWire, repliesWire, roomwireGreeting, socketIoWire, uwsWire, type Wire } from './wires.js';

/** The request's id may be the same each time: its answer has come by then. */
const ID = 2;

/** An echo of that many bytes: roomwire's call, Socket.IO's emit with an acknowledgement, a message and back with raw uWebSockets.js. */
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
      return { wire: repliesWire(uwsWire(bytes, [0]), payload), request: clientMessage(payload) };
    case 'socket.io':
    case 'socket.io-uws': {
      const text = Buffer.from(payload).toString('latin1');
      return {
        wire: repliesWire(socketIoWire(bytes, []), Buffer.from(`43${ID}${JSON.stringify([text])}`)),
        request: clientMessage(Buffer.from(`42${ID}${JSON.stringify(['echo', text])}`), TEXT),
      };
    }
    case 'ws':
    case 'nats':
    case 'floor':
      throw new Error(`${peer} has no echo`);
  }
}

/**
 * Joins that room (roomwire makes it if need be) and listens no more. `joined` hears how many
 * members roomwire's room then has.
 */
export async function joinWire(
  peer: Peer,
  room: number,
  joined: (members: number) => void = () => undefined,
): Promise<Wire> {
  switch (peer) {
    case 'roomwire':
      return deafWire(
        await roomwireGreeting([join(room)], (data) => joined((data as { readonly memberCount: number }).memberCount)),
      );
    case 'uws':
      return deafWire(uwsWire(1, [room]));
    case 'socket.io':
    case 'socket.io-uws':
      return deafWire(socketIoWire(1, [room]));
    case 'ws':
    case 'nats':
    case 'floor':
      throw new Error(`${peer} has no rooms`);
  }
}

export const roomId = (room: number): string => `bench-${room}`;

/** The CALL of a client of roomwire that joins that room. */
export function join(room: number): (id: number) => Value {
  return (id) => [CALL, id, 'join:room', { roomId: roomId(room), create: true }];
}
const { CALL } = (await loadFrames()).Op;
