/**
 * The whole story of the field's first user, with two SDK clients and REST: one socket each, a list
 * once and then live, locks with refusals, an old token refused, the default room, deletion.
 */
import t from 'tap';
import { connect, type Client } from '../../src/client/node.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { until } from '../support/until.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';

type Contract = typeof roomContract;

async function start(t: Test) {
  const s = await startServer(t, { contract: roomContract, plugins: [rooms(), http()] as const });
  const clients: Client<never>[] = [];
  t.teardown(() => clients.forEach((client) => client.close()));
  const rest = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(s.http + path, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
  };
  return {
    ...s,
    rest,
    /** Its own instance: two clients of one process stand for two browsers. */
    sdk(fetchWith?: typeof fetch) {
      const client = connect<Contract>(s.url, {
        instance: `browser-${clients.length}`,
        ...(fetchWith === undefined ? {} : { fetch: fetchWith }),
      });
      clients.push(client as unknown as Client<never>);
      return client;
    },
  };
}

t.test('the rooms page: listed once, then live, without a hole between GET and join', async (t) => {
  const s = await start(t);
  for (const id of ['stays', 'changes', 'goes']) await s.rest('POST', `/api/rooms/${id}`);
  let gets = 0;
  // Everything happens between the join of the overview and the answer of the list.
  const client = s.sdk(async (input, init) => {
    gets++;
    const stale = await fetch(input, init);
    await s.rest('PATCH', '/api/rooms/changes', { frameCount: 120 });
    await s.rest('POST', '/api/rooms/new-room', { description: 'New Room' });
    await s.rest('DELETE', '/api/rooms/goes');
    return stale;
  });
  await client.rooms.watch();
  t.equal(gets, 1, 'one REST request');
  await until(() => client.rooms.get('new-room') !== undefined && client.rooms.get('goes') === undefined);
  t.same(
    client.rooms
      .list()
      .map(({ id }) => id)
      .sort(),
    ['changes', 'new-room', 'stays'],
  );
  t.equal(client.rooms.get('changes')?.frameCount, 120, 'the stale list does not win over the live change');

  await s.rest('PATCH', '/api/rooms/stays', { description: 'Updated desc', locked: true });
  await until(() => client.rooms.get('stays')?.locked === true);
  t.equal(client.rooms.get('stays')?.description, 'Updated desc');
  t.equal(gets, 1, 'and no polling');
});

t.test('hidden rooms never reach the public overview', async (t) => {
  const s = await start(t);
  const client = s.sdk();
  await client.rooms.watch();
  const seen: unknown[] = [];
  client.listen('overview:public').on('*', (data) => seen.push(data));
  await s.rest('POST', '/api/rooms/secret', { hidden: true });
  await s.rest('PATCH', '/api/rooms/secret', { frameCount: 3 });
  await s.rest('POST', '/api/rooms/open');
  await until(() => client.rooms.get('open') !== undefined);
  t.notMatch(JSON.stringify(seen), 'secret');
  await s.rest('PATCH', '/api/rooms/secret', { hidden: false });
  await until(() => client.rooms.get('secret')?.frameCount === 3);
  await s.rest('PATCH', '/api/rooms/secret', { hidden: true });
  await until(() => client.rooms.get('secret') === undefined);
});

t.test('the room page: join leaves the overview, and back', async (t) => {
  const s = await start(t);
  const client = s.sdk();
  await client.rooms.watch();
  const room = client.room('my-room');
  await room.join({ create: true });
  await until(() => !client.rooms.status.get().watching);
  const sid = client.state.get().sid as string;
  t.same([...(s.server.session(sid)?.topics ?? [])], ['room:my-room'], 'in the room, out of the overview');
  await room.leave();
  await client.rooms.watch();
  t.same([...(s.server.session(sid)?.topics ?? [])], ['overview:public'], 'and back');
});

t.test(
  'lock acquired → refused with the holder → released → acquired; an old token is refused over REST',
  async (t) => {
    const s = await start(t);
    const [alice, bob, watcher] = [s.sdk(), s.sdk(), s.sdk()];
    await watcher.rooms.watch();
    const [a, b] = [alice.room('my-room'), bob.room('my-room')];
    await a.join({ create: true });
    await b.join();
    const aliceName = alice.state.get().user?.name as string;

    const lock = await a.lock('trajectory:meta', { msg: 'Uploading' });
    await until(() => b.state.get().metadata?.metadataLocked?.msg === 'Uploading');
    t.match(b.state.get().metadata?.metadataLocked, { userName: aliceName, timestamp: Number });
    await until(() => watcher.rooms.get('my-room')?.metadataLocked?.userName === aliceName);
    await t.rejects(b.lock('trajectory:meta'), {
      name: 'lock_held',
      details: { userName: aliceName, msg: 'Uploading', expiresInMs: Number },
    });
    t.equal((await s.rest('PATCH', '/api/rooms/my-room', { frameCount: 1 })).status, 423, 'no token while it is held');
    const write = { 'lock-token': String(lock.token) };
    t.equal((await s.rest('PATCH', '/api/rooms/my-room', { frameCount: 120 }, write)).status, 200);
    await until(() => b.state.get().metadata?.frameCount === 120);
    await lock.message('Almost there');
    await until(() => b.state.get().metadata?.metadataLocked?.msg === 'Almost there');
    t.equal(await lock.release(), true);
    await until(() => b.state.get().metadata?.metadataLocked === null);

    const second = await b.lock('trajectory:meta');
    t.ok(second.token > lock.token, 'tokens grow');
    const late = await s.rest('PATCH', '/api/rooms/my-room', { frameCount: 1 }, write);
    t.match(late, { status: 409, body: { name: 'lock_lost' } }, 'the late holder is kept out');
    t.equal(b.state.get().metadata?.frameCount, 120);

    const other = await a.lock('geometry', { msg: 'Editing' });
    await until(() => b.state.get().locks['geometry']?.msg === 'Editing');
    t.match(
      b.state.get().metadata?.metadataLocked,
      { userName: bob.state.get().user?.name },
      'another target is another lock',
    );
    await other.release();
    await until(() => b.state.get().locks['geometry'] === undefined);
  },
);

t.test('a lock is released when the grace of its vanished holder ends, not before', async (t) => {
  const s = await start(t);
  const holder = await s.client({ grace: 1_000, instance: 'phone' });
  const bob = s.sdk();
  await holder.call('join:room', { roomId: 'r', create: true });
  const room = bob.room('r');
  await room.join();
  await holder.call('lock:acquire', { roomId: 'r', ttl: 60_000 });
  await holder.call('presenter:take', { roomId: 'r' });
  await until(() => room.state.get().metadata?.presenterSid === holder.welcome.session[0]);
  const left: unknown[] = [];
  room.on('member:left', (data) => left.push(data));
  holder.cut();
  await until(() => left.length === 1);
  t.match(room.state.get().metadata, { metadataLocked: null, presenterSid: null });
  t.equal(room.state.get().host?.userId, bob.state.get().user?.id, 'and the host moved on');
});

t.test('the default room is announced for the old and the new one', async (t) => {
  const s = await start(t);
  const client = s.sdk();
  await s.rest('POST', '/api/rooms/one');
  await s.rest('POST', '/api/rooms/two');
  await client.rooms.watch();
  await s.rest('PUT', '/api/default-room', { roomId: 'one' });
  await until(() => client.rooms.get('one')?.isDefault === true);
  const events: unknown[] = [];
  client.listen('overview:public').on('room:update', (data) => events.push(data));
  await s.rest('PUT', '/api/default-room', { roomId: 'two' });
  await until(() => client.rooms.get('two')?.isDefault === true && client.rooms.get('one')?.isDefault === false);
  t.match(events, [
    { roomId: 'one', isDefault: false },
    { roomId: 'two', isDefault: true },
  ]);
  t.match((await s.rest('GET', '/api/default-room')).body, { roomId: 'two' });
});

t.test('only changed fields travel, and no change tells nobody', async (t) => {
  const s = await start(t);
  const client = s.sdk();
  const room = client.room('r');
  await room.join({ create: true });
  const updates: unknown[] = [];
  room.on('room:update', (data) => updates.push(data));
  await s.rest('PATCH', '/api/rooms/r', { frameCount: 120 });
  await s.rest('PATCH', '/api/rooms/r', { frameCount: 120 });
  await s.rest('PATCH', '/api/rooms/r', { description: null, hidden: false });
  await s.rest('PATCH', '/api/rooms/r', { description: 'Updated desc', locked: true });
  await until(() => room.state.get().metadata?.locked === true);
  t.same(
    updates.map((update) => Object.keys(update as object).sort()),
    [
      ['frameCount', 'roomId', 'version'],
      ['description', 'locked', 'roomId', 'version'],
    ],
  );
  t.match(await s.rest('PATCH', '/api/rooms/r', { frameCount: 1 }), { status: 423, body: { name: 'room_locked' } });
  t.equal((await s.rest('PATCH', '/api/rooms/r', { locked: false })).status, 200, 'only lifting the lock is allowed');
});

t.test('deletion sends both away', async (t) => {
  const s = await start(t);
  const [alice, bob, watcher] = [s.sdk(), s.sdk(), s.sdk()];
  await watcher.rooms.watch();
  const [a, b] = [alice.room('r'), bob.room('r')];
  await a.join({ create: true });
  await b.join();
  await until(() => watcher.rooms.get('r') !== undefined);
  t.equal((await s.rest('DELETE', '/api/rooms/r')).status, 204);
  await until(() => a.state.get().status === 'deleted' && b.state.get().status === 'deleted');
  await until(() => watcher.rooms.get('r') === undefined);
  await t.rejects(a.join(), { name: 'room_not_found' });
  const again = await a.join({ create: true });
  t.match(again, { status: 'joined', memberCount: 1, metadata: { frameCount: 0 } }, 'a new room of that name is new');
});

t.test('each client keeps one socket through all of it', async (t) => {
  const s = await start(t);
  const client = s.sdk();
  await client.rooms.watch();
  for (const id of ['one', 'two', 'three']) {
    const room = client.room(id);
    await room.join({ create: true });
    await room.withLock('trajectory:meta', { msg: 'Uploading' }, (lock) => t.type(lock.token, 'number'));
    await room.leave();
    await client.rooms.watch();
  }
  t.equal(client.state.get().attempt, 0);
  t.same(s.log.errors, []);
});
