/** What a person who watches the server asks: topics with their rates, a topic's events, all locks, the contract. */
import * as v from 'valibot';
import t from 'tap';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { ManualTime } from '../support/manual-time.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const contract = defineContract({
  use: [roomsContract()],
  topics: {
    'chat:{id}': { events: { message: { schema: v.unknown(), publish: 'subscribers' } } },
    'secret:{id}': { subscribe: 'by-call', events: { note: v.unknown() } },
  },
  calls: { hello: { input: v.unknown() } },
});
/** A large one, of which a small history holds but a few. */
const LARGE = 'x'.repeat(20_000);

async function start(t: Test, options = {}) {
  const time = new ManualTime();
  const s = await startServer(t, { contract, plugins: [rooms(), http()] as const, time, ...options });
  const ask = async (path: string, key?: string) => {
    const response = await fetch(
      s.http + path,
      key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } },
    );
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const topics = async (query = '') => (await ask(`/api/topics${query}`)).body;
  const publish = async (topic: string, event: string, count: number, data: unknown = 1) => {
    for (let n = 0; n < count; n++) await s.server.publish(topic as never, event as never, data as never);
  };
  return { ...s, time, ask, topics, publish };
}

t.test('topics are listed with their events a second over the last ten, the busiest of late first', async (t) => {
  const { time, topics, publish, client } = await start(t);
  await (await client()).subscribe('chat:quiet');
  await publish('chat:old', 'message', 3);
  time.advance(4_000);
  await publish('chat:busy', 'message', 20);
  time.advance(1_000);
  t.match(await topics(), {
    total: 3,
    topics: [
      { topic: 'chat:busy', head: 20, subscribers: 0, perSecond: 2 },
      { topic: 'chat:old', head: 3, perSecond: 0.3 },
      { topic: 'chat:quiet', head: 0, subscribers: 1, behind: 0, perSecond: 0, lastAt: null },
    ],
  });
  time.advance(5_000);
  await publish('chat:busy', 'message', 10);
  t.match(await topics('?search=BUSY'), { total: 1, topics: [{ perSecond: 3 }] });
  t.match(await topics('?search=old'), { topics: [{ head: 3, perSecond: 0 }] }, 'ten seconds later it is still');
  time.advance(5_001);
  t.match(await topics('?search=busy'), { topics: [{ head: 30, perSecond: 1 }] }, 'the first 20 are too long ago');
  const { topics: few } = await topics('?limit=1');
  t.match(few, [{ topic: 'chat:busy' }]);
  t.equal((few as unknown[]).length, 1);
});

t.test('the rate of a topic whose history reaches back less than ten seconds is that of what it holds', async (t) => {
  const { time, topics, publish } = await start(t, { limits: { historyBytes: 200_000 } });
  for (let second = 0; second < 30; second++) {
    await publish('chat:busy', 'message', 4, LARGE);
    time.advance(1_000);
  }
  const [line] = (await topics())['topics'] as [{ readonly perSecond: number }];
  t.ok(line.perSecond > 3 && line.perSecond < 6, `4 a second, told ${line.perSecond}`);
});

t.test('of many topics the ones with the newest events are listed', async (t) => {
  const { time, topics, publish } = await start(t);
  for (let n = 0; n < 40; n++) {
    await publish(`chat:${n}`, 'message', 1);
    time.advance(10);
  }
  const { total, topics: listed } = await topics('?limit=3');
  t.equal(total, 40);
  t.match(listed, [{ topic: 'chat:39' }, { topic: 'chat:38' }, { topic: 'chat:37' }]);
});

t.test('the events of a topic are read without being in it: nobody counts who reads', async (t) => {
  const { ask, publish, server, time } = await start(t, { ringBytes: 1 });
  await publish('secret:1', 'note', 3, { n: 1 });
  time.advance(1_000);
  const { matched, epoch } = await server.publish('secret:1', 'note', { bytes: new Uint8Array([1, 2, 3]) });
  t.equal(matched, 0);
  const newest = await ask('/api/topics/secret:1/events?limit=2');
  t.match(newest.body, {
    topic: 'secret:1',
    epoch,
    head: 4,
    events: [
      { offset: 3, event: 'note', data: { n: 1 }, from: null },
      { offset: 4, event: 'note', data: { bytes: { base64: 'AQID' } }, at: Number, from: null },
    ],
  });
  const { body } = await ask('/api/topics/secret:1/events?after=1&limit=2');
  t.match(body, { head: 4, events: [{ offset: 2 }, { offset: 3 }] });
  t.match((await ask('/api/topics/secret:1/events?after=4')).body, { head: 4, events: [] });
  t.match((await ask('/api/topics/chat:never/events')).body, { head: 0, events: [] });
  t.match((await ask('/api/topics/secret:1')).body, { subscriberCount: 0, publishes: [{ matched: 0 }] });
  t.match(await ask('/api/topics/nowhere/events'), { status: 404, body: { name: 'unknown_topic' } });
  t.equal((await ask('/api/topics/secret:1/events?after=x')).status, 400);
});

t.test('an answer with large events ends early, and the next question goes on behind it', async (t) => {
  const { ask, publish } = await start(t);
  await publish('chat:1', 'message', 40, LARGE);
  const seen: number[] = [];
  let questions = 0;
  for (let after = 0; after < 40; questions++) {
    const { body } = await ask(`/api/topics/chat:1/events?after=${after}`);
    const events = body['events'] as { readonly offset: number }[];
    seen.push(...events.map(({ offset }) => offset));
    after = seen.at(-1) ?? 40;
  }
  t.same(
    seen,
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
  t.ok(questions > 1, `${questions} questions`);
});

t.test('the locks of all rooms are listed with who waits for them, until their lease is over', async (t) => {
  const { ask, server, time, client } = await start(t);
  const api = server.plugins.rooms;
  for (const roomId of ['a', 'b']) await api.create(roomId);
  await api.locks.acquire({ roomId: 'a', msg: 'import', ttl: 5_000 });
  await api.locks.acquire({ roomId: 'b', target: 'cell:1', ttl: 9_000 });
  const waiter = await client();
  await waiter.call('join:room', { roomId: 'b' });
  waiter.call('lock:acquire', { roomId: 'b', target: 'cell:1', wait: 60_000 }).catch(() => undefined);
  await waiter.barrier();
  const now = time.wall();
  t.match((await ask('/api/locks')).body, {
    now,
    total: 2,
    locks: [
      { roomId: 'a', target: 'trajectory:meta', userName: 'server', msg: 'import', expiresAt: now + 5_000, waiting: 0 },
      { roomId: 'b', target: 'cell:1', msg: null, expiresAt: now + 9_000, waiting: 1 },
    ],
  });
  time.advance(5_000);
  const { body } = await ask('/api/locks');
  t.match(body, { locks: [{ roomId: 'b', waiting: 1 }] });
  t.equal((body['locks'] as unknown[]).length, 1);
});

t.test('the contract is told by its names', async (t) => {
  const { ask } = await start(t);
  const { body } = await ask('/api/contract');
  t.match(body['topics'], [
    { pattern: 'overview:{group}' },
    { pattern: 'room:{id}', subscribe: 'by-call' },
    { pattern: 'chat:{id}', subscribe: 'everyone', events: [{ event: 'message', publish: 'subscribers' }] },
    { pattern: 'secret:{id}', subscribe: 'by-call', events: [{ event: 'note', publish: 'server' }] },
  ]);
  t.ok((body['calls'] as string[]).includes('hello'));
});

t.test('only an API key may watch', async (t) => {
  const apiKey = 'an-api-key-of-the-backend';
  const { ask } = await start(t, { auth: { secret: SECRET, apiKeys: [apiKey] }, time: undefined });
  const user = await tokenFor('ada');
  for (const path of ['/api/topics', '/api/topics/chat:1/events', '/api/locks', '/api/contract']) {
    t.equal((await ask(path, user)).status, 403, path);
    t.equal((await ask(path)).status, 401, path);
    t.equal((await ask(path, apiKey)).status, 200, path);
  }
});
