/** The program of a worker (workers.ts): an edge whose hub is its parent. It obeys that alone, and ends with it. */
import { Socket } from 'node:net';
import { runEdge } from './edge.js';
import { LINK_FD, type WorkerSettings } from './workers.js';

const { name, host, port, engine, isFed } = JSON.parse(process.argv[2] ?? '{}') as WorkerSettings;
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

const stream = new Socket({ fd: LINK_FD, readable: true, writable: true });
const edge = runEdge({
  name,
  hubs: [{ text: 'its parent', dial: () => Promise.resolve(stream) }],
  host,
  port,
  engine,
  isOwned: true,
  shared: !isFed,
  isFed,
  stopped: () => tell('down'),
  log: { debug() {}, info() {}, warn: line(40), error: line(50) },
});
process.on('message', (_, connection) => {
  if (connection instanceof Socket) edge.adopt(connection);
});
process.on('disconnect', () => void edge.close());
edge.listening.then(
  () => tell('up'),
  () => undefined,
);
await edge.ended;
process.exit();
