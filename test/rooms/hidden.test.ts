/** Hidden rooms are found, and shown again, by who may administer them; nobody else learns of them from a list. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { policy, type PolicyGrants } from '../../src/policy/policy.js';
import { rooms } from '../../src/rooms/rooms.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const KEY = 'an-api-key-of-the-backend';

async function start(t: Test, grants?: PolicyGrants, ask?: () => boolean) {
  const plugins =
    grants === undefined
      ? ([rooms(), http()] as const)
      : ([rooms(), policy(grants, ask === undefined ? {} : { ask }), http()] as const);
  const s = await startServer(t, { contract: roomContract, plugins, auth: { secret: SECRET, apiKeys: [KEY] } });
  const request = async (who: string, method: string, path: string, body?: object) => {
    const bearer = who === KEY ? KEY : await tokenFor(who, who === 'boss' ? { roles: ['admin'] } : {});
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    return fetch(s.http + path, { method, headers, ...sent });
  };
  return {
    ...s,
    api: s.server.plugins.rooms,
    /** Ids of a list with hidden rooms. */
    async found(who: string, query = ''): Promise<string[]> {
      const response = await request(who, 'GET', `/api/rooms?hidden=true${query}`);
      return ((await response.json()) as { rooms: { id: string }[] }).rooms.map(({ id }) => id);
    },
    async show(who: string, id: string): Promise<number> {
      return (await request(who, 'PATCH', `/api/rooms/${id}`, { hidden: false })).status;
    },
    user: async (sub: string) => s.client({ token: await tokenFor(sub), instance: sub }),
  };
}

t.test('without a policy the host finds the rooms that they hid, and shows them again', async (t) => {
  const { api, found, show, user } = await start(t);
  const [ann, bob] = [await user('ann'), await user('bob')];
  await api.create('open');
  for (const id of ['mine', 'others']) await api.create(id, { hidden: true });
  await ann.call('join:room', { roomId: 'mine' });
  await bob.call('join:room', { roomId: 'mine' });
  await bob.call('join:room', { roomId: 'others' });
  t.strictSame(await found('ann'), ['mine', 'open']);
  t.strictSame(await found('bob'), ['open', 'others'], 'of a room that one is only a member of, one is told nothing');
  t.strictSame(await found('eve'), ['open']);
  t.strictSame(await found(KEY), ['mine', 'open', 'others']);
  t.strictSame(await found('ann', '&search=MIN'), ['mine']);
  t.equal(await show('bob', 'mine'), 403);
  t.equal(await show('ann', 'mine'), 200);
  t.strictSame(await found('eve'), ['mine', 'open'], 'now all see it');
  await bob.call('leave:room', { roomId: 'others' });
  t.strictSame(await found('bob'), ['mine', 'open'], 'a room that all have left has no host');
  await bob.call('join:room', { roomId: 'others' });
  t.equal(await show('bob', 'others'), 200, 'who comes first is the host again');
});

t.test('with a policy it is who may administer, of the rooms that they may see', async (t) => {
  const grants = {
    topics: {
      'room:staff-{id}': { see: ['group:staff'] },
      'room:{id}': { administer: ['role:admin', 'member'] },
    },
  };
  const { api, found, show, user } = await start(t, grants);
  for (const id of ['a', 'b', 'staff-c']) await api.create(id, { hidden: true });
  const ann = await user('ann');
  await ann.call('join:room', { roomId: 'a' });
  t.strictSame(await found('boss'), ['a', 'b'], 'not those of which they may not know');
  t.strictSame(await found('ann'), ['a']);
  t.strictSame(await found('eve'), []);
  t.equal(await show('boss', 'staff-c'), 404);
  t.equal(await show('boss', 'b'), 200);
  t.equal(await show(KEY, 'staff-c'), 403, 'the policy keeps it out of the lists, whoever asks');
});

t.test('a grant of the backend finds no room in a list, and shows one that is named', async (t) => {
  let asked = 0;
  const { api, found, show } = await start(t, { topics: { 'room:{id}': { administer: ['hook'] } } }, () => ++asked > 0);
  await api.create('a', { hidden: true });
  t.strictSame(await found('ann'), []);
  t.equal(asked, 0, 'it is not asked for each room of a list');
  t.equal(await show('ann', 'a'), 200);
  t.equal(asked, 1);
});

t.test('guests on this machine find all, and the page beside them hears of a room that is shown again', async (t) => {
  const s = await startServer(t, { contract: roomContract, plugins: [rooms(), http()] as const });
  const client = await s.client();
  await s.server.plugins.rooms.create('a', { hidden: true });
  await client.call('join:overview', {});
  const list = await fetch(`${s.http}/api/rooms?hidden=true`);
  t.match(await list.json(), { rooms: [{ id: 'a', hidden: true }] });
  await fetch(`${s.http}/api/rooms/a`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ hidden: false }),
  });
  t.match(await client.event('overview:public', 'room:update'), { roomId: 'a', created: true, hidden: false });
});
