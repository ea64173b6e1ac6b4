/** `@roomwire/server/testing`: a server in a line, with people, time and faults on demand. */
import t, { type Test } from 'tap';
import * as v from 'valibot';
import { connect, type Client } from '../../src/client/node.js';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { rooms } from '../../src/rooms/rooms.js';
import { Fault, readStep, startTestServer } from '../../src/testing/index.js';
import { until } from '../support/until.js';

const contract = defineContract({
  use: [roomsContract()],
  topics: { news: { events: { headline: v.object({ text: v.string() }) } } },
  calls: { greet: { input: v.object({}) } },
});

async function start(t: Test) {
  const test = await startTestServer({
    contract,
    plugins: [rooms()] as const,
    setup: (server) => server.handle('greet', ({ session }) => `hello ${session.user.name}`),
  });
  t.teardown(() => test.close());
  return {
    test,
    async client(user: string): Promise<Client> {
      const client = connect(test.url.replace('http', 'ws'), {
        token: await test.token(user, { name: user.toUpperCase() }),
        instance: user,
        random: () => 0,
        onError: () => undefined,
      });
      t.teardown(() => client.close());
      await until(() => client.state.get().status === 'live');
      return client;
    },
  };
}

t.test('people are made up, and their clients call what the test registered', async (t) => {
  const { test, client } = await start(t);
  t.equal(await (await client('ann')).call('greet', {}), 'hello ANN');
  t.match(test.url, /^http:\/\/127\.0\.0\.1:\d+$/);
});

t.test('cut: one is cut, comes back, and missed nothing', async (t) => {
  const { test, client } = await start(t);
  const [ann, bob] = [await client('ann'), await client('bob')];
  const heard: string[] = [];
  const news = ann.subscribe('news');
  news.on('headline', (data) => heard.push((data as { text: string }).text));
  await news.ready;
  let isCut = false;
  ann.state.subscribe(({ status }) => (isCut ||= status === 'offline'));
  await test.fault({ do: 'cut', user: 'ann' });
  await test.server.publish('news', 'headline', { text: 'while away' });
  await until(() => heard.length === 1);
  t.ok(isCut);
  t.equal(bob.state.get().status, 'live');
});

t.test('stall: nothing gets through, in either way, and then all of it does', async (t) => {
  const { test, client } = await start(t);
  const ann = await client('ann');
  const bob = await client('bob');
  const [ofAnn, ofBob]: [string[], string[]] = [[], []];
  for (const [who, heard] of [
    [ann, ofAnn],
    [bob, ofBob],
  ] as const) {
    const news = who.subscribe('news');
    news.on('headline', (data) => heard.push((data as { text: string }).text));
    await news.ready;
  }
  await test.fault({ do: 'stall', user: 'ann' });
  for (let i = 0; i < 3; i++) await test.server.publish('news', 'headline', { text: String(i) });
  const asked = ann.call('greet', {});
  await until(() => ofBob.length === 3);
  t.equal(await bob.call('greet', {}), 'hello BOB');
  t.same(ofAnn, []);
  await test.fault({ do: 'resume', user: 'ann' });
  t.equal(await asked, 'hello ANN');
  await until(() => ofAnn.length === 3);
  t.same(ofAnn, ['0', '1', '2']);
});

t.test('reset: subscribers are told that they missed something', async (t) => {
  const { test, client } = await start(t);
  const ann = await client('ann');
  const news = ann.subscribe('news');
  const resets: string[] = [];
  news.on('reset', ({ reason }) => resets.push(reason));
  await news.ready;
  await test.fault({ do: 'reset', topic: 'news' });
  await until(() => resets.length === 1);
  t.same(resets, ['overrun']);
});

t.test('kick: a session ends for good', async (t) => {
  const { test, client } = await start(t);
  const ann = await client('ann');
  await test.fault({ do: 'kick', user: 'ann', reason: 'go home' });
  await until(() => ann.state.get().status === 'refused');
  t.match(ann.state.get().reason, { name: 'kicked', message: 'go home' });
});

t.test('restart: on the same port, with the same handlers and nothing in memory', async (t) => {
  const { test, client } = await start(t);
  const ann = await client('ann');
  const room = ann.room('a');
  await room.join({ create: true });
  const { url } = test;
  await test.fault({ do: 'restart' });
  await until(() => ann.state.get().status === 'live' && room.state.get().status !== 'joined');
  t.equal(test.url, url);
  t.equal(await ann.call('greet', {}), 'hello ANN');
});

t.test('advance: what was to happen until then happens, such as the end of a grace', async (t) => {
  const { test, client } = await start(t);
  const [ann, bob] = [await client('ann'), await client('bob')];
  await ann.room('a').join({ create: true });
  await bob.room('a').join();
  const state = bob.room('a').state;
  t.equal(state.get().members.length, 2);
  // As a machine that is switched off.
  await test.fault({ do: 'stall', user: 'ann' });
  await test.fault({ do: 'advance', ms: 60_000 });
  await until(() => state.get().members.length === 1);
  t.equal(state.get().members[0]?.userId, 'bob');
});

t.test('a step that is none names the field', async (t) => {
  const { test } = await start(t);
  const refusal = (line: string): string => {
    try {
      return JSON.stringify(readStep(Fault, line));
    } catch (error) {
      return `${(error as Error).name}: ${(error as Error).message}`;
    }
  };
  t.equal(refusal('{"do":"cut","user":"ann"}'), '{"do":"cut","user":"ann"}');
  t.match(refusal('cut'), /^bad_request: a step is a JSON object/);
  t.match(refusal('{"do":"burn"}'), /^invalid_data: do: /);
  t.match(refusal('{"do":"advance","ms":-1}'), /^invalid_data: ms: /);
  t.match(refusal('{"do":"cut","users":"ann"}'), /^invalid_data: users: /);
  await t.rejects(test.fault({ do: 'reset' } as Fault), { name: 'invalid_data', message: /^topic: / });
});
