/** The backend lets users in: over the socket and HTTP, while it is there, slow, and away. */
import t from 'tap';
import { hooks, type HooksOptions } from '../../src/hooks/hooks.js';
import { http } from '../../src/http/http.js';
import { Op } from '../../src/protocol/frames.js';
import { rooms } from '../../src/rooms/rooms.js';
import { HOOKS_SECRET, json, startBackend, status, type Answering } from '../support/backend.js';
import { ManualTime } from '../support/manual-time.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

async function start(t: Test, answering: Answering, options: Partial<HooksOptions> = {}, more = {}) {
  const backend = await startBackend(t, answering);
  const hook = hooks({ url: backend.url, secret: HOOKS_SECRET, events: ['connect'], retries: 0, ...options });
  const plugins = [rooms(), hook, http()] as const;
  const s = await startServer(t, { contract: roomContract, plugins, auth: { secret: SECRET }, ...more });
  const knock = async (sub: string) => {
    const client = s.connect();
    await client.open();
    client.send([Op.HELLO, 1, { instance: 'test', token: await tokenFor(sub) }]);
    return client;
  };
  const rest = async (sub: string) =>
    (await fetch(`${s.http}/api/rooms`, { headers: { authorization: `Bearer ${await tokenFor(sub)}` } })).status;
  return { ...s, backend, knock, rest };
}

t.test('the backend lets in, adds to the user, and refuses with its reason', async (t) => {
  const s = await start(t, ({ body: { user } }) => {
    if (user.id === 'banned') return { allow: false, reason: 'come back never' };
    return { allow: true, user: { id: 'root', name: 'Ann B.', roles: ['editor'] } };
  });
  const ann = await s.client({ token: await tokenFor('ann') });
  t.match(ann.welcome.user, { id: 'ann', name: 'Ann B.', roles: ['editor'] }, 'but never another id');
  const [asked] = s.backend.of('connect');
  t.match(asked, { isSigned: true, body: { via: 'connect', user: { id: 'ann' }, guest: false, address: /127/ } });
  t.same(await (await s.knock('banned')).closed, { code: 4006, reason: 'come back never' });
  ann.cut();
  await s.client({ token: await tokenFor('ann'), session: ann.welcome.session });
  t.match(s.backend.of('connect')[2]?.body, { via: 'resume', sid: ann.welcome.session[0] });
});

t.test('over HTTP the same users are let in; an answer serves for a while', async (t) => {
  const time = new ManualTime();
  const s = await start(t, ({ body: { user } }) => ({ allow: user.id === 'ann' }), {}, { time });
  t.same([await s.rest('ann'), await s.rest('ann'), await s.rest('bob'), await s.rest('bob')], [200, 200, 403, 403]);
  t.equal(s.backend.of('connect').length, 2);
  t.match(s.backend.of('connect')[0]?.body, { via: 'http' });
  s.backend.answer(() => ({ allow: false }));
  await (
    await s.knock('ann')
  ).closed;
  t.equal(await s.rest('ann'), 403, 'what the socket was told counts here at once');
  s.backend.answer(() => ({ allow: true }));
  time.advance(5_100);
  const before = s.backend.received.length;
  t.same(await Promise.all([1, 2, 3].map(() => s.rest('eve'))), [200, 200, 200]);
  t.equal(s.backend.received.length, before + 1, 'those who ask at the same time wait for one answer');
  t.same([await s.rest('ann'), await s.rest('bob')], [200, 200]);
});

t.test('while the backend is away nobody comes in, and is told to come again', async (t) => {
  const s = await start(t, () => ({ allow: true }));
  await s.backend.stop();
  t.match(await (await s.knock('ann')).closed, { code: 4201 });
  t.equal(await s.rest('ann'), 503);
  await s.backend.start();
  t.match((await s.client({ token: await tokenFor('ann') })).welcome.user, { id: 'ann' });
});

t.test(
  'with the stance `allow` everybody with a token comes in while it is away, but not past a wrong answer',
  async (t) => {
    const s = await start(t, status(502), { whenDown: 'allow' });
    t.match((await s.client({ token: await tokenFor('ann') })).welcome.user, { id: 'ann' });
    t.equal(await s.rest('bob'), 200);
    const wrong: Answering[] = [
      status(500),
      status(429),
      status(401),
      ({ response }) => void response.end('welcome!'),
      () => ({ allow: 'yes' }),
      () => ({}),
      () => ({ allow: true, user: { name: 7 } }),
      () => ({ allow: true, user: { more: 'x'.repeat(10_000) } }),
    ];
    for (const answering of wrong) {
      s.backend.answer(answering);
      t.match(await (await s.knock('ann')).closed, { code: 4201 });
    }
  },
);

t.test('rule 1: who hangs up while the backend thinks leaves nothing behind', async (t) => {
  const s = await start(t, () => undefined);
  const client = await s.knock('ann');
  const [asked] = await s.backend.count('connect', 1);
  client.cut();
  await until(() => s.server.stats().connections === 0);
  if (asked !== undefined) json(asked.response, { allow: true });
  s.backend.answer(() => ({ allow: true }));
  await s.client({ token: await tokenFor('bob') });
  t.equal(s.server.stats().sessions, 1);
});

t.test('/metrics says that the backend is away, before users do', async (t) => {
  const s = await start(
    t,
    () => ({ allow: true }),
    {},
    { auth: { secret: SECRET, apiKeys: ['backend-key-0123456789'] } },
  );
  const numbers = async (): Promise<string> =>
    (await fetch(`${s.http}/metrics`, { headers: { authorization: 'Bearer backend-key-0123456789' } })).text();
  await s.client({ token: await tokenFor('ann') });
  t.match(await numbers(), /^roomwire_hook_down 0$/m);
  await s.backend.stop();
  for (let n = 0; n < 5; n++) await (await s.knock('bob')).closed;
  const after = await numbers();
  t.match(after, /^roomwire_hook_down 1$/m);
  t.match(after, /^roomwire_hook_requests_total\{hook="connect"\} 6$/m);
  t.match(after, /^roomwire_hook_failures_total\{hook="connect"\} 5$/m);
});
