/** The program of a worker (workers.ts): an edge whose hub is its parent. It obeys that alone, and ends with it. */
import { Socket } from 'node:net';
import { runEdge } from './edge.js';
import { LINK_FD, RELOAD_TLS, type WorkerSettings } from './workers.js';

const { name, host, port, engine, isFed, tls } = JSON.parse(process.argv[2] ?? '{}') as WorkerSettings;
process.title = `roomwire ${name}`;
// A terminal sends them to all of its processes: when to end is the parent's to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const tell = (told: string): void => {
  if (process.connected) process.send?.(told, undefined, undefined, () => undefined);
};
const line =
  (level: number) =>
  (fields: object, msg: string): void => {
    const { err, ...others } = fields as { readonly err?: unknown };
    const text = err instanceof Error ? { err: err.stack } : {};
    process.stderr.write(`${JSON.stringify({ level, time: Date.now(), edge: name, ...others, ...text, msg })}\n`);
  };
process.stderr.on('error', () => undefined);

const log = { debug() {}, info() {}, warn: line(40), error: line(50) };
const stream = new Socket({ fd: LINK_FD, readable: true, writable: true });
const edge = runEdge({
  name,
  hubs: [{ text: 'its parent', dial: () => Promise.resolve(stream) }],
  host,
  port,
  engine,
  tls,
  isOwned: true,
  shared: !isFed,
  isFed,
  stopped: () => tell('down'),
  log,
});
process.on('message', (told, connection) => {
  if (connection instanceof Socket) return edge.adopt(connection);
  if (told !== RELOAD_TLS) return;
  try {
    edge.reloadTls();
  } catch (err) {
    log.error({ err }, 'the certificate was not reloaded');
  }
});
process.on('disconnect', () => void edge.close());
edge.listening.then(
  () => tell('up'),
  () => undefined,
);
await edge.ended;
process.exit();
