/** Socket.IO on uWebSockets.js, whose native topics then carry its broadcasts. */
import { Server } from 'socket.io';
import { loadUwsLoader } from '../dist.js';
import { servePeer } from './peer.js';
import { ioOptions, serveIo } from './socket-io.js';

/** The engine's own, which Socket.IO's types do not know. */
const engineOptions = { maxPayloadLength: 1024 * 1024, maxBackpressure: 4 * 1024 * 1024 };

const { loadUws } = await loadUwsLoader();

servePeer(async ({ bytes }) => {
  const loaded = loadUws();
  if (!('module' in loaded)) throw new Error(`no native build of uWebSockets.js: ${JSON.stringify(loaded.failures)}`);
  const { module } = loaded;
  const app = module.App();
  const io = new Server(ioOptions);
  io.attachApp(app, engineOptions as object);
  const port = await new Promise<number>((resolve, reject) => {
    app.listen('127.0.0.1', 0, module.LIBUS_LISTEN_EXCLUSIVE_PORT, (token) => {
      if (token === false) reject(new Error('uWebSockets.js cannot listen'));
      else resolve(module.us_socket_local_port(token));
    });
  });
  return serveIo(io, port, bytes);
});
