/**
 * Half characters and data too deep for a frame, wherever they may come in: each is refused there, with its path, or
 * mended where it is a name for people. Nobody is locked out by it, and none of it is an error of the server's.
 */
import fc from 'fast-check';
import t from 'tap';
import * as v from 'valibot';
import { readSettings } from '../../src/cli/settings.js';
import { hooks } from '../../src/hooks/hooks.js';
import { http } from '../../src/http/http.js';
import { body, type Route } from '../../src/http/route.js';
import { json as answer } from '../../src/http/problem.js';
import { closes, errors } from '../../src/protocol/codes.js';
import { defineContract } from '../../src/protocol/contract.js';
import { Op } from '../../src/protocol/frames.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { shortened } from '../../src/protocol/text.js';
import { rooms } from '../../src/rooms/rooms.js';
import type { User } from '../../src/server/api.js';
import { HOOKS_SECRET, startBackend, type Answering } from '../support/backend.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const HALF = '\ud83d';
const KEY = 'an-api-key-of-the-backend';

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}
/** As JSON: `JSON.stringify` itself does not get that deep. */
const ABYSS = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;

const contract = defineContract({
  use: [roomsContract({ metadata: { extra: v.unknown() } })],
  topics: { 'chat:{id}': { events: { message: { schema: v.unknown(), publish: 'subscribers' } } } },
  calls: { ask: { input: v.unknown() } },
});
const own: readonly Route[] = [
  {
    method: 'POST',
    path: '/own',
    handle: async ({ request }) => answer(200, body(request, v.object({ note: v.unknown() }))),
  },
];

async function start(t: Test, options = {}) {
  const plugins = [rooms({ metadata: { extra: v.unknown() }, defaults: { extra: null } }), http()] as const;
  const s = await startServer(t, { contract, plugins, auth: { secret: SECRET, apiKeys: [KEY] }, ...options });
  s.server.plugins.http.routes(own);
  const ask = async (method: string, path: string, text: string, headers: Record<string, string> = {}) => {
    const all = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...headers };
    const response = await fetch(s.http + path, { method, headers: all, ...(method === 'GET' ? {} : { body: text }) });
    const type = response.headers.get('content-type') ?? '';
    return { status: response.status, type, body: (await response.json()) as Record<string, unknown> };
  };
  return { ...s, ask };
}

t.test('a body with half a character, or too deep, is refused with the path of it, by every endpoint', async (t) => {
  const s = await start(t);
  await s.ask('POST', '/api/rooms/demo', '{}');
  const lease = await s.ask('POST', '/api/rooms/demo/locks/x', '{}');
  const token = String(lease.body['token']);
  const half = JSON.stringify(HALF);
  const deep = JSON.stringify(nested(30));
  const table: [method: string, path: string, body: string, where: RegExp][] = [
    ['POST', '/api/rooms/new', `{"description":${half}}`, /^description/],
    ['POST', '/api/rooms/new', `{"group":${half}}`, /^group/],
    ['POST', '/api/rooms/new', `{"extra":{"a":[${half}]}}`, /^extra\.a\[0\]/],
    ['POST', '/api/rooms/new', `{"extra":{${half}:1}}`, /^extra/],
    ['POST', '/api/rooms/new', `{"extra":${deep}}`, /^extra/],
    ['POST', '/api/rooms/new', `{"extra":${ABYSS}}`, /^extra/],
    ['POST', '/api/rooms/new', `{${half}:1}`, /^\["\\ud83d"\]/],
    ['PATCH', '/api/rooms/demo', `{"description":"a${HALF.length === 1 ? '\\ud83d' : ''}"}`, /^description/],
    ['PATCH', '/api/rooms/demo', `{"extra":${deep}}`, /^extra/],
    ['PUT', '/api/default-room', `{"roomId":${half}}`, /^roomId/],
    ['POST', '/api/rooms/demo/locks/y', `{"msg":${half}}`, /^msg/],
    ['PATCH', '/api/rooms/demo/locks/x', `{"token":${token},"msg":${half}}`, /^msg/],
    ['POST', '/api/publish', `{"topic":"chat:${'\\ud83d'}","event":"message","data":1}`, /^topic/],
    ['POST', '/api/publish', `{"topic":"chat:1","event":${half},"data":1}`, /^event/],
    ['POST', '/api/publish', `{"topic":"chat:1","event":"message","data":{"a":${half}}}`, /^data\.a/],
    ['POST', '/api/publish', `{"topic":"chat:1","event":"message","data":1,"key":${half}}`, /^key/],
    ['POST', '/api/publish', `{"topic":"chat:1","event":"message","data":${JSON.stringify(nested(31))}}`, /^data/],
    ['POST', '/api/publish', `{"topic":"chat:1","event":"message","data":${ABYSS}}`, /^data/],
    ['POST', '/own', `{"note":${half}}`, /^note/],
    ['POST', '/own', `{"note":${ABYSS}}`, /^note/],
  ];
  for (const [method, path, text, where] of table) {
    const refused = await s.ask(method, path, text);
    const what = `${method} ${path} ${text.slice(0, 60)}`;
    t.match(refused, { status: 422, type: /problem/, body: { name: 'invalid_data', detail: where } }, what);
    const { issues } = (refused.body['details'] ?? {}) as { issues?: { path: string }[] };
    t.ok(issues?.[0] !== undefined, `${what}: with its issues`);
  }
  // As deep as can be, in each of the ways a body is.
  t.match(await s.ask('PATCH', '/api/rooms/demo', `{"extra":${JSON.stringify(nested(29))}}`), { status: 200 });
  const data = JSON.stringify(nested(30));
  t.match(await s.ask('POST', '/api/publish', `{"topic":"chat:1","event":"message","data":${data}}`), { status: 200 });
  const items = [data, half, ABYSS, '"😀"'].map((each) => `{"topic":"chat:1","event":"message","data":${each}}`);
  const batch = await s.ask('POST', '/api/publish', `{"messages":[${items.join()}]}`);
  const bad = { error: { name: 'invalid_data', detail: /^data/ } };
  t.match(
    batch,
    { status: 200, body: { results: [{ offset: 2 }, bad, bad, { offset: 3 }] } },
    'each has its own result',
  );
  t.same(s.log.errors, []);
});

t.test(
  'a token with half a character lets its owner in as far as it can, and is refused by name where it cannot',
  async (t) => {
    const s = await start(t);
    const long = `${'x'.repeat(199)}😀`;
    const enter = async (sub: string, claims: Readonly<Record<string, unknown>>) => {
      const token = await tokenFor(sub, claims);
      const client = s.connect();
      await client.open();
      client.send([Op.HELLO, 1, { instance: 'test', token }]);
      const welcome = client.frame(([op]) => op === Op.WELCOME).catch(() => undefined);
      const first = (await welcome) ?? (await client.closed);
      const rest = await fetch(`${s.http}/api/rooms`, { headers: { authorization: `Bearer ${token}` } });
      await rest.text();
      return { first, status: rest.status };
    };
    const table: [claims: Readonly<Record<string, unknown>>, user: object][] = [
      [{ name: long }, { name: 'x'.repeat(199) }],
      [{ name: `${'x'.repeat(198)}😀` }, { name: `${'x'.repeat(198)}😀` }],
      [{ name: `Ann ${HALF}` }, { name: 'Ann \ufffd' }],
      [{ groups: [HALF, 'ok'] }, { groups: ['ok'] }],
      [
        { roles: [HALF], rooms: [`room:${HALF}`] },
        { roles: [], rooms: [] },
      ],
      [{ deep: nested(100) }, {}],
    ];
    for (const [claims, user] of table) {
      const { first, status } = await enter('ann', claims);
      t.match(first, [Op.WELCOME, 1, { user: { id: 'ann', ...user } }], JSON.stringify(claims).slice(0, 60));
      t.equal(status, 200);
    }
    const { first, status } = await enter(`ann${HALF}`, {});
    t.match(first, { code: closes.unauthenticated, reason: /user\.id has a lone surrogate/ });
    t.equal(status, 401);
    const ann = await s.client({ token: await tokenFor('bea') });
    t.match(await ann.request(Op.AUTH, await tokenFor('bea', { name: long })), { expiresAt: Number });
    await t.rejects(ann.request(Op.AUTH, await tokenFor(`bea${HALF}`)), { code: errors.unauthenticated });
    t.same(s.log.errors, []);
  },
);

t.test(
  "whatever a program's `user` makes of the claims, a client is refused by name and not by a failure",
  async (t) => {
    const table: Readonly<Record<string, unknown>> = {
      half: HALF,
      list: ['ok', HALF],
      key: { [HALF]: 1 },
      deep: nested(31),
      abyss: JSON.parse(ABYSS),
      date: new Date(),
      big: 1n,
    };
    const user = ({ sub = '' }): User => ({ id: sub, name: 'Ann', extra: table[sub] }) as User;
    const s = await start(t, { auth: { secret: SECRET, user } });
    for (const sub of Object.keys(table)) {
      const token = await tokenFor(sub);
      const client = s.connect();
      await client.open();
      client.send([Op.HELLO, 1, { instance: 'test', token }]);
      t.match(await client.closed, { code: closes.unauthenticated, reason: /user\.extra/ }, sub);
      const rest = await fetch(`${s.http}/api/rooms`, { headers: { authorization: `Bearer ${token}` } });
      t.match([rest.status, await rest.json()], [401, { detail: /user\.extra/ }], sub);
    }
    t.same(s.log.errors, []);
  },
);

t.test(
  'a backend that answers half a character, or too deep, is wrong: nobody is let in by it, and nothing fails',
  async (t) => {
    let next: unknown;
    const answering: Answering = ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(String(next));
      return undefined;
    };
    const backend = await startBackend(t, answering);
    const hook = hooks({ url: backend.url, secret: HOOKS_SECRET, events: ['connect'], calls: ['ask'], retries: 0 });
    const s = await startServer(t, { contract, plugins: [rooms(), hook] as const, auth: { secret: SECRET } });
    const half = JSON.stringify(HALF);
    for (const user of [
      `{"name":${half}}`,
      `{"groups":[${half}]}`,
      `{"x":${JSON.stringify(nested(30))}}`,
      `{"x":${JSON.stringify(nested(40))}}`,
      `{"x":${ABYSS}}`,
    ]) {
      next = `{"allow":true,"user":${user}}`;
      const client = s.connect();
      await client.open();
      client.send([Op.HELLO, 1, { instance: 'test', token: await tokenFor('ann') }]);
      t.match(await client.closed, { code: closes.overloaded }, `come again: ${user.slice(0, 40)}`);
    }
    next = '{"allow":true}';
    const ann = await s.client({ token: await tokenFor('ann') });
    const event = (data: string): string =>
      `{"result":1,"publish":[{"topic":"chat:1","event":"message","data":${data}}]}`;
    for (const outcome of [
      `{"result":${half}}`,
      `{"result":${ABYSS}}`,
      event(half),
      event(ABYSS),
      `{"error":{"message":${half}}}`,
    ]) {
      next = outcome;
      await t.rejects(ann.call('ask', 1), { code: errors.handler_failed }, outcome.slice(0, 40));
      await t.rejects(
        ann.call('ask', 1, { key: 'k' }),
        { code: errors.handler_failed },
        'also under a key, which is free again',
      );
    }
    next = '{"result":"😀"}';
    t.equal(await ann.call('ask', 1, { key: 'k' }), '😀');
    t.same(s.log.errors, []);
  },
);

t.test('a config with half a character is refused with the path of it', async (t) => {
  const table: Readonly<Record<string, unknown>> = {
    'apiKeys[0]: has': { apiKeys: [`${'k'.repeat(20)}${HALF}`] },
    'topics["chat:': { topics: { [`chat:${HALF}`]: { events: {} } } },
    'hooks.secret: has': { hooks: { secret: `${'s'.repeat(40)}${HALF}` } },
    'rates.calls.a': { rates: { calls: { a: nested(40) } } },
  };
  for (const [said, config] of Object.entries(table)) {
    const dir = t.testdir({ 'config.json': JSON.stringify(config) });
    const read = (): unknown => readSettings({}, {}, `${dir}/config.json`);
    t.throws(read, { name: 'CommandError', message: new RegExp(said.replace(/[[\].]/g, '\\$&')) }, said);
  }
});

t.test("a program's own mistakes are told to the program; its words for a client are mended", async (t) => {
  const s = await startOpen(t, { without: ['fail', 'echo'] });
  const { server } = s;
  await t.rejects(server.publish('chat:1', 'notice', { a: HALF }), { name: 'EncodeError', path: 'data.a' });
  await t.rejects(server.publish('chat:1', 'notice', nested(31)), { name: 'EncodeError' });
  await t.rejects(server.publish('chat:1', 'notice', 1, { key: HALF }), { name: 'EncodeError' });
  await t.rejects(
    server.transact((tx) => tx.set('notes', HALF, 1)),
    { name: 'RangeError' },
    'no store would keep it under that key',
  );
  server.handle('echo', () => ({ answer: HALF }));
  const client = await s.client();
  await t.rejects(client.call('echo', 1, { key: 'k' }), { code: errors.handler_failed });
  await t.rejects(
    client.call('echo', 1, { key: 'k' }),
    { code: errors.handler_failed },
    'not 112: it is known that it failed',
  );
  await client.call('keep', { id: '1' });
  const [session] = server.sessionsOf(client.welcome.user.id);
  if (session === undefined) throw new Error('no session');
  await server.transact((tx) => tx.unsubscribe(session, 'kept:1', { reason: `because ${HALF}` }));
  t.match(await client.frame(([op]) => op === Op.REMOVED), [Op.REMOVED, 'kept:1', 0, 'because \ufffd']);
  await server.kick(session, `enough ${HALF}`);
  t.match(await client.closed, { code: closes.kicked, reason: 'enough \ufffd' }, 'the socket is closed, too');
});

t.test('errors that a client can provoke again and again are logged 20 times a second', async (t) => {
  // A second that lasts as long as the test.
  const s = await startOpen(t, { time: new ManualTime() });
  const client = await s.client();
  const calls = Array.from({ length: 200 }, () => client.call('fail', 1).catch(() => undefined));
  await Promise.all(calls);
  t.ok(s.log.errors.length <= 21, `${s.log.errors.length} lines`);
  t.ok(s.log.errors.length > 0);
});

t.test('text that is cut is well formed, not longer, and the beginning of what it was', async () => {
  const unit = fc.oneof(
    fc.constantFrom('😀', '\ud83d', '\ude00', 'é', 'a', '\u200d'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  const texts = fc.array(unit, { maxLength: 12 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(texts, fc.integer({ min: 1, max: 12 }), (text, most) => {
      const cut = shortened(text, most);
      const mended = text.replace(/\p{Surrogate}/gu, '\ufffd');
      return cut.length <= most && !/\p{Surrogate}/u.test(cut) && mended.startsWith(cut);
    }),
  );
});
