/** What a program keeps of a room: read and written under the room's own rules, and gone with the room. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { json } from '../../src/http/problem.js';
import { writeConditions } from '../../src/http/write-conditions.js';
import { rooms } from '../../src/rooms/rooms.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { roomContract, startRooms } from '../support/rooms.js';
import { startServer } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const ann = { kind: 'user', user: { id: 'ann', name: 'Ann' } } as const;

t.test('a write is one transaction with the metadata and the events it tells', async (t) => {
  const { server, client } = await startRooms(t);
  const { rooms } = server.plugins;
  await rooms.create('r');
  const watcher = await client();
  await watcher.call('join:room', { roomId: 'r' });
  const count = await rooms.write('r', ({ docs, metadata, change, publish }) => {
    docs.set('frames', '0', { x: 1 });
    publish('frame_update', { frame: 0 });
    return change({ frameCount: metadata.frameCount + 1 }).frameCount;
  });
  t.equal(count, 1);
  const both = rooms.write('r', ({ docs, change }) => {
    docs.set('frames', '1', { x: 2 });
    change({ frameCount: 2 });
    throw new Error('changed my mind');
  });
  await t.rejects(both, { message: 'changed my mind' });
  t.same(await rooms.read('r', ({ docs, metadata }) => [docs.list('frames', { limit: 9 }), metadata.frameCount]), [
    [['0', { x: 1 }]],
    1,
  ]);
  t.match(await watcher.event('room:r', 'frame_update'), { frame: 0 });
  t.match(await watcher.event('room:r', 'room:update'), { frameCount: 1 });
});

t.test('a write is refused as a change of the room is', async (t) => {
  const { server } = await startRooms(t);
  const { rooms } = server.plugins;
  const write = (conditions = {}, asker?: typeof ann) =>
    rooms.write('r', ({ docs }) => docs.set('frames', '0', 1), conditions, asker);
  await t.rejects(write(), { name: 'room_not_found' });
  const { version } = await rooms.create('r');
  await t.rejects(write({}, ann), { name: 'forbidden' }, 'not a member');
  await t.rejects(write({ ifVersion: version - 1 }), { name: 'conflict' });
  await write({ ifVersion: version });
  const lock = await rooms.locks.acquire({ roomId: 'r' });
  await t.rejects(write(), { name: 'lock_held' });
  await t.rejects(write({ lock: { token: lock.token - 1 } }), { name: 'lock_lost' });
  await write({ lock: { token: lock.token } });
  await write({ lock: { target: 'bookmarks' } });
  const other = await rooms.locks.acquire({ roomId: 'r', target: 'bookmarks' });
  await t.rejects(write({ lock: { target: 'bookmarks' } }), { name: 'lock_held' });
  await write({ lock: { target: 'bookmarks', token: other.token } });
  await rooms.locks.release({ roomId: 'r', token: lock.token });
  await rooms.update('r', { locked: true });
  await t.rejects(write(), { name: 'room_locked' });
  t.equal(await rooms.read('r', ({ docs }) => docs.get('frames', '0')), 1, 'reading goes on');
});

t.test('a room that is locked for good cannot be deleted before that is lifted', async (t) => {
  const { rooms } = (await startRooms(t)).server.plugins;
  await rooms.create('r', { locked: true });
  await t.rejects(rooms.delete('r'), { name: 'room_locked' });
  await rooms.update('r', { locked: false });
  await rooms.delete('r');
  t.equal(await rooms.get('r'), undefined);
});

t.test('only a session that is in a room gets at it inside a call', async (t) => {
  const { server, client } = await startRooms(t);
  const { rooms } = server.plugins;
  const [inside, outside] = [await client(), await client()];
  await inside.call('join:room', { roomId: 'r', create: true });
  const open = (sid: string | undefined) => {
    const session = server.session(sid ?? '');
    if (session === undefined) throw new Error('no such session');
    return server.transact((tx) => rooms.within(tx).inside(session, 'r').metadata.id);
  };
  t.equal(await open(inside.welcome.session[0]), 'r');
  await t.rejects(open(outside.welcome.session[0]), { name: 'not_member' });
});

t.test('tables and rooms do not see into each other; lists are in order, from where one likes', async (t) => {
  const { server } = await startRooms(t);
  const { rooms } = server.plugins;
  for (const id of ['a', 'b']) {
    await rooms.create(id);
    await rooms.write(id, ({ docs }) => {
      for (const key of ['x2', 'x1', 'y']) docs.set('one', key, `${id} ${key}`);
      docs.set('two', 'z', 0);
      docs.delete('one', 'none');
    });
  }
  await rooms.write('a', ({ docs }) => docs.delete('one', 'y'));
  const [all, from, some, other] = await rooms.read('b', ({ docs }) => [
    docs.list('one', { limit: 9 }).map(([key]) => key),
    docs.list('one', { after: 'x1', limit: 1 }),
    docs.list('one', { prefix: 'x', limit: 9 }).map(([key]) => key),
    docs.list('two', { limit: 9 }),
  ]);
  t.same(all, ['x1', 'x2', 'y']);
  t.same(from, [['x2', 'b x2']]);
  t.same(some, ['x1', 'x2']);
  t.same(other, [['z', 0]]);
  await t.rejects(
    rooms.read('a', ({ docs }) => docs.get('one/two', 'z')),
    { name: 'TypeError' },
  );
});

t.test('what was kept goes with the room: at once for all who ask, then for the store too', async (t) => {
  const { server } = await startRooms(t);
  const { rooms } = server.plugins;
  await rooms.create('r');
  await rooms.write('r', ({ docs }) => {
    for (let i = 0; i < 500; i++) docs.set('frames', String(i), i);
  });
  await rooms.delete('r');
  await rooms.create('r');
  t.equal(await rooms.read('r', ({ docs }) => docs.list('frames', { limit: 9 }).length), 0);
  await rooms.write('r', ({ docs }) => docs.set('frames', 'new', 1));
  const left = () => server.transact((tx) => tx.list('rooms-docs', { limit: 1_000 }).length);
  const pending = () => server.transact((tx) => tx.list('rooms-docs-gone', { limit: 9 }).length);
  while ((await left()) > 1 || (await pending()) > 0);
  t.equal(await rooms.read('r', ({ docs }) => docs.get('frames', 'new')), 1);
});

t.test('a start goes on with deleting what the process before left', async (t) => {
  const path = t.testdir();
  const first = await startRooms(t, { store: lmdbStore({ path }) });
  await first.server.transact((tx) => {
    for (let i = 0; i < 300; i++) tx.set('rooms-docs', `7/frames/${i}`, i);
    tx.set('rooms-docs-gone', '7', true);
  });
  await first.server.close();
  const second = await startRooms(t, { store: lmdbStore({ path }) });
  const left = () => second.server.transact((tx) => tx.list('rooms-docs', { limit: 9 }).length);
  while ((await left()) > 0);
  t.same(await second.server.transact((tx) => tx.list('rooms-docs-gone', { limit: 9 })), []);
});

t.test('of hundreds of rooms that were going, a start forgets every one', async (t) => {
  const path = t.testdir();
  const first = await startRooms(t, { store: lmdbStore({ path }) });
  await first.server.transact((tx) => {
    for (let i = 1_000; i < 1_250; i++) {
      tx.set('rooms-docs', `${i}/frames/0`, i);
      tx.set('rooms-docs-gone', String(i), true);
    }
  });
  await first.server.close();
  const second = await startRooms(t, { store: lmdbStore({ path }) });
  const left = () => second.server.transact((tx) => tx.list('rooms-docs-gone', { limit: 9 }).length);
  while ((await left()) > 0);
  t.same(await second.server.transact((tx) => tx.list('rooms-docs', { limit: 9 })), []);
});

t.test('derived fields are the program’s to set, over HTTP and in a call', async (t) => {
  const {
    server,
    http: url,
    client,
  } = await startServer(t, {
    contract: roomContract,
    plugins: [rooms({ derived: ['frameCount'], access: () => true }), http()] as const,
    auth: { secret: SECRET },
  });
  const token = await tokenFor('ann');
  const ask = async (method: string, path: string, body: object) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    return (await fetch(url + path, { method, headers, body: JSON.stringify(body) })).status;
  };
  t.equal(await ask('POST', '/api/rooms/r', { frameCount: 7 }), 403);
  t.equal(await ask('POST', '/api/rooms/r', { description: 'fine' }), 201);
  t.equal(await ask('PATCH', '/api/rooms/r', { frameCount: 7 }), 403);
  t.equal(await ask('PATCH', '/api/rooms/r', { description: 'also fine' }), 200);
  const caller = await client({ token });
  await t.rejects(caller.call('join:room', { roomId: 's', create: { frameCount: 7 } }), { code: 106 });
  await caller.call('join:room', { roomId: 's', create: { description: 'fine' } });
  t.equal((await server.plugins.rooms.update('r', { frameCount: 7 })).frameCount, 7, 'the program may');
});

t.test('an endpoint of the program reads the conditions of a write as roomwire’s own do', async (t) => {
  const { server, http: url } = await startServer(t, {
    contract: roomContract,
    plugins: [rooms(), http()] as const,
  });
  server.plugins.http.routes([
    {
      method: 'POST',
      path: '/write/:target',
      async handle({ request, params, caller }) {
        const conditions = writeConditions(request, params['target']);
        await server.plugins.rooms.write('r', () => undefined, conditions, caller);
        return json(200, conditions);
      },
    },
  ]);
  const { version } = await server.plugins.rooms.create('r');
  const lock = await server.plugins.rooms.locks.acquire({ roomId: 'r', target: 'geometry' });
  const ask = async (target: string, headers: Record<string, string> = {}) =>
    (await fetch(`${url}/write/${target}`, { method: 'POST', headers })).status;
  const held = { 'lock-token': String(lock.token) };
  t.equal(await ask('geometry', held), 200);
  t.equal(await ask('geometry'), 423);
  t.equal(await ask('other'), 200);
  t.equal(await ask('other', held), 409, 'a token opens its own target alone');
  t.equal(await ask('other', { ...held, 'lock-target': 'geometry' }), 409, 'which lock it is the program says');
  t.equal(await ask('other', { 'if-match': `"${version}"` }), 200);
  t.equal(await ask('other', { 'if-match': '"1"' }), 412);
  t.equal(await ask('other', { 'if-match': 'x' }), 400);
  t.equal(await ask('other', { 'lock-token': 'x' }), 400);
});
