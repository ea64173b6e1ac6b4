import t from 'tap';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const API_KEY = 'backend-key-0123456789';

function start(t: Test, options = {}) {
  return startServer(t, { contract: roomContract, plugins: [rooms(), http()] as const, ...options });
}

/** One request; the answer with its body read. */
async function ask(
  base: string,
  method: string,
  path: string,
  { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
) {
  const response = await fetch(base + path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return {
    status: response.status,
    headers: response.headers,
    body: (isJson ? JSON.parse(text) : text) as Record<string, never>,
  };
}

t.test('a room is created, read, changed under its version and deleted', async (t) => {
  const { http: base } = await start(t);
  const made = await ask(base, 'POST', '/api/rooms/demo', { body: { description: 'first' } });
  t.equal(made.status, 201);
  t.match(made.body, { room: { id: 'demo', description: 'first', frameCount: 0 } });
  const etag = made.headers.get('etag') as string;
  t.equal((await ask(base, 'POST', '/api/rooms/demo')).status, 409);
  const read = await ask(base, 'GET', '/api/rooms/demo', { headers: { 'if-none-match': etag } });
  t.equal(read.status, 304);
  const patched = await ask(base, 'PATCH', '/api/rooms/demo', {
    body: { frameCount: 5 },
    headers: { 'if-match': etag },
  });
  t.match(patched, { status: 200, body: { room: { frameCount: 5 } } });
  const stale = await ask(base, 'PATCH', '/api/rooms/demo', { body: { frameCount: 6 }, headers: { 'if-match': etag } });
  t.match(stale, { status: 412, body: { name: 'conflict', code: 114 } });
  t.equal((await ask(base, 'DELETE', '/api/rooms/demo')).status, 204);
  t.match(await ask(base, 'GET', '/api/rooms/demo'), { status: 404, body: { name: 'room_not_found' } });
});

t.test('a lock over REST keeps writers out: 423 without its token, 409 with an old one', async (t) => {
  const { http: base } = await start(t);
  await ask(base, 'POST', '/api/rooms/demo');
  const path = '/api/rooms/demo/locks/trajectory:meta';
  const lease = await ask(base, 'POST', path, { body: { ttl: 5000, msg: 'Uploading' } });
  t.equal(lease.status, 201);
  const token = String(lease.body['token']);
  t.match(await ask(base, 'POST', path), { status: 423, body: { name: 'lock_held', details: { msg: 'Uploading' } } });
  t.match(await ask(base, 'PATCH', '/api/rooms/demo', { body: { frameCount: 1 } }), { status: 423 });
  const guarded = { body: { frameCount: 1 }, headers: { 'lock-token': token } };
  t.equal((await ask(base, 'PATCH', '/api/rooms/demo', guarded)).status, 200);
  t.equal((await ask(base, 'PATCH', path, { headers: { 'lock-token': token } })).status, 200, 'refreshed');
  t.equal((await ask(base, 'DELETE', path, { headers: { 'lock-token': token } })).status, 204);
  t.match(await ask(base, 'PATCH', '/api/rooms/demo', guarded), { status: 409, body: { name: 'lock_lost' } });
  t.match(await ask(base, 'DELETE', path, { headers: { 'lock-token': token } }), { status: 409 });
  t.equal((await ask(base, 'POST', path)).status, 201);
  t.equal((await ask(base, 'DELETE', `${path}?force=true`)).status, 204, 'whatever its token');
  t.equal((await ask(base, 'POST', path)).status, 201, 'and it is free');
});

t.test('the list is paged by cursor, filtered, and keeps hidden rooms out', async (t) => {
  const { http: base } = await start(t);
  for (const id of ['a', 'b', 'c', 'd']) await ask(base, 'POST', `/api/rooms/${id}`, { body: { hidden: id === 'c' } });
  const first = await ask(base, 'GET', '/api/rooms?limit=2');
  t.match(first.body, {
    rooms: [{ id: 'a' }, { id: 'b' }],
    next: 'b',
    positions: { 'overview:public': [String, Number] },
  });
  const second = await ask(base, 'GET', '/api/rooms?limit=2&cursor=b');
  t.match(second.body, { rooms: [{ id: 'd' }], next: null });
  t.match((await ask(base, 'GET', '/api/rooms?hidden=true')).body['rooms'], { length: 4 });
  t.match((await ask(base, 'GET', '/api/rooms?search=D')).body['rooms'], [{ id: 'd' }]);
  t.equal((await ask(base, 'GET', '/api/rooms?limit=x')).status, 400);
});

t.test('publishing answers how many it matched, once for each idempotency key', async (t) => {
  const s = await start(t);
  const a = await s.client();
  await a.call('join:room', { roomId: 'demo', create: true });
  const message = { topic: 'room:demo', event: 'chat:message:new', data: { text: 'hi' } };
  const headers = { 'idempotency-key': 'k1' };
  const first = await ask(s.http, 'POST', '/api/publish', { body: message, headers });
  t.match(first, { status: 200, body: { matched: 1, offset: Number, epoch: String } });
  t.same((await ask(s.http, 'POST', '/api/publish', { body: message, headers })).body, first.body);
  t.match(await ask(s.http, 'POST', '/api/publish', { body: { ...message, data: { text: 'other' } }, headers }), {
    status: 422,
    body: { name: 'key_reused' },
  });
  await a.barrier();
  t.equal(a.events('room:demo').filter(([, event]) => event === 'chat:message:new').length, 1);
  const batch = await ask(s.http, 'POST', '/api/publish', {
    body: { messages: [message, { ...message, event: 'nope' }, { ...message, topic: 'nowhere' }] },
  });
  t.match(batch.body, {
    results: [{ matched: 1 }, { error: { name: 'unknown_event' } }, { error: { name: 'unknown_topic' } }],
  });
  t.match((await ask(s.http, 'POST', '/api/publish', { body: { ...message, topic: 'room:empty' } })).body, {
    matched: 0,
  });
});

t.test('bad requests get their problem document and nothing breaks', async (t) => {
  const { http: base, log } = await start(t);
  const problem = async (status: number, method: string, path: string, options = {}): Promise<void> => {
    const answer = await ask(base, method, path, options);
    t.equal(answer.status, status, `${method} ${path} → ${status}`);
    t.match(answer.headers.get('content-type'), 'application/problem+json');
  };
  await problem(400, 'POST', '/api/rooms/x', { body: '{"a":' });
  await problem(415, 'POST', '/api/rooms/x', { body: 'a=b', headers: { 'content-type': 'text/plain' } });
  await problem(422, 'POST', '/api/rooms/x', { body: { frameCount: 'many' } });
  await problem(422, 'POST', '/api/rooms/x', { body: { unknown: 1 } });
  await problem(422, 'GET', '/api/rooms/a%20b');
  await problem(400, 'GET', '/api/rooms/%E0%A4%A');
  await problem(404, 'GET', '/api/nothing');
  await problem(404, 'PATCH', '/api/rooms/none', { body: {} });
  await problem(405, 'PUT', '/api/rooms/x', { body: {} });
  await problem(413, 'POST', '/api/publish', { body: `"${'x'.repeat(2 * 1024 * 1024)}"` });
  await problem(400, 'DELETE', '/api/rooms/x/locks/t');
  t.same(log.errors, []);
  t.equal((await ask(base, 'GET', '/health/live')).status, 200);
  t.equal((await ask(base, 'GET', '/health/ready')).status, 200);
});

t.test('with keys configured, HTTP needs one: 401 without, 403 for a user who publishes', async (t) => {
  const { http: base } = await start(t, { auth: { secret: SECRET, apiKeys: [API_KEY] } });
  const token = await tokenFor('ann', { name: 'Ann' });
  const user = { authorization: `Bearer ${token}` };
  const key = { authorization: `Bearer ${API_KEY}` };
  const denied = await ask(base, 'GET', '/api/rooms');
  t.equal(denied.status, 401);
  t.equal(denied.headers.get('www-authenticate'), 'Bearer');
  t.equal((await ask(base, 'GET', '/api/rooms', { headers: { authorization: 'Bearer nonsense' } })).status, 401);
  t.equal((await ask(base, 'GET', '/api/rooms', { headers: user })).status, 200);
  const message = { topic: 'room:demo', event: 'chat:message:new', data: { text: 'hi' } };
  t.equal((await ask(base, 'POST', '/api/publish', { body: message, headers: user })).status, 403);
  t.equal((await ask(base, 'POST', '/api/publish', { body: message, headers: key })).status, 200);
  await ask(base, 'POST', '/api/rooms/demo', { headers: key, body: { group: 'staff' } });
  t.equal((await ask(base, 'GET', '/api/rooms/demo', { headers: user })).status, 404, 'a private room does not show');
  t.equal((await ask(base, 'GET', '/api/rooms?group=staff', { headers: user })).status, 403);
  t.equal((await ask(base, 'PUT', '/api/default-room', { headers: user, body: { roomId: 'demo' } })).status, 404);
  t.equal((await ask(base, 'GET', '/health/live')).status, 200, 'health needs no key');
});
