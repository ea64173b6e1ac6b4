/** This server through its public API: `publish` of every event, and all their promises; calls and rooms as a program would have them. */
import * as v from 'valibot';
import { readFileSync } from 'node:fs';
import type { HttpApi } from '../../src/http/router.js';
import type { HttpResponse } from '../../src/server/api.js';
import type { Journal } from '../../src/journal/journal.js';
import type { Cluster } from '../../src/server/options.js';
import type { Store } from '../../src/store/store.js';
import {
  loadCluster,
  loadContract,
  loadHttp,
  loadJournal,
  loadLmdb,
  loadReplicated,
  loadRooms,
  loadServer,
  loadWorkers,
} from '../dist.js';
import { AnswerTimes } from './answer-times.js';
import { ANSWER_BYTES, BODY_BYTES, event, topicName } from './names.js';
import { payloadOf, servePeer, type PeerOptions } from './peer.js';
import { processorTime } from './processor-time.js';

const { createServer } = await loadServer();
const { defineContract, roomsContract } = await loadContract();
const { rooms } = await loadRooms();
const unrated = {
  ...{ callsPerSecond: 0, publishesPerSecond: 0, joinsPerSecond: 0 },
  ...{ userCallsPerSecond: 0, userPublishesPerSecond: 0, userJoinsPerSecond: 0 },
  ...{ straysPerSecond: 0, userStraysPerSecond: 0 },
};

/** At a stop, as `roomwire serve` has it. */
const SPREAD_MS = 2_000;

async function storeOf({ store, log }: PeerOptions): Promise<Store | undefined> {
  if (store === 'memory') return undefined;
  const local = (await loadLmdb()).lmdbStore({ path: store });
  if (log === undefined || log.node !== undefined) return local;
  const [{ replicatedStore }, { journalAt }] = [await loadReplicated(), await loadJournal()];
  return replicatedStore(local, () => journalAt(log.url, { name: log.name }), { node: 'bench' });
}

async function clusterOf({ log }: PeerOptions): Promise<Cluster | undefined> {
  if (log?.node === undefined) return undefined;
  const { name, linkPort } = log.node;
  const [{ cluster }, { journalAt }] = [await loadCluster(), await loadJournal()];
  const journal = (): Journal => journalAt(log.url, { name: log.name });
  return cluster({ journal, node: name, advertise: `127.0.0.1:${linkPort}`, secret: 'bench'.repeat(8) });
}

servePeer(async (options) => {
  const { bytes, secret, edges = 0, log } = options;
  const contract = defineContract({
    use: [roomsContract()],
    topics: { 'bench:{id}': { events: { [event]: { schema: v.unknown(), publish: 'subscribers' } } } },
    calls: { echo: { input: v.unknown() }, publish: { input: v.unknown() } },
  });
  // Of attacks alone: elsewhere even an engine's callback that is only handed on would be in the figures.
  const answers = secret === undefined ? undefined : await AnswerTimes.load();
  const server = createServer({
    contract,
    plugins: edges === 0 ? [rooms()] : [rooms(), (await loadHttp()).http({ page: false })],
    bodyBytes: BODY_BYTES,
    admission: secret === undefined ? { requestsPerSecondPerAddress: 0 } : {},
    engine: 'auto',
    transport: edges === 0 ? answers?.transport : (await loadWorkers()).workers({ count: edges }),
    store: await storeOf(options),
    cluster: await clusterOf(options),
    // The clients only count: they would not answer a PING.
    pingEvery: 3_600_000,
    // Rates would measure themselves.
    // The bystander's calls are not to run into them.
    limits:
      secret === undefined
        ? { topics: 200_000, ...unrated }
        : { callsPerSecond: 0, userCallsPerSecond: 0, entriesPerSecond: 0 },
    auth: { secret },
  });
  server.handle('echo', ({ input }) => input);
  if ('http' in server.plugins) serveLarge(server.plugins.http);
  // Its answer is always the same: that the event is in the log.
  server.handle('publish', async ({ input }) => {
    await server.publish(topicName(1) as `bench:${string}`, event, input);
    return null;
  });
  const node = log?.node;
  const listening = server.listen({ port: node?.port ?? 0 });
  if (node !== undefined)
    process.once('SIGTERM', () => void server.close({ spreadMs: SPREAD_MS }).then(() => process.exit()));
  // A standby listens until it is the hub.
  const { port } = node?.isFirst === false ? node : await listening;
  const open = (): number => server.edges().filter(({ state }) => state === 'open').length;
  while (edges > 0 && open() < edges) await new Promise(setImmediate);
  const payload = payloadOf(bytes);
  return {
    port,
    // All nodes are told to, and the hub does.
    publish: (topic) =>
      node !== undefined && server.role !== 'hub'
        ? undefined
        : server.publish(topicName(topic) as `bench:${string}`, event, payload),
    ...(edges === 0 ? {} : { edgeCpu: childrenCpu }),
    ...(answers === undefined ? {} : { answered: () => answers.take() }),
  };
});

/** A body that is taken, and an answer that is large. */
function serveLarge(http: HttpApi): void {
  const answer = Buffer.alloc(ANSWER_BYTES, 'a');
  const answered = (body: Uint8Array | string): Promise<HttpResponse> =>
    Promise.resolve({ status: 200, headers: {}, body });
  http.routes([
    { method: 'POST', path: '/bench/body', open: true, handle: ({ request }) => answered(`${request.body.length}`) },
    { method: 'GET', path: '/bench/answer', open: true, handle: () => answered(answer) },
  ]);
}

/** Of the processes that this one has started, microseconds. */
function childrenCpu(): number {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
  return children.reduce((sum, pid) => sum + processorTime(pid), 0);
}
