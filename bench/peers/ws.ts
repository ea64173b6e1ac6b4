/**
 * The ws package as its README has it for a broadcast: one `send` for each client that is open; a
 * set of clients for each topic. raw.ts has what its clients say.
 */
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { WebSocketServer, type WebSocket } from 'ws';
import { JOINED, LEFT, Members } from './members.js';
import { topicName } from './names.js';
import { payloadOf, servePeer } from './peer.js';
import { Ask, joinedRoom, published, publishedTo, SUBSCRIBED, topicsOf } from './raw.js';

servePeer(async ({ bytes }) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  await once(server, 'listening');
  const topics = new Map<string, Set<WebSocket>>();
  const members = new Members<WebSocket>();
  const subscribe = (client: WebSocket, topic: string): void => {
    let clients = topics.get(topic);
    if (clients === undefined) topics.set(topic, (clients = new Set()));
    clients.add(client);
  };
  const publish = (topic: string, event: Uint8Array): void => {
    for (const client of topics.get(topic) ?? []) {
      if (client.readyState === client.OPEN) client.send(event, { binary: true });
    }
  };
  const tell = (room: string, event: string, data: unknown): void =>
    publish(room, Buffer.from(JSON.stringify([event, data])));
  server.on('connection', (client) => {
    const own = new Set<string>();
    client.on('message', (message: Buffer) => {
      switch (message[0]) {
        case Ask.SUBSCRIBE:
          for (const topic of topicsOf(message)) {
            subscribe(client, topic);
            own.add(topic);
          }
          return client.send(SUBSCRIBED);
        case Ask.PUBLISH:
          return publish(publishedTo(message), published(message));
        case Ask.JOIN: {
          const room = joinedRoom(message);
          const member = members.member();
          tell(room, JOINED, member);
          subscribe(client, room);
          own.add(room);
          return client.send(JSON.stringify(members.join(client, room, member)), { binary: true });
        }
        default:
          return client.send(message);
      }
    });
    client.on('close', () => {
      for (const topic of own) {
        const clients = topics.get(topic);
        if (clients?.delete(client) === true && clients.size === 0) topics.delete(topic);
      }
      members.gone(client, (room, member) => tell(room, LEFT, member));
    });
    // A reset of the connection: `close` follows.
    client.on('error', () => undefined);
  });
  const payload = payloadOf(bytes);
  return {
    port: (server.address() as AddressInfo).port,
    publish: (topic) => publish(topicName(topic), payload),
  };
});
