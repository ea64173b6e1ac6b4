/** A page of an allowed origin can read every answer, above all refusals: a browser hides one without these headers. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const ORIGIN = 'https://app.example';
const API_KEY = 'backend-key-0123456789';

async function start(t: Test, options = {}) {
  const s = await startServer(t, {
    contract: roomContract,
    plugins: [rooms(), http({ origins: [ORIGIN] })] as const,
    auth: { secret: SECRET, apiKeys: [API_KEY] },
    ...options,
  });
  const own = { open: true, method: 'GET' } as const;
  s.server.plugins.http.routes([
    {
      ...own,
      path: '/fails',
      handle: () => {
        throw new Error('a secret of the program');
      },
    },
    { ...own, path: '/bad-header', handle: async () => ({ status: 200, headers: { 'x-a': 'a\r\nb: c' }, body: '' }) },
    { ...own, path: '/bad-status', handle: async () => ({ status: 42, headers: {}, body: '' }) },
    {
      ...own,
      path: '/slow',
      perSecond: 0.01,
      handle: async () => ({ status: 200, headers: { Vary: 'Accept' }, body: '' }),
    },
  ]);
  return s;
}

t.test('answers of every status can be read by a page of an allowed origin, and by no other', async (t) => {
  const s = await start(t);
  s.server.plugins.rooms.list = () => Promise.reject(new Error('a secret of the store'));
  const user = { authorization: `Bearer ${await tokenFor('ann')}` };
  const key = { authorization: `Bearer ${API_KEY}` };
  const json = { ...key, 'content-type': 'application/json' };
  await fetch(`${s.http}/api/rooms/r`, { method: 'POST', headers: key });
  const etag = (await fetch(`${s.http}/api/rooms/r`, { headers: key })).headers.get('etag') ?? '';
  await fetch(`${s.http}/slow`);
  await fetch(`${s.http}/slow`);
  const requests: readonly [
    status: number,
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string,
  ][] = [
    [200, 'GET', '/api/rooms/r', key],
    [304, 'GET', '/api/rooms/r', { ...key, 'if-none-match': etag }],
    [400, 'POST', '/api/rooms/x', json, '{'],
    [401, 'GET', '/api/rooms/r', {}],
    [403, 'POST', '/api/publish', { ...json, ...user }, '{"topic":"room:r","event":"frame_update","data":{"frame":1}}'],
    [404, 'GET', '/api/rooms/none', key],
    [404, 'GET', '/api/nothing', key],
    [405, 'PUT', '/api/rooms/r', json, '{}'],
    [409, 'POST', '/api/rooms/r', key],
    [412, 'DELETE', '/api/rooms/r', { ...key, 'if-match': '"1"' }],
    [413, 'POST', '/api/publish', json, `"${'x'.repeat(2 * 1024 * 1024)}"`],
    [415, 'POST', '/api/rooms/x', { ...key, 'content-type': 'text/plain' }, 'x'],
    [422, 'GET', '/api/rooms/a%20b', key],
    [429, 'GET', '/slow', {}],
    [500, 'GET', '/api/rooms', key],
    [500, 'GET', '/fails', {}],
    [500, 'GET', '/bad-header', {}],
    [500, 'GET', '/bad-status', {}],
  ];
  for (const [status, method, path, headers, body] of requests) {
    const ask = (origin: string) =>
      fetch(s.http + path, { method, headers: { ...headers, origin }, ...(body === undefined ? {} : { body }) });
    const what = `${status} of ${method} ${path}`;
    const answer = await ask(ORIGIN);
    const text = await answer.text();
    t.equal(answer.status, status, what);
    t.equal(answer.headers.get('access-control-allow-origin'), ORIGIN, what);
    t.match(answer.headers.get('access-control-expose-headers'), /etag.*location.*retry-after/, what);
    t.match(answer.headers.get('vary'), /origin$/, what);
    if (status >= 400) {
      t.equal(answer.headers.get('content-type'), 'application/problem+json', what);
      t.match(JSON.parse(text), { status, type: String, title: String, detail: String }, what);
      t.notMatch(text, /secret/, what);
    }
    const other = await ask('https://attacker.example');
    await other.arrayBuffer();
    t.equal(other.headers.get('access-control-allow-origin'), null, `${what} for another origin`);
    t.match(other.headers.get('vary'), /origin$/, 'which no cache may mix up');
  }
  const preflight = await fetch(`${s.http}/api/rooms/r`, { method: 'OPTIONS', headers: { origin: ORIGIN } });
  t.match([preflight.status, preflight.headers.get('access-control-allow-origin')], [204, ORIGIN]);
  t.match(preflight.headers.get('access-control-allow-headers'), /idempotency-key/);
});

t.test('429 for an address that asks too often is a problem document that such a page can read', async (t) => {
  const s = await start(t, { admission: { requestsPerSecondPerAddress: 1 } });
  let answer: Response;
  do answer = await fetch(`${s.http}/api/rooms/r`, { headers: { origin: ORIGIN } });
  while (answer.status !== 429);
  t.equal(answer.headers.get('access-control-allow-origin'), ORIGIN);
  t.equal(answer.headers.get('content-type'), 'application/problem+json');
  t.ok(Number(answer.headers.get('retry-after')) > 0);
  t.match(await answer.json(), { name: 'too_many', status: 429, details: { retryAfterMs: Number } });
});
