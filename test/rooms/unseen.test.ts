/** A room that one may not see cannot be told from one that is not there, nor its id from any other that is taken; and who may change which field. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { policy, type PolicyGrants } from '../../src/policy/policy.js';
import { rooms } from '../../src/rooms/rooms.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const KEY = 'an-api-key-of-the-backend';
const ABSENT = 'absent';

async function start(t: Test, grants?: PolicyGrants, options = {}) {
  const plugins =
    grants === undefined ? ([rooms(options), http()] as const) : ([rooms(options), policy(grants), http()] as const);
  const s = await startServer(t, { contract: roomContract, plugins, auth: { secret: SECRET, apiKeys: [KEY] } });
  const ask = async (
    who: string,
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => {
    const response = await fetch(s.http + path, {
      method,
      headers: {
        authorization: `Bearer ${who === KEY ? KEY : await token(who)}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: (text === '' ? {} : JSON.parse(text)) as never };
  };
  return { ...s, ask, api: s.server.plugins.rooms };
}

/** `ann@staff,lab`: with those groups. */
function token(who: string): Promise<string> {
  const [sub = '', groups = ''] = who.split('@');
  return tokenFor(sub, { groups: groups.split(',').filter(Boolean) });
}

/** Every question about a room, answered without its own name in it. */
async function answers(s: Awaited<ReturnType<typeof start>>, who: string, roomId: string) {
  const path = `/api/rooms/${roomId}`;
  const requests: [method: string, path: string, body?: unknown, headers?: Record<string, string>][] = [
    ['GET', path],
    ['GET', path, undefined, { 'if-none-match': '*' }],
    ['PATCH', path, { description: 'x' }],
    ['PATCH', path, { group: null, hidden: false, locked: false }],
    ['PATCH', path, {}],
    ['PATCH', path, { description: 'x' }, { 'if-match': '"1"', 'lock-token': '1' }],
    ['DELETE', path],
    ['GET', `${path}/members`],
    ['DELETE', `${path}/members/${who}`],
    ['GET', `${path}/locks`],
    ['POST', `${path}/locks/x`, {}],
    ['PATCH', `${path}/locks/x`, { token: 1 }],
    ['DELETE', `${path}/locks/x`, undefined, { 'lock-token': '1' }],
    ['DELETE', `${path}/locks/x?force=true`],
    ['PUT', '/api/default-room', { roomId }],
    ['GET', '/api/default-room'],
    ['GET', `/api/rooms?search=${roomId}`],
  ];
  const calls: [name: string, input: object][] = [
    ['join:room', { roomId }],
    ['join:room', { roomId, create: false }],
    ['leave:room', { roomId }],
    ['room:members', { roomId }],
    ['lock:acquire', { roomId }],
    ['lock:acquire', { roomId, wait: 1_000 }],
    ['lock:refresh', { roomId, token: 1 }],
    ['lock:msg', { roomId, token: 1, msg: 'x' }],
    ['lock:release', { roomId, token: 1 }],
    ['lock:force', { roomId }],
    ['presenter:take', { roomId }],
    ['presenter:release', { roomId }],
    ['presenter:give', { roomId, sid: 'x' }],
    ['host:give', { roomId, userId: who }],
    ['member:kick', { roomId, userId: who }],
  ];
  const client = await s.client({ token: await token(who), grace: 0 });
  const found: Record<string, unknown> = {};
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value).replaceAll(roomId, 'ROOM'));
  for (const [method, address, body, headers] of requests) {
    const { status, headers: got, body: answer } = await s.ask(who, method, address, body, headers);
    const name = `${method} ${address} ${JSON.stringify([body, headers])}`.replaceAll(roomId, 'ROOM');
    found[name] = plain([status, got.get('etag'), answer]);
  }
  for (const [name, input] of calls) {
    const answer = await client.call(name, input).catch(({ code, message, details }) => ({ code, message, details }));
    found[`${name} ${JSON.stringify(input)}`.replaceAll(roomId, 'ROOM')] = plain(answer);
  }
  for (const [name, ask] of Object.entries({
    subscribe: () => client.subscribe(`room:${roomId}`),
    'subscribe from': () => client.subscribe(`room:${roomId}`, ['x', 1]),
    publish: () => client.publish(`room:${roomId}`, 'chat:message:new', { text: 'x' }),
  })) {
    found[name] = plain(await ask().catch(({ code, message }) => ({ code, message })));
  }
  found['WELCOME'] = client.welcome.topics;
  client.cut();
  return found;
}

t.test('no question tells a room of others from one that is not there', async (t) => {
  const table: Readonly<
    Record<string, { grants?: PolicyGrants; make: (s: Awaited<ReturnType<typeof start>>) => unknown }>
  > = {
    'a group': { make: (s) => s.api.create('secret', { group: 'staff' }) },
    'a locked group, the default room': {
      make: async (s) => {
        await s.api.create('secret', { group: 'staff' });
        await s.api.setDefault('secret');
        await s.api.locks.acquire({ roomId: 'secret' });
        await s.api.locks.acquire({ roomId: 'secret', target: 'x' });
        await s.api.update('secret', { locked: true }, { lock: { target: 'free' } });
      },
    },
    'a policy': {
      grants: { topics: { 'room:secret': { see: ['group:staff'] }, 'room:{id}': { join: ['everyone'] } } },
      make: (s) => s.api.create('secret'),
    },
    'members alone': {
      grants: { topics: { 'room:{id}': { see: ['member'] } } },
      make: (s) => s.api.create('secret'),
    },
  };
  for (const [name, { grants, make }] of Object.entries(table)) {
    const s = await start(t, grants);
    await make(s);
    const member = await s.client({ token: await token('ann@staff') });
    if (name !== 'members alone') await member.call('join:room', { roomId: 'secret' });
    t.same(await answers(s, 'eve', 'secret'), await answers(s, 'eve', ABSENT), name);
    t.same(s.log.errors, []);
  }
});

t.test('an id that is taken, kept for others, or of a room one may not see has one answer', async (t) => {
  const s = await start(t, {
    topics: { 'room:kept-{id}': { see: ['group:staff'] }, 'room:mine-{id}': { create: ['nobody'] } },
  });
  await s.api.create('shown', { description: 'all may know' });
  await s.api.create('secret', { group: 'staff', description: 'nobody may know' });
  await s.api.create('kept-1');
  await s.api.create('mine-1', { group: 'staff' });
  const eve = await s.client({ token: await token('eve') });
  const posted = async (roomId: string, body: object = {}) => {
    const { status, body: problem } = await s.ask('eve', 'POST', `/api/rooms/${roomId}`, body);
    return JSON.stringify([status, problem]).replaceAll(roomId, 'ROOM');
  };
  const joined = (roomId: string, create: unknown = true) =>
    eve.call('join:room', { roomId, create }).catch(({ code, message, details }) => ({ code, message, details }));
  const taken = await posted('shown');
  t.match(JSON.parse(taken), [409, { name: 'room_exists', detail: 'this id is taken or reserved: choose another' }]);
  t.notMatch(JSON.parse(taken), [409, { details: {} }]);
  for (const roomId of ['secret', 'kept-1', 'kept-2']) {
    t.equal(await posted(roomId), taken, `POST ${roomId}`);
    t.same(await joined(roomId), { code: 120, message: `no room '${roomId}'` });
  }
  t.match(
    await joined('shown'),
    { created: false, metadata: { description: 'all may know' } },
    'what one sees one joins',
  );
  for (const make of [posted, joined])
    t.same(await make('mine-1'), await make('mine-2'), 'nobody may make those: taken or not');
  for (const make of [posted, joined]) {
    t.same(
      await make('secret', { group: 'lab' }),
      await make('free', { group: 'lab' }),
      'a group of others is refused first',
    );
  }
  t.equal(await s.api.get('secret', { kind: 'user', user: { id: 'eve', name: 'eve' } }), undefined, 'to programs, too');
});

t.test('who may make no more rooms finds nothing out by trying', async (t) => {
  const s = await startServer(t, {
    contract: roomContract,
    plugins: [rooms(), http()] as const,
    auth: { secret: SECRET },
    limits: { roomsMade: 1 },
  });
  await s.server.plugins.rooms.create('secret', { group: 'staff' });
  const eve = await s.client({ token: await token('eve') });
  await eve.call('join:room', { roomId: 'mine', create: true });
  for (const roomId of ['secret', ABSENT]) {
    await t.rejects(eve.call('join:room', { roomId, create: true }), { code: 202 }, roomId);
  }
});

t.test('the default room is told to those who may see it', async (t) => {
  const s = await start(t);
  await s.api.create('secret', { group: 'staff' });
  await s.api.setDefault('secret');
  const told = async (who: string) => (await s.ask(who, 'GET', '/api/default-room')).body;
  t.same(await told('eve'), { roomId: null });
  t.same(await told('ann@staff'), { roomId: 'secret' });
  t.same(await told(KEY), { roomId: 'secret' });
  t.equal(await s.api.defaultRoom(), 'secret');
});

t.test('nobody but the backend puts a room into a group that is not theirs', async (t) => {
  const s = await start(t);
  const ann = await s.client({ token: await token('ann@lab') });
  await t.rejects(ann.call('join:room', { roomId: 'a', create: { group: 'staff' } }), { code: 106 });
  t.match(await ann.call('join:room', { roomId: 'b', create: { group: 'lab' } }), { metadata: { group: 'lab' } });
  t.equal((await s.ask('ann@lab', 'POST', '/api/rooms/c', { group: 'staff' })).status, 403);
  t.equal((await s.ask('ann@lab', 'POST', '/api/rooms/d', { group: 'lab' })).status, 201);
  t.equal((await s.ask('ann@lab', 'PATCH', '/api/rooms/b', { group: 'staff' })).status, 403, 'also as its host');
  t.equal((await s.ask(KEY, 'PATCH', '/api/rooms/b', { group: 'staff' })).status, 200);
  t.equal((await s.ask('ann@lab', 'PATCH', '/api/rooms/b', { group: null })).status, 200, 'out of it, she may');
});

t.test('who may change which field of a room', async (t) => {
  const edits: [fields: object, may: readonly string[]][] = [
    [{ description: 'new' }, ['host', 'member']],
    [{ frameCount: 5 }, ['host', 'member']],
    [{ hidden: true }, ['host']],
    [{ locked: true }, ['host']],
    [{ group: 'lab' }, ['host']],
    [{ description: 'newer', hidden: true }, ['host']],
    [{ description: 'same', hidden: false, locked: false, group: null }, ['host', 'member']],
    [{}, ['host', 'member']],
  ];
  for (const [fields, may] of edits) {
    for (const who of ['host', 'member', 'other']) {
      const s = await start(t);
      const host = await s.client({ token: await token('host@lab') });
      await host.call('join:room', { roomId: 'r', create: true });
      const member = await s.client({ token: await token('member@lab') });
      await member.call('join:room', { roomId: 'r' });
      const { status } = await s.ask(`${who}@lab`, 'PATCH', '/api/rooms/r', fields);
      t.equal(status, may.includes(who) ? 200 : 403, `${who}: ${JSON.stringify(fields)}`);
      host.cut();
      member.cut();
      await s.server.close();
    }
  }
});

t.test('a policy says who may: the hidden, locked and group of a room are for those who administer it', async (t) => {
  const s = await start(t, { topics: { 'room:{id}': { edit: ['everyone'], administer: ['user:boss', 'member'] } } });
  await s.api.create('r');
  const patch = async (who: string, fields: object) => (await s.ask(who, 'PATCH', '/api/rooms/r', fields)).status;
  t.equal(await patch('eve', { description: 'mine' }), 200);
  t.equal(await patch('eve', { hidden: true }), 403);
  t.equal(await patch('boss', { hidden: true, locked: true }), 200);
  t.equal(await patch('eve', { locked: false }), 403, 'nor who lifts the permanent lock');
  t.equal(await patch('boss', { locked: false }), 200);
});
