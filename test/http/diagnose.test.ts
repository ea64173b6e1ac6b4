/** `diagnose: true` explains a publish that reached nobody; it neither makes what is asked about exist nor proposes it. */
import t from 'tap';
import * as v from 'valibot';
import { http } from '../../src/http/http.js';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { rooms } from '../../src/rooms/rooms.js';
import { startServer } from '../support/server.js';

const contract = defineContract({
  use: [roomsContract()],
  topics: {
    'room:{id}': { events: { note: v.unknown() } },
    'chat:{id}': { events: { message: v.unknown() } },
  },
});

interface Answer {
  readonly matched: number;
  readonly offset: number;
  readonly diagnosis: {
    readonly exists: boolean;
    readonly topics?: number;
    readonly samples?: readonly string[];
    readonly similar?: readonly string[];
  };
}

t.test('a diagnosed publish to a room that nobody made leaves it as it is, alone and in a batch', async (t) => {
  const s = await startServer(t, { contract, plugins: [rooms(), http()] as const });
  const ask = async (path: string, body?: unknown) => {
    const response = await fetch(s.http + path, {
      ...(body === undefined
        ? {}
        : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as never };
  };
  await s.server.plugins.rooms.create('lobby');
  const message = { topic: 'room:loby', event: 'note', data: 1, key: 'k', diagnose: true };
  const alone = (await ask('/api/publish', message)).body as Answer;
  const { results } = (await ask('/api/publish', { messages: [message, message] })).body as { results: Answer[] };
  for (const { matched, offset, diagnosis } of [alone, ...results]) {
    t.match({ matched, offset, exists: diagnosis.exists }, { matched: 0, offset: 0, exists: false });
    t.same(diagnosis.samples, ['room:lobby', 'overview:public']);
    t.same(diagnosis.similar, ['room:lobby']);
  }
  t.match((await ask('/api/topics/room:loby')).body, {
    exists: false,
    head: 0,
    samples: ['room:lobby', 'overview:public'],
  });
  t.notMatch(JSON.stringify((await ask('/api/topics')).body), 'loby');
  t.equal((await ask('/api/rooms/loby')).status, 404);
  t.match((await ask('/api/topics/room:loby/why?offset=1&user=ann')).body, { verdict: 'no_such_topic' });
  // Once it is there it is published to, with the key that is still good.
  await s.server.plugins.rooms.create('loby');
  t.match((await ask('/api/publish', message)).body, { offset: 2, diagnosis: { exists: true } });
});

t.test('a topic that takes any name is published to, and is not among the samples for itself', async (t) => {
  const s = await startServer(t, { contract, plugins: [rooms(), http()] as const });
  const publish = async (topic: string): Promise<Answer> => {
    const response = await fetch(`${s.http}/api/publish`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ topic, event: 'message', data: 1, diagnose: true }),
    });
    return (await response.json()) as Answer;
  };
  t.match(await publish('chat:lobby'), { offset: 1, diagnosis: { exists: true, topics: 0, samples: [], similar: [] } });
  const { diagnosis } = await publish('chat:loby');
  t.match(diagnosis, { topics: 1, samples: ['chat:lobby'], similar: ['chat:lobby'] });
});
