/** What a plugin may say between a good token and the rights it gives: refuse, or add to the user. */
import t from 'tap';
import { RoomwireError } from '../../src/protocol/errors.js';
import { Op } from '../../src/protocol/frames.js';
import type { Arrival, Plugin, PluginHost, User } from '../../src/server/api.js';
import { startOpen } from '../support/open-server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

function plugin(setup: (host: PluginHost) => void): readonly [Plugin] {
  return [{ name: 'test', setup }];
}

t.test('who comes is refused, sent away until later, or let in with more than the token says', async (t) => {
  const seen: Arrival[] = [];
  const s = await startOpen(t, {
    auth: { secret: SECRET },
    plugins: plugin((host) => {
      host.onArrival(async (arrival) => {
        seen.push(arrival);
        if (arrival.user.id === 'banned') throw new RoomwireError('forbidden', 'you are banned');
        if (arrival.user.id === 'unlucky') throw new RoomwireError('backend_unavailable');
        return { ...arrival.user, plan: 'free' } as User;
      });
      host.onArrival(({ user }) => (user.id === 'ann' ? { ...user, id: 'eve' } : undefined));
    }),
  });
  const come = async (sub: string) => {
    const client = s.connect();
    await client.open();
    client.send([Op.HELLO, 1, { instance: 'test', token: await tokenFor(sub) }]);
    return client;
  };
  t.same(await (await come('banned')).closed, { code: 4006, reason: 'you are banned' });
  t.match(await (await come('unlucky')).closed, { code: 4201 });
  t.match(await (await come('ann')).closed, { code: 4006 }, 'nobody becomes another');
  const bob = await s.client({ token: await tokenFor('bob', { groups: ['x'] }) });
  t.match(bob.welcome.user, { id: 'bob', groups: ['x'], plan: 'free' });
  await bob.request(Op.AUTH, await tokenFor('bob'));
  t.match(s.server.session(bob.welcome.session[0])?.user, { id: 'bob', plan: 'free' }, 'a new token keeps it');
  bob.cut();
  await s.client({ token: await tokenFor('bob'), session: bob.welcome.session });
  t.match(
    seen.slice(3).map(({ via, user, sid }) => [via, user.id, sid !== undefined]),
    [
      ['connect', 'bob', false],
      ['renew', 'bob', true],
      ['resume', 'bob', true],
    ],
  );
});

t.test('rule 9: who may not come in may not ask over HTTP either', async (t) => {
  const s = await startOpen(t, {
    auth: { secret: SECRET },
    plugins: plugin((host) => {
      host.onArrival(({ via, user }) => {
        if (user.id === 'banned') throw new RoomwireError('forbidden', `not over ${via}`);
      });
      host.onRequest(async (request) => {
        const answer = (body: string) => ({ status: 200, headers: {}, body });
        return host.authenticate(request).then(
          ({ user }) => answer(`hello ${user.id}`),
          (error: RoomwireError) => answer(`${error.name}: ${error.message}`),
        );
      });
    }),
  });
  const ask = async (sub: string) =>
    (await fetch(s.http, { headers: { authorization: `Bearer ${await tokenFor(sub)}` } })).text();
  t.equal(await ask('ann'), 'hello ann');
  t.equal(await ask('banned'), 'forbidden: not over http');
});

t.test(
  'at a resume a rule says who stays in a topic that a call subscribed, and the plugin ends what it keeps',
  async (t) => {
    const ended: [string, boolean][] = [];
    const answers: Record<string, () => boolean> = {
      'kept:yes': () => true,
      'kept:no': () => false,
      'kept:broken': () => {
        throw new Error('the rule is broken');
      },
    };
    const s = await startOpen(t, {
      plugins: plugin((host) => {
        host.topicPolicy('kept:{id}', { resume: async ({ topic }) => (answers[topic] as () => boolean)() });
        host.onResume('kept:{id}', (_tx, _session, topic, refused) => {
          ended.push([topic, refused]);
          return !refused;
        });
      }),
    });
    const client = await s.client();
    for (const id of ['yes', 'no', 'broken']) await client.call('keep', { id });
    client.cut();
    const { session } = client.welcome;
    const back = await s.client({ session });
    t.match(back.welcome, {
      resumed: true,
      topics: { 'kept:yes': { code: undefined }, 'kept:no': { code: 106 }, 'kept:broken': { code: 130 } },
    });
    t.same(Object.fromEntries(ended), { 'kept:yes': false, 'kept:no': true, 'kept:broken': true });
    t.same([...(s.server.session(session[0])?.topics ?? [])], ['kept:yes']);

    answers['kept:yes'] = () => {
      throw new RoomwireError('backend_unavailable');
    };
    back.cut();
    const away = s.connect();
    await away.open();
    away.send([Op.HELLO, 1, { instance: 'test', session: back.welcome.session }]);
    t.match(await away.closed, { code: 4201 }, 'who cannot be judged comes again later');
    answers['kept:yes'] = () => true;
    const again = await s.client({ session: back.welcome.session });
    t.match(again.welcome, { resumed: true, topics: { 'kept:yes': { code: undefined } } }, 'and is in it still');
  },
);

t.test('a call that was cancelled while its rule took its time does not happen', async (t) => {
  let allow: (yes: boolean) => void = () => undefined;
  const slow = new Promise<boolean>((resolve) => (allow = resolve));
  let calls = 0;
  const s = await startOpen(t, {
    without: ['echo'],
    setup: (server) => server.handle('echo', () => ++calls),
    callPolicy: { echo: ({ input }) => (input === 'slow' ? slow : true) },
  });
  const client = await s.client();
  client.send([Op.CALL, 77, 'echo', 'slow'], [Op.CANCEL, 77]);
  await t.rejects(client.answer(77), { code: 113 });
  allow(true);
  t.equal(await client.call('echo', 'quick'), 1, 'only this one happened');
});
