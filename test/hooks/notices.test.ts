/** Who joins and leaves, as the backend hears it: all of it, in order for each user, whatever goes wrong. */
import t from 'tap';
import { hooks, type HooksOptions } from '../../src/hooks/hooks.js';
import { rooms } from '../../src/rooms/rooms.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { HOOKS_SECRET, startBackend, status, type Answering, type TestBackend } from '../support/backend.js';
import { ManualTime } from '../support/manual-time.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

async function startWith(t: Test, backend: TestBackend, options: Partial<HooksOptions> = {}, more = {}) {
  const hook = hooks({ url: backend.url, secret: HOOKS_SECRET, events: ['join', 'leave'], ...options });
  const plugins = [rooms(), hook] as const;
  const s = await startServer(t, { contract: roomContract, plugins, auth: { secret: SECRET }, ...more });
  const come = async (sub: string, hello = {}) => s.client({ token: await tokenFor(sub), ...hello });
  return { ...s, backend, come, stats: () => s.server.plugins.hooks.stats() };
}
async function start(t: Test, answering: Answering, options: Partial<HooksOptions> = {}, more = {}) {
  return startWith(t, await startBackend(t, answering), options, more);
}

function told({ received }: TestBackend): string[] {
  return received.map(({ body }) => `${body.user.id} ${body.type} ${String(body['roomId'])}`);
}

t.test('joins and leaves are told, signed, once each when all goes well; a lost connection is neither', async (t) => {
  const time = new ManualTime();
  const s = await start(t, status(204), {}, { time });
  const ann = await s.come('ann');
  await ann.call('join:room', { roomId: 'r', create: true });
  ann.cut();
  const back = await s.come('ann', { session: ann.welcome.session });
  await back.call('join:room', { roomId: 'q', create: true });
  await back.call('leave:room', { roomId: 'r' });
  await s.backend.count('leave', 1);
  back.cut();
  await until(() => s.server.session(back.welcome.session[0])?.connected === false);
  time.advance(16_000);
  await s.backend.count('leave', 2);
  t.same(told(s.backend), ['ann join r', 'ann join q', 'ann leave r', 'ann leave q']);
  t.ok(s.backend.received.every(({ isSigned }) => isSigned));
  t.match(s.backend.received[0]?.body, { user: { id: 'ann', name: 'ann' }, at: Number });
  t.match(s.backend.received[3]?.body, { reason: 'gone' });
  await until(() => s.stats().notices.waiting === 0);
  t.match(s.stats().notices, { sent: 4, lost: 0 });
});

t.test("a notice that fails is told again under its id, before the user's next; others go on", async (t) => {
  const time = new ManualTime();
  let failing = true;
  const s = await start(
    t,
    ({ body, response }) => {
      const code = failing && body.user.id === 'ann' ? 500 : 200;
      response.writeHead(code).end('ok');
    },
    {},
    { time },
  );
  const [ann, bob] = [await s.come('ann'), await s.come('bob')];
  await ann.call('join:room', { roomId: 'r', create: true });
  await ann.call('leave:room', { roomId: 'r' });
  await bob.call('join:room', { roomId: 'q', create: true });
  await until(() => s.stats().notices.sent === 1);
  failing = false;
  time.advance(1_000);
  await until(() => s.stats().notices.sent === 3);
  t.same(
    told(s.backend).filter((line) => line.startsWith('ann')),
    ['ann join r', 'ann join r', 'ann leave r'],
  );
  const [first, second] = s.backend.of('join').filter(({ body }) => body.user.id === 'ann');
  t.equal(first?.id, second?.id);
});

t.test('what the backend was not told before a restart it is told after, under the same id', async (t) => {
  const path = t.testdir();
  const backend = await startBackend(t, status(503));
  const first = await startWith(t, backend, {}, { store: lmdbStore({ path }) });
  const ann = await first.come('ann');
  await ann.call('join:room', { roomId: 'r', create: true });
  const [tried] = await backend.count('join', 1);
  await ann.call('leave:room', { roomId: 'r' });
  await first.server.close();
  backend.answer(status(200));
  const before = backend.received.length;
  const second = await startWith(t, backend, {}, { store: lmdbStore({ path }) });
  await until(() => second.stats().notices.sent === 2);
  t.same(told(backend).slice(before), ['ann join r', 'ann leave r']);
  t.equal(backend.received[before]?.id, tried?.id);
  await until(() => second.stats().notices.waiting === 0);
  await second.server.close();
  const third = await startWith(t, backend, {}, { store: lmdbStore({ path }) });
  await third.server.plugins.rooms.list();
  t.match(third.stats().notices, { waiting: 0, sent: 0 }, 'and once told, no more');
});

t.test('rule 4: more notices than may wait are lost, counted, and the backend is told how many', async (t) => {
  const time = new ManualTime();
  const s = await start(t, status(500), { notices: 2 }, { time });
  const ann = await s.come('ann');
  for (const roomId of ['1', '2', '3', '4', '5']) await ann.call('join:room', { roomId, create: true });
  t.match(s.stats().notices, { waiting: 2, lost: 3 });
  s.backend.answer(status(200));
  time.advance(2_100);
  await until(() => s.stats().notices.sent === 2);
  const [last, before] = [...s.backend.received].reverse();
  t.match(before?.body, { roomId: '1', lost: 3 });
  t.match(last?.body, { roomId: '2', lost: undefined });
});

t.test('a notice that the backend will not have is given up at once', async (t) => {
  const s = await start(t, status(410));
  const ann = await s.come('ann');
  await ann.call('join:room', { roomId: 'r', create: true });
  await until(() => s.stats().notices.lost === 1);
  t.match(s.stats().notices, { waiting: 0, sent: 0 });
  t.equal(s.backend.received.length, 1);
});
