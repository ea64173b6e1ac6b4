/** A backend puts its users into topics, asks a client, and kicks, over HTTP. */
import * as v from 'valibot';
import t from 'tap';
import { http } from '../../src/http/http.js';
import { defineContract } from '../../src/protocol/contract.js';
import { Op } from '../../src/protocol/frames.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET as secret, tokenFor } from '../support/tokens.js';

const apiKey = 'an-api-key-of-the-backend';
const contract = defineContract({
  topics: {
    'chat:{id}': { subscribe: 'by-call', events: { message: v.unknown() } },
    'news:{id}': { events: { '*': v.unknown() } },
  },
});

async function start(t: Test, more = {}) {
  const s = await startServer(t, { contract, plugins: [http()], auth: { secret, apiKeys: [apiKey] }, ...more });
  const ask = async (method: string, path: string, body?: unknown, key = apiKey) => {
    const headers = {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const given = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await fetch(`${s.http}${path}`, { method, headers, ...given });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return { ...s, ask, user: async (sub: string) => s.client({ token: await tokenFor(sub), instance: sub }) };
}

t.test('a session is put into a topic, also one kept to calls, and out of it; both may be repeated', async (t) => {
  const { ask, user, server } = await start(t);
  const ann = await user('ann');
  const [sid] = ann.welcome.session;
  for (const _ of [1, 2]) {
    t.match(await ask('PUT', `/api/sessions/${sid}/topics/chat%3A7`), {
      status: 200,
      body: { sid, topics: ['chat:7'] },
    });
  }
  await ann.frame(([op, topic]) => op === Op.SUBSCRIBED && topic === 'chat:7');
  t.equal((await server.publish('chat:7', 'message', 'hi')).matched, 1);
  for (const _ of [1, 2]) {
    t.match(await ask('DELETE', `/api/sessions/${sid}/topics/chat%3A7`), { status: 200, body: { topics: [] } });
  }
  await ann.frame(([op, topic]) => op === Op.REMOVED && topic === 'chat:7');
  t.match(await ask('PUT', `/api/sessions/${sid}/topics/nowhere`), { status: 404, body: { name: 'unknown_topic' } });
  t.equal((await ask('PUT', '/api/sessions/none/topics/chat%3A7')).status, 404);
  t.equal((await ask('PUT', `/api/sessions/${sid}/topics/chat%3A7`, undefined, await tokenFor('ann'))).status, 403);
});

t.test('all sessions that a user has now are put into a topic, and the answer lists them', async (t) => {
  const { ask, user } = await start(t);
  t.same((await ask('PUT', '/api/users/ann/topics/chat%3A7')).body, { userId: 'ann', topic: 'chat:7', sessions: [] });
  const [phone, laptop, bob] = [await user('ann'), await user('ann'), await user('bob')];
  const sids = [phone, laptop].map(({ welcome }) => welcome.session[0]).sort();
  const { body } = await ask('PUT', '/api/users/ann/topics/chat%3A7');
  const sessions = body['sessions'] as { sid: string; topics: string[] }[];
  t.same(sessions.map(({ sid }) => sid).sort(), sids);
  t.ok(sessions.every(({ topics }) => topics.includes('chat:7')));
  t.notOk(bob.frames.some(([op]) => op === Op.SUBSCRIBED));
  t.match(await ask('DELETE', '/api/users/ann/topics/chat%3A7'), {
    status: 200,
    body: { sessions: [{ topics: [] }, { topics: [] }] },
  });
});

t.test('past the limit of topics nobody is moved', async (t) => {
  const { ask, user } = await start(t, { limits: { topics: 1 } });
  const [phone, laptop] = [await user('ann'), await user('ann')];
  await laptop.subscribe('news:1');
  t.match(await ask('PUT', '/api/users/ann/topics/chat%3A7'), { status: 429, body: { name: 'limit_reached' } });
  t.match(await ask('GET', `/api/sessions/${phone.welcome.session[0]}`), { body: { topics: [] } });
});

t.test(
  'a client is asked and its answer waited for; its refusal, its silence and its absence are told apart',
  async (t) => {
    const { ask, user } = await start(t);
    const ann = await user('ann');
    const path = `/api/sessions/${ann.welcome.session[0]}/call`;
    const asked = ask('POST', path, { name: 'where', data: { n: 1 } });
    const [, id, name, data] = await ann.frame(([op]) => op === Op.CALL);
    t.same([name, data], ['where', { n: 1 }]);
    ann.send([Op.ACK, id, { at: new Uint8Array([1, 2]) }]);
    t.match(await asked, { status: 200, body: { result: { at: { base64: 'AQI=' } } } });
    const refused = ask('POST', path, { name: 'no' });
    const [, other] = await ann.frame(([op, , called]) => op === Op.CALL && called === 'no');
    ann.send([Op.NACK, other, 106, 'not for you']);
    t.match(await refused, { status: 403, body: { code: 106, detail: 'not for you' } });
    t.match(await ask('POST', path, { name: 'silence', timeoutMs: 1 }), { status: 504, body: { name: 'deadline' } });
    t.match(await ask('POST', path, { name: '' }), { status: 422 });
    ann.cut();
    await ann.closed;
    t.match(await ask('POST', path, { name: 'where' }), { status: 409, body: { name: 'disconnected' } });
    t.equal((await ask('POST', '/api/sessions/none/call', { name: 'where' })).status, 404);
  },
);

t.test('a user is kicked with a reason', async (t) => {
  const { ask, user } = await start(t);
  const ann = await user('ann');
  t.match(await ask('POST', '/api/users/ann/kick', { reason: 'the exam is over' }), {
    status: 200,
    body: { kicked: 1 },
  });
  t.same(await ann.closed, { code: 4007, reason: 'the exam is over' });
  t.match((await ask('POST', '/api/users/ann/kick')).body, { kicked: 0 });
});

t.test('users who are here are found by part of a name or an id, each once, whatever the case', async (t) => {
  const { ask, client } = await start(t);
  const user = async (sub: string, name: string) => client({ token: await tokenFor(sub, { name }), instance: name });
  for (const name of ['Ann Lee', 'Ann Lee (phone)']) await user('u-17', name);
  await user('annika', 'Somebody');
  await user('u-18', 'Bob');
  const found = async (query: string) => (await ask('GET', `/api/users${query}`)).body['users'];
  t.strictSame(await found('?search=ANN'), [
    { userId: 'u-17', name: 'Ann Lee', sessions: 2 },
    { userId: 'annika', name: 'Somebody', sessions: 1 },
  ]);
  t.match(await found('?search=u-1&limit=1'), [{ userId: 'u-17' }]);
  t.strictSame(await found('?search=nobody'), []);
  t.equal(((await found('')) as unknown[]).length, 3);
  t.equal((await ask('GET', '/api/users', undefined, await tokenFor('u-17'))).status, 403);
});

t.test('the client with which the server checks its own delivery is no user', async (t) => {
  const { ask, http: url } = await start(t);
  const checked = await fetch(`${url}/health/delivery`, { headers: { authorization: `Bearer ${apiKey}` } });
  t.equal(checked.status, 200);
  t.strictSame((await ask('GET', '/api/users')).body, { users: [] });
});
