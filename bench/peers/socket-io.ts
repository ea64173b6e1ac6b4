/**
 * Socket.IO as its performance guide has it: WebSocket only, no compression, the upgrade request
 * thrown away. The payload is a string of the same length: binary ones cost it a second message.
 */
import type { Server, ServerOptions } from 'socket.io';
import { event, topicName } from './names.js';
import { payloadOf, type PeerServer } from './peer.js';

export const ioOptions: Partial<ServerOptions> = {
  transports: ['websocket'],
  perMessageDeflate: false,
  serveClient: false,
  // The clients only count: they would not answer a ping.
  pingInterval: 3_600_000,
};

/** A client joins rooms, and gets what it sends `echo` back. */
export function serveIo(io: Server, port: number, bytes: number): PeerServer {
  io.engine.on('connection', (socket: { request: unknown }) => (socket.request = null));
  io.on('connection', (socket) => {
    socket.on('join', (room: string, ack: (answer: number) => void) => {
      void socket.join(room);
      ack(1);
    });
    socket.on('echo', (data: unknown, ack: (answer: unknown) => void) => ack(data));
  });
  const payload = Buffer.from(payloadOf(bytes)).toString('latin1');
  return { port, publish: (topic) => io.to(topicName(topic)).emit(event, payload) };
}
