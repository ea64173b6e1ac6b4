/**
 * Socket.IO as its performance guide has it: WebSocket only, no compression, the upgrade request
 * thrown away. The payload is a string of the same length: binary ones cost it a second message.
 */
import type { Server, ServerOptions } from 'socket.io';
import { JOINED, LEFT, Members, type Joined } from './members.js';
import { event, topicName } from './names.js';
import { payloadOf, type PeerServer } from './peer.js';

export const ioOptions: Partial<ServerOptions> = {
  transports: ['websocket'],
  perMessageDeflate: false,
  serveClient: false,
  // The clients only count: they would not answer a ping.
  pingInterval: 3_600_000,
};

/**
 * A client subscribes to rooms, publishes to one, and gets back what it sends `echo`. `enter` lists
 * the members and announces the new one: to the whole room before it is in it, which Socket.IO on
 * uWebSockets.js hands to the engine, unlike `socket.to`. `fetchSockets` would cost more than the map.
 */
export function serveIo(io: Server, port: number, bytes: number): PeerServer {
  const members = new Members<string>();
  io.engine.on('connection', (socket: { request: unknown }) => (socket.request = null));
  io.on('connection', (socket) => {
    socket.on('join', (rooms: string[], ack: (answer: number) => void) => {
      void socket.join(rooms);
      ack(1);
    });
    socket.on('enter', (room: string, ack: (answer: Joined) => void) => {
      const member = members.member();
      io.to(room).emit(JOINED, member);
      void socket.join(room);
      ack(members.join(socket.id, room, member));
    });
    socket.on('publish', (room: string, data: unknown) => io.to(room).emit(event, data));
    socket.on('echo', (data: unknown, ack: (answer: unknown) => void) => ack(data));
    socket.on('disconnect', () => members.gone(socket.id, (room, member) => io.to(room).emit(LEFT, member)));
  });
  const payload = Buffer.from(payloadOf(bytes)).toString('latin1');
  return { port, publish: (topic) => io.to(topicName(topic)).emit(event, payload) };
}
