/** This server through its public API: `publish` of every event, and all their promises; calls and rooms as a program would have them. */
import * as v from 'valibot';
import { readFileSync } from 'node:fs';
import type { HttpApi } from '../../src/http/router.js';
import type { HttpResponse } from '../../src/server/api.js';
import { loadContract, loadHttp, loadLmdb, loadRooms, loadServer, loadWorkers } from '../dist.js';
import { AnswerTimes } from './answer-times.js';
import { ANSWER_BYTES, BODY_BYTES, event, topicName } from './names.js';
import { payloadOf, servePeer } from './peer.js';
import { processorTime } from './processor-time.js';

const { createServer } = await loadServer();
const { defineContract, roomsContract } = await loadContract();
const { rooms } = await loadRooms();
const unrated = {
  ...{ callsPerSecond: 0, publishesPerSecond: 0, joinsPerSecond: 0 },
  ...{ userCallsPerSecond: 0, userPublishesPerSecond: 0, userJoinsPerSecond: 0 },
  ...{ straysPerSecond: 0, userStraysPerSecond: 0 },
};

servePeer(async ({ bytes, store, secret, edges = 0 }) => {
  const contract = defineContract({
    use: [roomsContract()],
    topics: { 'bench:{id}': { events: { [event]: { schema: v.unknown(), publish: 'subscribers' } } } },
    calls: { echo: { input: v.unknown() } },
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
    store: store === 'memory' ? undefined : (await loadLmdb()).lmdbStore({ path: store }),
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
  const { port } = await server.listen({ port: 0 });
  const open = (): number => server.edges().filter(({ state }) => state === 'open').length;
  while (edges > 0 && open() < edges) await new Promise(setImmediate);
  const payload = payloadOf(bytes);
  return {
    port,
    publish: (topic) => server.publish(topicName(topic) as `bench:${string}`, event, payload),
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
