/** Endpoints that a program adds to the server's port: who may call them, how often, and how they refuse. */
import { Validator } from '@seriousme/openapi-schema-validator';
import t from 'tap';
import * as v from 'valibot';
import { http } from '../../src/http/http.js';
import { HttpError, json } from '../../src/http/problem.js';
import { body, route, type Route } from '../../src/http/route.js';
import { RoomwireError } from '../../src/protocol/errors.js';
import { rooms } from '../../src/rooms/rooms.js';
import type { HttpCaller } from '../../src/server/api.js';
import { ManualTime } from '../support/manual-time.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET as secret, tokenFor } from '../support/tokens.js';

const apiKey = 'an-api-key-of-the-backend';
const Order = v.object({ reason: v.string() });
interface Part {
  readonly parts: readonly Part[];
}
const Part: v.GenericSchema<Part> = v.object({ parts: v.array(v.lazy(() => Part)) });
const routes: readonly Route[] = [
  {
    method: 'POST',
    path: '/orders/:id/close',
    handle: async ({ request, params, caller }) =>
      json(200, { id: params['id'], by: caller.user.id, ...body(request, Order) }),
  },
  { method: 'GET', path: '/open', open: true, perSecond: 1, handle: async () => json(200, 'hello') },
  { method: 'GET', path: '/limited', perSecond: 1, handle: async () => json(200, 'hello') },
  { method: 'GET', path: '/stats', handle: () => Promise.reject(new HttpError(404, 'no such stats')) },
  { method: 'GET', path: '/room', handle: () => Promise.reject(new RoomwireError('room_not_found', 'no such party')) },
  { method: 'GET', path: '/bug', handle: () => Promise.reject(new Error('a bug')) },
];

async function start(t: Test) {
  const time = new ManualTime();
  const s = await startServer(t, {
    plugins: [http({ page: false })] as const,
    auth: { secret, apiKeys: [apiKey] },
    time,
  });
  s.server.plugins.http.routes(routes);
  s.server.plugins.http.routes(
    routes.map((route) => ({ ...route, path: `/own${route.path}` })),
    { refused: ({ status, detail }, headers) => json(status, { error: detail }, headers) },
  );
  const ask = async (path: string, { method = 'GET', token, text, headers: more }: Ask = {}) => {
    const headers: Record<string, string> = { ...more };
    if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
    if (text !== undefined) headers['content-type'] = 'application/json';
    const response = await fetch(s.http + path, { method, headers, ...(text === undefined ? {} : { body: text }) });
    return { status: response.status, headers: response.headers, body: (await response.json()) as unknown };
  };
  return { ...s, time, ask };
}
interface Ask {
  readonly method?: string;
  readonly token?: string;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

t.test('an endpoint is given the path, the body as checked, and who asks', async (t) => {
  const { ask } = await start(t);
  const token = await tokenFor('ada');
  const answer = await ask('/orders/a%20b/close', { method: 'POST', token, text: '{"reason":"late"}' });
  t.match(answer, { status: 200, body: { id: 'a b', by: 'ada', reason: 'late' } });
  t.match(await ask('/orders/1/close', { method: 'POST', text: '{"reason":"late"}' }), { status: 401 });
  t.match(await ask('/orders/1/close', { token }), { status: 405 });
  t.match(await ask('/orders/1/close', { method: 'POST', token, text: '{' }), { status: 400 });
  t.match(await ask('/orders/1/close', { method: 'POST', token, text: '{}' }), { status: 422 });
  t.match(await ask('/open'), { status: 200, body: 'hello' }, 'an open one asks for nothing');
});

t.test('a path may have its methods from several calls, and roomwire’s own path more of them', async (t) => {
  const { server, ask } = await start(t);
  const token = await tokenFor('ada');
  const add = (method: Route['method'], path: string): void =>
    server.plugins.http.routes([{ method, path, handle: async () => json(200, `own ${method}`) }]);
  add('PUT', '/own/orders/:id/close');
  add('DELETE', '/health/ready');
  t.match(await ask('/own/orders/1/close', { method: 'PUT', token }), { status: 200, body: 'own PUT' });
  t.match(await ask('/health/ready', { method: 'DELETE', token }), { status: 200, body: 'own DELETE' });
  t.match(await ask('/health/ready'), { status: 200 }, 'its own are what they were');
  const refused = await ask('/own/orders/1/close', { token });
  t.match(refused, { status: 405, body: { error: 'this path takes POST, PUT' } }, 'in the form of who had it first');
  t.equal(refused.headers.get('allow'), 'POST, PUT');
  const both = await ask('/health/ready', { method: 'PATCH', token });
  t.match(both, { status: 405, headers: { get: Function }, body: { detail: 'this path takes GET, DELETE' } });
});

t.test('what an endpoint throws is answered, in the form the program chose', async (t) => {
  const { ask, log } = await start(t);
  const token = await tokenFor('ada');
  t.match(await ask('/stats', { token }), { status: 404, body: { detail: 'no such stats' } });
  t.match(await ask('/own/stats', { token }), { status: 404, body: { error: 'no such stats' } });
  t.match(await ask('/room', { token }), { status: 404, body: { name: 'room_not_found' } });
  t.match(await ask('/own/room', { token }), { status: 404, body: { error: 'no such party' } });
  const refused = await ask('/own/room', { token: 'forged' });
  t.match(refused, { status: 401, body: { error: String } });
  t.equal(refused.headers.get('www-authenticate'), 'Bearer');
  t.same(log.errors, []);
  t.match(await ask('/bug', { token }), { status: 500, body: { detail: 'internal server error' } });
  t.match(await ask('/own/bug', { token }), { status: 500, body: { error: 'internal server error' } });
  t.match(log.errors, [{ fields: { path: '/bug' } }, { fields: { path: '/own/bug' } }], 'a bug is in the log');
});

t.test(
  'a rate holds for each user by itself, for each address where nobody is known, and not for the backend',
  async (t) => {
    const { ask, time } = await start(t);
    const [ada, bob] = [await tokenFor('ada'), await tokenFor('bob')];
    const statuses = async (path: string, times: number, token?: string): Promise<number[]> => {
      const found: number[] = [];
      for (let i = 0; i < times; i++) found.push((await ask(path, token === undefined ? {} : { token })).status);
      return found;
    };
    t.same(await statuses('/limited', 3, ada), [200, 200, 429]);
    t.same(await statuses('/limited', 1, bob), [200]);
    t.same(await statuses('/limited', 5, apiKey), [200, 200, 200, 200, 200]);
    t.same(await statuses('/open', 3), [200, 200, 429]);
    const refused = await ask('/own/limited', { token: ada });
    t.equal(refused.status, 200, 'each endpoint has its own');
    t.equal((await ask('/open')).headers.get('retry-after'), '1');
    time.advance(1_000);
    t.same(await statuses('/limited', 2, ada), [200, 429]);
  },
);

t.test('an endpoint is in /openapi.json with the schemas that its requests are checked with', async (t) => {
  const { ask, server } = await start(t);
  const paths = async () => {
    const { body: document } = await ask('/openapi.json');
    const { valid, errors } = await new Validator().validate(document as Record<string, unknown>);
    t.ok(valid, JSON.stringify(errors ?? ''));
    return (document as { readonly paths: Readonly<Record<string, Record<string, object>>> }).paths;
  };
  const before = await paths();
  t.strictSame(before['/open']?.['get'], {
    security: [],
    responses: {
      default: { description: 'what the program answers' },
      429: {
        description: 'too much: try again later',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  });
  t.match(before['/orders/{id}/close']?.['post'], {
    security: undefined,
    parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
    responses: { 401: { content: { 'application/problem+json': {} } } },
  });
  t.same((before['/own/limited']?.['get'] as { responses: object[] }).responses[401], {
    description: 'no credentials, or wrong ones',
    content: { '*/*': {} },
  });

  server.plugins.http.routes([
    route({
      method: 'PUT',
      path: '/orders/:id',
      id: 'putOrder',
      summary: 'Changes an order.',
      for: 'admins',
      params: { id: v.pipe(v.string(), v.regex(/^o-\d+$/, 'is o- and a number')) },
      query: { urgent: v.optional(v.picklist(['true', 'false'])) },
      headers: { 'x-trace': v.string() },
      body: Order,
      answers: {
        201: { description: 'as it is now', schema: v.object({ got: v.unknown(), parts: v.optional(v.array(Part)) }) },
      },
      handle: async ({ params, query, headers, body: order }) =>
        json(201, { got: [params.id, query.urgent, headers['x-trace'], order.reason] }),
    }),
  ]);
  t.match((await paths())['/orders/{id}']?.['put'], {
    operationId: 'putOrder',
    summary: 'Changes an order.',
    parameters: [
      { name: 'id', in: 'path', required: true, schema: { type: 'string', pattern: '^o-\\d+$' } },
      { name: 'urgent', in: 'query', required: false, schema: { enum: ['true', 'false'] } },
      { name: 'x-trace', in: 'header', required: true, schema: { type: 'string' } },
    ],
    requestBody: {
      required: true,
      content: { 'application/json': { schema: { type: 'object', properties: { reason: { type: 'string' } } } } },
    },
    responses: {
      201: {
        description: 'as it is now',
        content: {
          'application/json': {
            schema: {
              properties: { got: {}, parts: { items: { properties: { parts: { items: { $ref: String } } } } } },
            },
          },
        },
      },
      403: {},
      422: {},
    },
  });
  const put = { method: 'PUT', token: apiKey, text: '{"reason":"late"}', headers: { 'x-trace': 'x' } };
  t.match(await ask('/orders/o-1?urgent=true', put), { status: 201, body: { got: ['o-1', 'true', 'x', 'late'] } });
  t.match(await ask('/orders/1', put), { status: 422 });
  t.match(await ask('/orders/o-1?urgent=very', put), { status: 400 });
  t.match(await ask('/orders/o-1', { ...put, headers: {} }), { status: 400 });
  t.match(await ask('/orders/o-1', { ...put, text: '{}' }), { status: 422 });
  t.match(await ask('/orders/o-1', { ...put, token: await tokenFor('ada') }), { status: 403 });
});

t.test('an endpoint that takes no credentials can do nothing with rooms in the name of who asks', async (t) => {
  for (const auth of [{ secret, apiKeys: [apiKey] }, {}]) {
    const s = await startServer(t, {
      contract: roomContract,
      plugins: [rooms(), http({ page: false })] as const,
      auth,
    });
    const api = s.server.plugins.rooms;
    await api.create('r', { description: 'kept' });
    await api.setDefault('r');
    const { token } = await api.locks.acquire({ roomId: 'r', target: 'x' });
    const asked: Readonly<Record<string, (roomId: string, caller: HttpCaller) => Promise<unknown>>> = {
      get: (roomId, caller) => api.get(roomId, caller),
      list: (_, caller) => api.list({ hidden: true }, caller),
      snapshot: (roomId, caller) => api.snapshot(roomId, caller),
      create: (roomId, caller) => api.create(roomId, {}, caller),
      update: (roomId, caller) => api.update(roomId, { description: 'changed' }, {}, caller),
      read: (roomId, caller) => api.read(roomId, () => 'read', caller),
      write: (roomId, caller) => api.write(roomId, ({ change }) => change({ description: 'changed' }), {}, caller),
      delete: (roomId, caller) => api.delete(roomId, {}, caller),
      defaultRoom: (_, caller) => api.defaultRoom(caller),
      setDefault: (_, caller) => api.setDefault(null, caller),
      members: (roomId, caller) => api.members(roomId, 0, caller),
      kick: (roomId, caller) => api.kick(roomId, 'ada', caller),
      locks: (roomId, caller) => api.locks.list(roomId, caller),
      acquire: (roomId, caller) => api.locks.acquire({ roomId }, caller),
      refresh: (roomId, caller) => api.locks.refresh({ roomId, target: 'x', token }, caller),
      release: (roomId, caller) => api.locks.release({ roomId, target: 'x', token }, caller),
      force: (roomId, caller) => api.locks.forceRelease(roomId, 'x', caller),
    };
    s.server.plugins.http.routes([
      {
        method: 'POST',
        path: '/:what/:room',
        open: true,
        handle: async ({ params, caller }) =>
          json(200, await asked[params['what'] as string]?.(params['room'] as string, caller)),
      },
    ]);
    // Good credentials change nothing: they are not looked at.
    for (const headers of [undefined, { authorization: `Bearer ${apiKey}` }]) {
      for (const [what, room] of Object.keys(asked).flatMap((name) => [
        [name, 'r'] as const,
        [name, 'absent'] as const,
      ])) {
        const answer = await fetch(`${s.http}/${what}/${room}`, { method: 'POST', ...(headers && { headers }) });
        t.match([answer.status, await answer.json()], [401, { name: 'unauthenticated' }], `${what} ${room}`);
      }
    }
    t.match(await api.get('r'), { description: 'kept' });
    t.equal(await api.get('absent'), undefined);
    t.equal(await api.defaultRoom(), 'r');
    t.same((await api.locks.list('r')).length, 1);
    t.same(s.log.errors, []);
  }
});
