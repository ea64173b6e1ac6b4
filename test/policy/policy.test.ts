/** Who may what, by lists of grants: over the socket and HTTP, at a resume, and while a backend is asked. */
import t from 'tap';
import { hooks } from '../../src/hooks/hooks.js';
import { http } from '../../src/http/http.js';
import { policy, type PolicyGrants } from '../../src/policy/policy.js';
import { defineContract } from '../../src/protocol/contract.js';
import { Op } from '../../src/protocol/frames.js';
import { rooms } from '../../src/rooms/rooms.js';
import { HOOKS_SECRET, json, startBackend, status, type Answering } from '../support/backend.js';
import { ManualTime } from '../support/manual-time.js';
import { registerHandlers, type OpenServer } from '../support/open-server.js';
import { roomContract } from '../support/rooms.js';
import { openContract, startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const KEY = 'backend-key-0123456789';
const contract = defineContract({ use: [roomContract, openContract] });

async function start(t: Test, grants: PolicyGrants, answering: Answering = () => ({ allow: false }), more = {}) {
  const backend = await startBackend(t, answering);
  const hook = hooks({ url: backend.url, secret: HOOKS_SECRET, retries: 0 });
  const s = await startServer(t, {
    contract,
    plugins: [rooms(), hook, policy(grants), http()] as const,
    auth: { secret: SECRET, apiKeys: [KEY] },
    setup: (server) => registerHandlers(server as unknown as OpenServer),
    ...more,
  });
  const come = async (sub: string, claims: Record<string, unknown> = {}, hello = {}) =>
    s.client({ token: await tokenFor(sub, claims), ...hello });
  const rest = async (sub: string, method: string, path: string, claims: Record<string, unknown> = {}) => {
    const token = sub === 'key' ? KEY : await tokenFor(sub, claims);
    return (await fetch(s.http + path, { method, headers: { authorization: `Bearer ${token}` } })).status;
  };
  return { ...s, backend, come, rest };
}

const editor = { roles: ['editor'] };

t.test('rooms: each action has its list, the same over HTTP; what is not named stays as it was', async (t) => {
  const s = await start(t, {
    topics: {
      'room:{id}': {
        create: ['role:editor'],
        join: ['token', 'role:editor'],
        lock: ['role:editor'],
        present: ['host'],
        administer: ['role:admin'],
      },
    },
  });
  const [ann, bob] = [await s.come('ann', editor), await s.come('bob', { rooms: ['room:r'] })];
  await t.rejects(bob.call('join:room', { roomId: 'r', create: true }), { code: 106 });
  t.equal(await s.rest('bob', 'POST', '/api/rooms/r'), 403);
  await ann.call('join:room', { roomId: 'r', create: true });
  await ann.call('join:room', { roomId: 'q', create: true });
  await bob.call('join:room', { roomId: 'r' });
  await t.rejects(bob.call('join:room', { roomId: 'q' }), { code: 106 });
  await t.rejects(bob.call('lock:acquire', { roomId: 'r', target: 'x' }), { code: 106 });
  t.equal(await s.rest('bob', 'POST', '/api/rooms/r/locks/x'), 403);
  t.equal(await s.rest('ann', 'POST', '/api/rooms/r/locks/x', editor), 201);
  await t.rejects(bob.call('presenter:take', { roomId: 'r' }), { code: 106 });
  await ann.call('presenter:take', { roomId: 'r' });
  t.equal(await s.rest('ann', 'DELETE', '/api/rooms/r', editor), 403, 'the host is no administrator here');
  await t.rejects(ann.call('member:kick', { roomId: 'r', userId: 'bob' }), { code: 106 });
  t.equal(await s.rest('eve', 'DELETE', '/api/rooms/r/members/bob', { roles: ['admin'] }), 204);
  t.equal(await s.rest('bob', 'GET', '/api/rooms/q'), 200, 'all see, as without a policy');
  t.equal(s.backend.received.length, 0);
});

t.test('who may not see a room finds nothing of it, in no list and under no name', async (t) => {
  const s = await start(t, { topics: { 'room:staff-{id}': { see: ['group:staff'] } } });
  const [ann, eve] = [await s.come('ann', { groups: ['staff'] }), await s.come('eve')];
  await eve.call('join:overview');
  await ann.call('join:room', { roomId: 'staff-1', create: true });
  await ann.call('join:room', { roomId: 'open', create: true });
  await t.rejects(eve.call('join:room', { roomId: 'staff-1', create: true }), { code: 120 });
  await t.rejects(eve.call('lock:acquire', { roomId: 'staff-1' }), { code: 120 });
  t.equal(await s.rest('eve', 'GET', '/api/rooms/staff-1'), 404);
  t.equal(await s.rest('ann', 'GET', '/api/rooms/staff-1', { groups: ['staff'] }), 200);
  await eve.event('overview:public', 'room:update');
  t.notMatch(JSON.stringify(eve.events('overview:public')), /staff/);
});

t.test(
  'topics: who may subscribe and publish; a wildcard opens nothing that the contract keeps to the server',
  async (t) => {
    const s = await start(t, {
      topics: {
        'chat:{id}': {
          join: ['token'],
          publish: { message: ['role:editor'], notice: ['role:editor'], '*': ['everyone'] },
        },
        'room:{id}': { publish: { '*': ['everyone'], 'chat:*': ['presenter'] } },
      },
    });
    const claims = { rooms: ['chat:1'] };
    const [ann, bob] = [await s.come('ann', { ...editor, ...claims }), await s.come('bob', claims)];
    await t.rejects(ann.subscribe('chat:2'), { code: 106 });
    await t.rejects(ann.publish('chat:1', 'message', 1), { code: 108 }, 'a right to publish is one for those inside');
    for (const client of [ann, bob]) await client.subscribe('chat:1');
    await ann.publish('chat:1', 'message', 1);
    await ann.publish('chat:1', 'notice', 1);
    await t.rejects(bob.publish('chat:1', 'message', 1), { code: 106 });
    await bob.publish('chat:1', 'strict', { n: 1 });
    for (const client of [ann, bob]) await client.call('join:room', { roomId: 'r', create: true });
    await ann.call('presenter:take', { roomId: 'r' });
    await ann.publish('room:r', 'chat:message:new', { text: 'hi' });
    await t.rejects(bob.publish('room:r', 'chat:message:new', { text: 'hi' }), { code: 106 });
    for (const event of ['room:update', 'frame_update', 'lock:update']) {
      await t.rejects(ann.publish('room:r', event, {}), { code: 106 }, event);
    }
  },
);

t.test('calls: the longest name decides; `member` and `token` go by the room the input names', async (t) => {
  const s = await start(t, { calls: { '*': ['everyone'], 'e*': ['nobody'], echo: ['member', 'token'] } });
  const ann = await s.come('ann', { rooms: ['room:q'] });
  await ann.call('join:room', { roomId: 'r', create: true });
  await ann.call('echo', { roomId: 'r' });
  await ann.call('echo', { roomId: 'q' });
  for (const input of [{ roomId: 'other' }, {}, null, { roomId: 7 }])
    await t.rejects(ann.call('echo', input), { code: 106 });
  await ann.call('strict', { n: 1 });
});

t.test('at a resume the rights of the new token decide who stays, and the others see who had to go', async (t) => {
  const s = await start(t, {
    topics: { 'room:{id}': { join: ['role:editor'] }, 'overview:{group}': { join: ['role:editor'] } },
  });
  const [ann, bob] = [await s.come('ann', editor), await s.come('bob', editor)];
  for (const client of [ann, bob]) await client.call('join:room', { roomId: 'r', create: true });
  await bob.call('join:overview');
  bob.cut();
  const back = await s.come('bob', {}, { session: bob.welcome.session });
  t.match(back.welcome, { resumed: true, topics: { 'room:r': { code: 106 }, 'overview:public': { code: 106 } } });
  t.match(await ann.event('room:r', 'member:left'), { userId: 'bob', reason: 'forbidden' });
  t.equal(await s.server.plugins.rooms.isMember('r', 'bob'), false);
  await t.rejects(back.call('join:overview'), { code: 106 });
});

t.test(
  'the backend is asked what nothing else grants, once for a while, and for all who ask at the same time',
  async (t) => {
    const time = new ManualTime();
    const s = await start(
      t,
      {
        topics: { 'room:{id}': { join: ['role:editor', 'hook'], lock: ['host', 'hook'] } },
        calls: { echo: ['hook'] },
      },
      ({ body: { user, detail } }) => ({ allow: user.id === 'bob' && detail !== 'lock', reason: 'not today' }),
      { time },
    );
    const [ann, bob, eve] = [await s.come('ann', editor), await s.come('bob'), await s.come('eve')];
    await ann.call('join:room', { roomId: 'r', create: true });
    await ann.call('lock:acquire', { roomId: 'r', target: 'host' });
    t.same(
      s.backend.of('authorize').map(({ body }) => body['action']),
      ['lock'],
      'whether one is host shows in the transaction',
    );
    await bob.call('join:room', { roomId: 'r' });
    t.match(s.backend.of('authorize')[1]?.body, {
      action: 'join',
      detail: 'join',
      topic: 'room:r',
      user: { id: 'bob' },
    });
    await t.rejects(eve.call('join:room', { roomId: 'r' }), { code: 106, message: 'not today' });
    await t.rejects(bob.call('lock:acquire', { roomId: 'r', target: 'x' }), { code: 106 });
    t.equal(await s.rest('bob', 'POST', '/api/rooms/r/locks/x'), 403);
    const before = s.backend.received.length;
    await Promise.all([1, 2, 3].map(() => bob.call('echo', { n: 1 })));
    await bob.call('echo', { n: 1 });
    t.equal(s.backend.received.length, before + 1);
    t.match(s.backend.received[before]?.body, { action: 'call', call: 'echo', input: { n: 1 } });
    await bob.call('echo', { n: 2 });
    t.equal(s.backend.received.length, before + 2, 'other input is another question');
    time.advance(5_100);
    await bob.call('echo', { n: 1 });
    t.equal(s.backend.received.length, before + 3);
  },
);

t.test('rule 2: publishes keep their order while the backend thinks, whatever it says in the end', async (t) => {
  const s = await start(
    t,
    { topics: { 'chat:{id}': { publish: { message: ['hook'], strict: ['hook'], notice: ['everyone'] } } } },
    () => undefined,
  );
  const publisher = await s.come('ann');
  await publisher.subscribe('chat:1');
  await publisher.subscribe('chat:2');
  publisher.send(
    [Op.PUBLISH, 101, 'chat:1', 'message', null, 'first'],
    [Op.PUBLISH, 102, 'chat:1', 'strict', null, { n: 1 }],
    [Op.PUBLISH, 103, 'chat:1', 'notice', null, 'last'],
    [Op.PUBLISH, 104, 'chat:2', 'notice', null, 'elsewhere'],
  );
  await publisher.event('chat:2', 'notice');
  await publisher.barrier();
  t.same(publisher.events('chat:1'), []);
  for (const { body, response } of await s.backend.count('authorize', 2))
    json(response, { allow: body['event'] === 'message' });
  await publisher.event('chat:1', 'notice');
  t.same(
    publisher.events('chat:1').map(([, , data]) => data),
    ['first', 'last'],
  );
  await t.rejects(publisher.answer(102), { code: 106 });
});

t.test(
  'while the backend is down what hangs on it is refused as retryable, nobody loses a room, and then all is well',
  async (t) => {
    const time = new ManualTime();
    const s = await start(
      t,
      { topics: { 'room:{id}': { join: ['hook'], publish: { 'chat:*': ['hook'] } } } },
      () => ({ allow: true }),
      { time },
    );
    const ann = await s.come('ann');
    await ann.call('join:room', { roomId: 'r', create: true });
    time.advance(5_100);
    s.backend.answer(status(500));
    await t.rejects(ann.publish('room:r', 'chat:message:new', { text: '1' }), { code: 207 });
    await t.rejects(ann.call('join:room', { roomId: 'q', create: true }), { code: 207 });
    ann.cut();
    const away = s.connect();
    await away.open();
    away.send([Op.HELLO, 1, { instance: 'test', token: await tokenFor('ann'), session: ann.welcome.session }]);
    t.match(await away.closed, { code: 4201 });
    s.backend.answer(() => ({ allow: true }));
    time.advance(2_100);
    const back = await s.come('ann', {}, { session: ann.welcome.session });
    t.match(back.welcome, { resumed: true, topics: { 'room:r': { code: undefined } } });
    await back.publish('room:r', 'chat:message:new', { text: '2' });
  },
);

t.test('a resume with more rooms than one user may ask about at once keeps them all', async (t) => {
  const time = new ManualTime();
  const s = await start(t, { topics: { 'room:{id}': { join: ['hook'] } } }, () => ({ allow: true }), { time });
  const ann = await s.come('ann');
  const ids = Array.from({ length: 100 }, (_, n) => `r${n}`);
  for (const roomId of ids) await ann.call('join:room', { roomId, create: true });
  time.advance(5_100);
  ann.cut();
  const back = await s.come('ann', {}, { session: ann.welcome.session });
  t.equal(Object.values(back.welcome.topics).filter(({ code }) => code === undefined).length, ids.length);
});
