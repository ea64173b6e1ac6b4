/** What administrators ask over HTTP: who is here, how a topic stands, why it did not arrive. */
import t from 'tap';
import { defineContract } from '../../src/protocol/contract.js';
import * as v from 'valibot';
import { http } from '../../src/http/http.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET as secret, tokenFor } from '../support/tokens.js';

const apiKey = 'an-api-key-of-the-backend';
const contract = defineContract({
  topics: {
    'user:{id}': { subscribe: 'own', events: { '*': v.unknown() } },
    'chat:{id}': { events: { message: v.unknown() } },
  },
});

async function start(t: Test) {
  const s = await startServer(t, { contract, plugins: [http()], auth: { secret, apiKeys: [apiKey] } });
  const ask = async (path: string, { method = 'GET', key = apiKey, body }: Ask = {}) => {
    const headers = { authorization: `Bearer ${key}`, ...(body ? { 'content-type': 'application/json' } : {}) };
    const response = await fetch(`${s.http}${path}`, {
      method,
      headers,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return { ...s, ask, user: async (sub: string) => s.client({ token: await tokenFor(sub), instance: sub }) };
}
interface Ask {
  readonly method?: string;
  readonly key?: string;
  readonly body?: object;
}

t.test('connections of a user are counted as they are, and a kick ends all of them', async (t) => {
  const { ask, user } = await start(t);
  t.match((await ask('/api/users/ada')).body, { connections: 0, sessions: [] });
  const [first, second, other] = [await user('ada'), await user('ada'), await user('bob')];
  await first.subscribe('chat:1');
  t.match((await ask('/api/users/ada')).body, { connections: 2, sessions: [{ topics: ['chat:1'] }, {}] });
  t.match((await ask('/api/stats')).body, { connections: 3, sessions: 3, users: 2 });
  t.match((await ask(`/api/sessions/${other.welcome.session[0]}`)).body, { user: { id: 'bob' }, connected: true });
  t.match(await ask('/api/users/ada/sessions', { method: 'DELETE' }), { status: 200, body: { kicked: 2 } });
  t.match([await first.closed, await second.closed], [{ code: 4007 }, { code: 4007 }]);
  t.match((await ask('/api/users/ada')).body, { connections: 0, sessions: [] });
  t.match((await ask('/api/sessions/none')).status, 404);
});

t.test('what is sent to a user reaches that user alone, on every device, and says how many', async (t) => {
  const { ask, user } = await start(t);
  const [phone, laptop, other] = [await user('ada'), await user('ada'), await user('bob')];
  for (const device of [phone, laptop]) await device.subscribe('user:ada');
  await t.rejects(other.subscribe('user:ada'), { code: 106 });
  const body = { topic: 'user:ada', event: 'invited', data: { by: 'bob' } };
  t.match((await ask('/api/publish', { method: 'POST', body })).body, { matched: 2 });
  for (const device of [phone, laptop]) t.same(await device.event('user:ada', 'invited'), { by: 'bob' });
});

t.test('a publish that reached nobody explains itself when asked to', async (t) => {
  const { ask, user } = await start(t);
  await (await user('ada')).subscribe('chat:lobby');
  const body = { topic: 'chat:loby', event: 'message', data: 1, diagnose: true };
  const { body: answer } = await ask('/api/publish', { method: 'POST', body });
  t.match(answer, { matched: 0, diagnosis: { topic: 'chat:loby', subscriberCount: 0 } });
});

t.test('only an API key may ask', async (t) => {
  const { ask } = await start(t);
  const key = await tokenFor('ada');
  for (const path of ['/api/stats', '/api/topics/chat:1', '/api/users/ada']) {
    t.equal((await ask(path, { key })).status, 403, path);
    t.equal((await ask(path, { key: 'wrong' })).status, 401, path);
  }
  t.equal((await ask('/api/users/ada/sessions', { method: 'DELETE', key })).status, 403);
  t.equal((await ask('/api/topics/chat:1/why', {})).status, 400);
});
