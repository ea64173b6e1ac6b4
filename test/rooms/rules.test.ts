/** Rules that another plugin sets for rooms, and memberships that it hears of: over the socket and HTTP alike. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { RoomwireError } from '../../src/protocol/errors.js';
import { rooms, type MembershipChange, type RoomPolicy, type RoomsApi } from '../../src/rooms/rooms.js';
import type { Plugin, PluginHost } from '../../src/server/api.js';
import { ManualTime } from '../support/manual-time.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

const KEY = 'backend-key-0123456789';

function start(t: Test, use: (api: RoomsApi, host: PluginHost) => void, options = {}) {
  const other: Plugin = { name: 'other', setup: (host) => use(host.plugins['rooms'] as RoomsApi, host) };
  const plugins = [rooms(), http(), other] as const;
  return startServer(t, { contract: roomContract, plugins, auth: { secret: SECRET, apiKeys: [KEY] }, ...options });
}

const nothing: RoomPolicy = { access: () => undefined, consult: () => undefined, listed: () => true };

t.test('what is asked before the transaction decides in it, the same over the socket and HTTP', async (t) => {
  const asked: string[] = [];
  const s = await start(t, (api) =>
    api.setPolicy({
      ...nothing,
      access: ({ action, isHost, consulted }) => {
        if (action === 'see' || action === 'create') return undefined;
        if (isHost) return true;
        if (consulted instanceof RoomwireError) throw consulted;
        return consulted === true;
      },
      consult: async ({ action, user, roomId }) => {
        asked.push(`${user.id} ${action} ${roomId}`);
        if (roomId === 'lost') throw new RoomwireError('backend_unavailable');
        return user.id === 'ann';
      },
    }),
  );
  const rest = async (sub: string, method: string, path: string) => {
    const token = sub === 'key' ? KEY : await tokenFor(sub);
    return (await fetch(s.http + path, { method, headers: { authorization: `Bearer ${token}` } })).status;
  };
  for (const room of ['r', 'lost']) t.equal(await rest('key', 'POST', `/api/rooms/${room}`), 201);
  t.same(asked, [], 'a key is not asked about');
  const [ann, bob] = [
    await s.client({ token: await tokenFor('ann') }),
    await s.client({ token: await tokenFor('bob') }),
  ];
  await ann.call('join:room', { roomId: 'r' });
  await t.rejects(bob.call('join:room', { roomId: 'r' }), { code: 106 });
  await t.rejects(ann.call('join:room', { roomId: 'lost' }), { code: 207 });
  await t.rejects(bob.call('join:room', { roomId: 'new', create: true }), { code: 106 }, 'nor by making it');
  await ann.call('join:room', { roomId: 'new', create: true });
  await ann.call('presenter:take', { roomId: 'r' });
  t.equal(await rest('bob', 'POST', '/api/rooms/r/locks/x'), 403);
  t.equal(await rest('ann', 'POST', '/api/rooms/r/locks/x'), 201);
  t.equal(await rest('ann', 'POST', '/api/rooms/lost/locks/x'), 503);
  t.equal(await rest('bob', 'DELETE', '/api/rooms/r/members/ann'), 403);
  t.match(asked, ['ann join r', 'bob join r']);
  t.ok(asked.includes('bob kick r') && asked.includes('ann create new') && asked.includes('ann present r'));
  await t.rejects(async () => s.server.plugins.rooms.setPolicy(nothing), TypeError);
});

t.test('who may not present is not handed the part either', async (t) => {
  const s = await start(t, (api) =>
    api.setPolicy({ ...nothing, access: ({ action, user }) => (action === 'present' ? user.id === 'ann' : undefined) }),
  );
  const [ann, bob] = [
    await s.client({ token: await tokenFor('ann') }),
    await s.client({ token: await tokenFor('bob') }),
  ];
  for (const client of [ann, bob]) await client.call('join:room', { roomId: 'r', create: true });
  await t.rejects(bob.call('presenter:take', { roomId: 'r' }), { code: 106 });
  await ann.call('presenter:take', { roomId: 'r' });
  await t.rejects(ann.call('presenter:give', { roomId: 'r', sid: bob.welcome.session[0] }), { code: 106 });
});

t.test('a room that no list may show is hidden, whatever its maker wants', async (t) => {
  const s = await start(t, (api) => api.setPolicy({ ...nothing, listed: (roomId) => !roomId.startsWith('secret') }));
  const ann = await s.client({ token: await tokenFor('ann') });
  await ann.call('join:overview');
  await ann.call('join:room', { roomId: 'secret-1', create: { hidden: false } });
  await s.server.plugins.rooms.create('secret-2', { hidden: false });
  await s.server.plugins.rooms.create('open');
  t.same(
    (await s.server.plugins.rooms.list()).rooms.map(({ id }) => id),
    ['open'],
  );
  await t.rejects(s.server.plugins.rooms.update('secret-2', { hidden: false }), { name: 'forbidden' });
  await ann.barrier();
  t.notMatch(JSON.stringify(ann.events('overview:public')), /secret/, 'nor is it told');
});

t.test('rule 7: memberships are told as they truly begin and end', async (t) => {
  const time = new ManualTime();
  const changes: string[] = [];
  const s = await start(
    t,
    (api) =>
      api.onMembership((tx, { kind, roomId, userId, reason = '' }: MembershipChange) =>
        tx.afterCommit(() => changes.push(`${userId} ${kind} ${roomId} ${reason}`.trim())),
      ),
    { time },
  );
  const come = async (sub: string, more = {}) => s.client({ token: await tokenFor(sub), ...more });
  const phone = await come('ann', { instance: 'phone' });
  const laptop = await come('ann', { instance: 'laptop' });
  for (const client of [phone, laptop]) await client.call('join:room', { roomId: 'r', create: true });
  phone.cut();
  const back = await come('ann', { instance: 'phone', session: phone.welcome.session });
  await laptop.call('leave:room', { roomId: 'r' });
  t.same(changes, ['ann join r'], 'neither a second device nor a lost connection');
  back.cut();
  await until(() => s.server.session(back.welcome.session[0])?.connected === false);
  time.advance(16_000);
  await until(() => changes.length > 1);
  const [bob, eve] = [await come('bob'), await come('eve')];
  for (const client of [bob, eve]) await client.call('join:room', { roomId: 'r' });
  await bob.call('member:kick', { roomId: 'r', userId: 'eve' });
  await s.server.plugins.rooms.delete('r');
  t.same(changes.slice(1), [
    'ann leave r gone',
    'bob join r',
    'eve join r',
    'eve leave r kicked',
    'bob leave r deleted',
  ]);
});
