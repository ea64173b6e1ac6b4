/** Socket.IO on its default engine, the ws package. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { servePeer } from './peer.js';
import { ioOptions, serveIo } from './socket-io.js';

servePeer(async ({ bytes }) => {
  const http = createServer();
  const io = new Server(http, ioOptions);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return serveIo(io, (http.address() as AddressInfo).port, bytes);
});
