/**
 * The server as a program of its own, to be killed: `serve-child.ts <JSON of ServeOptions>`. Prints its port when it
 * listens. Over IPC it tells what it holds, for those who look for leaks. It ends with its parent.
 */
import { readdirSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import { cluster as clusterNode } from '../../src/cluster/cluster.js';
import { http } from '../../src/http/http.js';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { rooms } from '../../src/rooms/rooms.js';
import { linkTransport } from '../../src/link/hub.js';
import { createServer } from '../../src/server/server.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { memoryStore } from '../../src/store/memory.js';
import { StoreError } from '../../src/store/store.js';
import { childTransport } from '../support/edge.js';
import { SECRET } from '../support/tokens.js';
import { unrated } from '../support/unrated.js';
import { DEPOSED, type Holdings, type ServeOptions } from './child.js';

const options = JSON.parse(process.argv[2] ?? '{}') as ServeOptions;
const {
  path,
  store,
  engine,
  port,
  host,
  link,
  limits,
  ringBytes,
  admission,
  pingEvery = 2_000,
  pingTimeout = 5_000,
  apiKey,
  cluster,
} = options;
const contract = defineContract({
  use: [roomsContract()],
  topics: {
    'chat:{id}': { events: { message: { schema: v.unknown(), publish: 'subscribers' } } },
    'room:{id}': { events: { message: { schema: v.unknown(), publish: 'subscribers' } } },
  },
  calls: { echo: { input: v.unknown() } },
});
const server = createServer({
  contract,
  plugins: [rooms(), http()] as const,
  store: store === 'lmdb' ? lmdbStore({ path }) : memoryStore(),
  engine,
  ...(cluster !== undefined
    ? { cluster: clusterNode({ ...cluster, secret: SECRET, engine }) }
    : link === undefined
      ? childTransport(engine)
      : { transport: linkTransport({ at: [{ host: '127.0.0.1', port: link }], engine }) }),
  limits: { ...unrated, ...limits },
  ringBytes,
  auth: { secret: SECRET, apiKeys: apiKey === undefined ? [] : [apiKey] },
  // At once: nothing is to be said or done any more.
  deposed: () => process.exit(DEPOSED),
  admission,
  pingEvery,
  pingTimeout,
  log: {
    debug() {},
    info() {},
    // Nodes of a cluster warn of each other's ends, which are the test.
    warn: (fields, message) => void (cluster ?? console.error('server warns:', message, fields)),
    error: (fields, message) => {
      errors.push(message);
      console.error('server error:', message, fields);
    },
  },
});
const errors: string[] = [];
server.handle('echo', ({ input }) => input);

process.on('message', () => {
  // Twice: what the first frees may hold what the second frees.
  for (let i = 0; i < 2; i++) (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, rss, external } = process.memoryUsage();
  const holdings: Holdings = {
    ...server.stats(),
    heapUsed,
    rss,
    external,
    handles: process.getActiveResourcesInfo().length,
    fds: process.platform === 'linux' ? openFiles() : 0,
    errors: errors.splice(0),
  };
  process.send?.(holdings);
});
/** Of this process, and of those that hold its connections. */
function openFiles(): number {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
  const all = ['self', ...children.filter((pid) => pid !== '')];
  return all.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0);
}

process.on('disconnect', () => process.exit(0));
if (cluster === undefined) {
  const listening = await server.listen({ port, ...(host === undefined ? {} : { host }) });
  process.stdout.write(`${listening.port}\n`);
} else {
  process.once('SIGTERM', () => void server.close({ spreadMs: 100 }).then(() => process.exit(0)));
  process.stdout.write(`${port}\n`);
  // The log is not what this node knew: it begins anew.
  await server.listen({ port, ...(host === undefined ? {} : { host }) }).catch((error: unknown) => {
    if (!(error instanceof StoreError)) throw error;
    console.error('the node ends:', error.message);
    process.exit(DEPOSED);
  });
}
