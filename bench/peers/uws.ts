/**
 * Raw uWebSockets.js: its native topics, one `publish` per event. A client's first message names its
 * topics, a line each; if it ends with a new line more follow in the next. What comes after that is sent back.
 */
import type { UwsApp, UwsWebSocket } from '../../src/server/transport/uws-load.js';
import { loadUwsLoader } from '../dist.js';
import { topicName } from './names.js';
import { payloadOf, servePeer } from './peer.js';

/** The engine's own pub/sub, which the server does not use and so does not type. */
interface WithTopics {
  publish(topic: string, message: Uint8Array, isBinary: boolean, compress: boolean): boolean;
}
interface Subscribing {
  subscribe(topic: string): boolean;
}
interface Data {
  subscribed?: boolean;
}

const { loadUws } = await loadUwsLoader();

servePeer(async ({ bytes }) => {
  const loaded = loadUws();
  if (!('module' in loaded)) throw new Error(`no native build of uWebSockets.js: ${JSON.stringify(loaded.failures)}`);
  const { module } = loaded;
  const app = module.App() as UwsApp & WithTopics;
  app.ws<Data>('/*', {
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
    message(socket, message) {
      const data = socket.getUserData();
      if (data.subscribed === true) return void socket.send(new Uint8Array(message), true, false);
      const names = Buffer.from(message).toString();
      data.subscribed = !names.endsWith('\n');
      for (const topic of names.trimEnd().split('\n')) {
        (socket as UwsWebSocket<Data> & Subscribing).subscribe(topic);
      }
      socket.send(Uint8Array.of(1), true, false);
    },
    drain: () => undefined,
    close: () => undefined,
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
