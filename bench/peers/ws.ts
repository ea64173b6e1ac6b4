/** The ws package as most use it: a set of clients, one `send` per client and event. */
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { WebSocketServer } from 'ws';
import { payloadOf, servePeer } from './peer.js';

servePeer(async ({ bytes }) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  await once(server, 'listening');
  const payload = payloadOf(bytes);
  return {
    port: (server.address() as AddressInfo).port,
    publish() {
      for (const client of server.clients) client.send(payload, { binary: true });
    },
  };
});
