/**
 * Starts a server again and again on a file with one flipped bit, and uses it: `damage-child.ts <directory> <seed> <tries>`.
 * Prints `<try> <bit> started` or `<try> <bit> refused <message>` for each, so that a crash names its bit.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from '../../src/server/server.js';
import { rooms } from '../../src/rooms/rooms.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { Op } from '../../src/protocol/frames.js';
import { StoreError } from '../../src/store/store.js';
import { random } from '../random.js';
import { roomContract } from '../support/rooms.js';
import { engine } from '../support/server.js';
import { WireClient } from '../support/wire-client.js';

const [path = '', seed = '1', tries = '1'] = process.argv.slice(2);
const { below } = random(Number(seed));
const file = join(path, 'data.mdb');
const ROOMS = ['a', 'b', 'c'];
/** Beyond it something grows without end. */
const MOST_BYTES = 700 * 1024 * 1024;

const make = () =>
  createServer({
    contract: roomContract,
    plugins: [rooms({ memberTtl: 60_000 })] as const,
    store: lmdbStore({ path, mapSize: 64 * 2 ** 20 }),
    engine,
    limits: { graceMs: 60_000 },
    // All that is caught up with comes from the store.
    ringBytes: 1,
  });

/** Whatever is asked is answered: damage in a value shows as the error of one call. */
async function use(server: ReturnType<typeof make>, url: string, events: number): Promise<void> {
  const clients: WireClient[] = [];
  const quietly = async <T>(answer: Promise<T>): Promise<T | undefined> => answer.catch(() => undefined);
  try {
    for (const roomId of ROOMS) {
      const topic = `room:${roomId}`;
      const client = new WireClient(url);
      clients.push(client);
      await quietly(client.hello());
      const joined = await quietly(
        client.call<{ positions: Record<string, [string, number]> }>('join:room', { roomId, create: true }),
      );
      for (let i = 0; i < events; i++) {
        await quietly(client.publish(topic, 'chat:message:new', { text: 'x'.repeat(i * 60) }, `key ${i}`));
      }
      const [epoch = ''] = joined?.positions[topic] ?? [];
      // From the start: what the store kept is read.
      const reader = new WireClient(url);
      clients.push(reader);
      await quietly(reader.hello());
      await quietly(reader.call('join:room', { roomId }));
      await quietly(server.inspect(topic));
      await quietly(server.why(topic, 1, 'nobody'));
      await quietly(reader.call('lock:acquire', { roomId, target: `t${events}`, ttl: 60_000 }));
      await quietly(reader.call('room:members', { roomId }));
      await quietly(reader.request(Op.SUBSCRIBE, topic, [epoch, 0]));
      await quietly(reader.barrier());
    }
    await quietly(server.plugins.rooms.list({ limit: 100 }));
    for (const roomId of ROOMS) {
      await quietly(server.plugins.rooms.members(roomId));
      await quietly(server.plugins.rooms.locks.list(roomId));
    }
  } finally {
    for (const client of clients) client.cut();
  }
}

async function start(): Promise<{ server: ReturnType<typeof make>; url: string }> {
  const server = make();
  const { port } = await server.listen({ port: 0 });
  return { server, url: `ws://127.0.0.1:${port}` };
}

/** Half of them where the engine keeps its own: headers and the first part of pages. */
function pick(bytes: Buffer): number {
  const page = 4_096 * below(bytes.length / 4_096);
  const kind = below(4);
  if (kind === 0) return 8 * (4_096 * below(2) + below(176)) + below(8);
  if (kind === 1) return 8 * (page + below(48)) + below(8);
  for (;;) {
    const at = below(bytes.length);
    if (bytes[at] !== 0) return at * 8 + below(8);
  }
}

// Written in turns, so that there are free pages too.
for (const events of [12, 3, 20]) {
  const { server, url } = await start();
  await use(server, url, events);
  await server.close();
}
const good = readFileSync(file);
for (let i = 0; i < Number(tries); i++) {
  const bad = Buffer.from(good);
  const bit = pick(bad);
  bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  process.stdout.write(`${i} ${bit} `);
  // In place: it is to be the same file.
  writeFileSync(file, bad);
  try {
    const { server, url } = await start();
    await use(server, url, 2);
    await server.close();
    process.stdout.write('started\n');
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    process.stdout.write(`refused ${error.message}\n`);
  }
  const { rss } = process.memoryUsage();
  if (rss > MOST_BYTES) throw new Error(`${rss} bytes`);
}
process.exit();
