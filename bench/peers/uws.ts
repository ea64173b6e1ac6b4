/**
 * Raw uWebSockets.js: its native topics, one `publish` per event. raw.ts has what its clients say.
 */
import type { UwsApp, UwsWebSocket } from '../../src/server/transport/uws-load.js';
import { loadUwsLoader } from '../dist.js';
import { JOINED, LEFT, Members } from './members.js';
import { topicName } from './names.js';
import { payloadOf, servePeer } from './peer.js';
import { Ask, joinedRoom, published, publishedTo, SUBSCRIBED, topicsOf } from './raw.js';

/** The engine's own pub/sub, which the server does not use and so does not type. */
interface WithTopics {
  publish(topic: string, message: Uint8Array | string, isBinary: boolean, compress: boolean): boolean;
}
interface Subscribing {
  subscribe(topic: string): boolean;
}
type Socket = UwsWebSocket<unknown> & Subscribing;

const { loadUws } = await loadUwsLoader();

servePeer(async ({ bytes }) => {
  const loaded = loadUws();
  if (!('module' in loaded)) throw new Error(`no native build of uWebSockets.js: ${JSON.stringify(loaded.failures)}`);
  const { module } = loaded;
  const app = module.App() as UwsApp & WithTopics;
  const members = new Members<UwsWebSocket<unknown>>();
  const tell = (room: string, event: string, data: unknown): boolean =>
    app.publish(room, JSON.stringify([event, data]), true, false);
  app.ws<unknown>('/*', {
    compression: module.DISABLED,
    idleTimeout: 960,
    maxLifetime: 0,
    sendPingsAutomatically: false,
    maxPayloadLength: 1024 * 1024,
    maxBackpressure: 4 * 1024 * 1024,
    closeOnBackpressureLimit: false,
    upgrade(response, request, context) {
      response.upgrade({}, request.getHeader('sec-websocket-key'), '', '', context);
    },
    open: () => undefined,
    message(socket, buffer) {
      const message = Buffer.from(buffer);
      switch (message[0]) {
        case Ask.SUBSCRIBE:
          for (const topic of topicsOf(message)) (socket as Socket).subscribe(topic);
          return void socket.send(SUBSCRIBED, true, false);
        case Ask.PUBLISH:
          return void app.publish(publishedTo(message), published(message), true, false);
        case Ask.JOIN: {
          const room = joinedRoom(message);
          const member = members.member();
          tell(room, JOINED, member);
          (socket as Socket).subscribe(room);
          return void socket.send(Buffer.from(JSON.stringify(members.join(socket, room, member))), true, false);
        }
        default:
          // The engine's buffer is gone when this returns; `send` has copied it by then.
          return void socket.send(message, true, false);
      }
    },
    drain: () => undefined,
    close: (socket) => members.gone(socket, (room, member) => tell(room, LEFT, member)),
  });
  const port = await new Promise<number>((resolve, reject) => {
    app.listen('127.0.0.1', 0, module.LIBUS_LISTEN_EXCLUSIVE_PORT, (token) => {
      if (token === false) reject(new Error('uWebSockets.js cannot listen'));
      else resolve(module.us_socket_local_port(token));
    });
  });
  const payload = payloadOf(bytes);
  return { port, publish: (topic) => app.publish(topicName(topic), payload, true, false) };
});
