/** One round trip to be back: HELLO has the positions, WELCOME answers all of it, the missed events follow. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import type { PluginHost } from '../../src/server/api.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { until } from '../support/until.js';

t.test('after a cut, one HELLO brings exactly the missed events of every topic, after WELCOME', async (t) => {
  const { client, connect, server } = await startOpen(t);
  const first = await client();
  await first.subscribe('chat:1');
  await first.subscribe('chat:2');
  await first.call('keep', { id: '1' });
  const say = (topic: 'chat:1' | 'chat:2', n: number) => server.publish(topic, 'notice', n);
  for (let n = 1; n <= 5; n++) await say('chat:1', n);
  await first.event('chat:1', 'notice', 5);
  const epoch = (await say('chat:2', 1)).epoch;
  await first.event('chat:2', 'notice');
  first.cut();
  for (let n = 6; n <= 9; n++) await say('chat:1', n);
  await server.transact((tx) => tx.publish('kept:1', 'note', 'missed too'));
  const back = connect();
  const resume = { 'chat:1': [epoch, 5], 'chat:2': [epoch, 1], 'kept:1': [epoch, 0] } as const;
  const welcome = await back.hello({ session: first.welcome.session, resume });
  t.strictSame(
    { ...welcome.topics },
    {
      'chat:1': { epoch, offset: 5, recovered: true },
      'chat:2': { epoch, offset: 1, recovered: true },
      'kept:1': { epoch, offset: 0, recovered: true },
    },
  );
  await back.event('chat:1', 'notice', 4);
  await back.event('kept:1', 'note');
  await say('chat:1', 10);
  await back.event('chat:1', 'notice', 5);
  t.strictSame(
    back.events('chat:1').map(([offset, , data]) => [offset, data]),
    [6, 7, 8, 9, 10].map((n) => [n, n]),
  );
  t.strictSame(back.events('chat:2'), []);
  t.equal(back.frames[0]?.[0], Op.WELCOME);
  t.equal(back.frames.filter(([op]) => op === Op.SUBSCRIBED).length, 0, 'WELCOME tells it all');
});

t.test('a topic that HELLO leaves out goes on from now: recovered false', async (t) => {
  const { client, server } = await startOpen(t);
  const first = await client();
  const { epoch } = await first.subscribe('chat:1');
  first.cut();
  await server.publish('chat:1', 'notice', 'missed');
  const back = await client({ session: first.welcome.session });
  t.strictSame(back.welcome.topics['chat:1'], { epoch, offset: 1, recovered: false });
  await server.publish('chat:1', 'notice', 'now');
  await back.event('chat:1', 'notice');
  t.strictSame(
    back.events('chat:1').map(([offset]) => offset),
    [2],
  );
});

t.test(
  'another epoch, a position after the head, or one too old: recovered false, and events from the head on',
  async (t) => {
    const { client, server } = await startOpen(t, { limits: { historyEvents: 4 } });
    const { epoch } = await server.publish('chat:1', 'notice', 1);
    for (let n = 2; n <= 20; n++) await server.publish('chat:1', 'notice', n);
    for (const [why, from] of Object.entries({
      'another epoch': ['x.1', 20],
      'after the head': [epoch, 21],
      'too old': [epoch, 1],
    } as const)) {
      const subscriber = await client({ resume: { 'chat:1': from } });
      t.strictSame(subscriber.welcome.topics['chat:1'], { epoch, offset: 20, recovered: false }, why);
      t.strictSame(await subscriber.subscribe('chat:2', ['x.1', 5]).then(({ recovered }) => recovered), false);
      await subscriber.barrier();
      t.strictSame(subscriber.events('chat:1'), []);
    }
    const recent = await client({ resume: { 'chat:1': [epoch, 17] } });
    t.strictSame(recent.welcome.topics['chat:1'], { epoch, offset: 17, recovered: true });
    await recent.event('chat:1', 'notice', 3);
  },
);

t.test(
  'a new session is told 107 for topics that calls subscribe, 103 for unknown ones, and learns nothing of them',
  async (t) => {
    const { client, server } = await startOpen(t);
    const { epoch } = await server.publish('chat:1', 'notice', 1);
    await server.transact((tx) => tx.publish('kept:1', 'note', 'secret'));
    const stranger = await client({
      session: ['no such session', 'no such secret'],
      resume: { 'chat:1': [epoch, 0], 'kept:1': [epoch, 0], 'no:topic': [epoch, 0] },
    });
    t.equal(stranger.welcome.resumed, false);
    t.strictSame(
      { ...stranger.welcome.topics },
      {
        'chat:1': { epoch, offset: 0, recovered: true },
        'kept:1': { epoch: '', offset: 0, recovered: false, code: 107 },
        'no:topic': { epoch: '', offset: 0, recovered: false, code: 103 },
      },
    );
    await stranger.event('chat:1', 'notice');
    await server.transact((tx) => tx.publish('kept:1', 'note', 'secret'));
    await stranger.barrier();
    t.strictSame(stranger.events('kept:1'), []);
  },
);

t.test('a resume asks the policy again, for every topic', async (t) => {
  let allowed = true;
  const { client, server } = await startOpen(t, {
    policy: { 'chat:{id}': { subscribe: async ({ params }) => allowed || params['id'] === 'open' } },
  });
  const first = await client();
  await first.subscribe('chat:closed');
  await first.subscribe('chat:open');
  first.cut();
  allowed = false;
  const back = await client({ session: first.welcome.session });
  t.equal(back.welcome.resumed, true);
  t.equal(back.welcome.topics['chat:closed']?.code, 106);
  t.equal(back.welcome.topics['chat:open']?.code, undefined);
  t.strictSame([...server.session(back.welcome.session[0])!.topics], ['chat:open']);
  t.equal((await server.publish('chat:closed', 'notice', 1)).matched, 0);
});

t.test("a plugin's word decides whether a resumed session stays in the topics it keeps", async (t) => {
  const asked = new Set<string>();
  const plugin = {
    name: 'keeper',
    setup: (host: PluginHost) => {
      host.onResume('kept:{id}', (tx, session, topic) => {
        asked.add(topic);
        return tx.get('members', `${topic} ${session.user.id}`) === true;
      });
    },
  };
  const { client, server } = await startOpen(t, { plugins: [plugin] });
  const first = await client();
  await first.call('keep', { id: '1' });
  await first.call('keep', { id: '2' });
  await first.subscribe('chat:1');
  await server.transact((tx) => tx.set('members', `kept:1 ${first.welcome.user.id}`, true));
  first.cut();
  const back = await client({ session: first.welcome.session });
  t.strictSame([...asked].sort(), ['kept:1', 'kept:2']);
  t.equal(back.welcome.topics['kept:1']?.code, undefined);
  t.equal(back.welcome.topics['kept:2']?.code, 107);
  t.equal(back.welcome.topics['chat:1']?.code, undefined);
});

t.test('rule 7: a cut and a resume within the grace end nothing and publish nothing', async (t) => {
  const time = new ManualTime();
  const ended: string[] = [];
  const plugin = {
    name: 'watch',
    setup: (host: PluginHost) => {
      host.onSessionEnd((tx, session) => {
        ended.push(session.sid);
        for (const topic of tx.topics(session)) tx.publish(topic, 'notice', 'gone');
      });
    },
  };
  const { client, server } = await startOpen(t, {
    time,
    pingEvery: 1e9,
    plugins: [plugin],
    limits: { graceMs: 5_000 },
  });
  const [other, first] = [await client(), await client()];
  await other.subscribe('chat:1');
  await first.subscribe('chat:1');
  first.cut();
  await until(() => server.session(first.welcome.session[0])?.connected === false);
  time.advance(4_900);
  const back = await client({ session: first.welcome.session });
  time.advance(60_000);
  await back.barrier();
  await other.barrier();
  t.strictSame(ended, []);
  t.strictSame(other.events('chat:1'), []);
  t.strictSame([...server.session(first.welcome.session[0])!.topics], ['chat:1']);
});

t.test('a storm of resumes and large events: all get all, and the server answers others meanwhile', async (t) => {
  const { client, connect, server } = await startOpen(t, { limits: { historyBytes: 16 * 1024 * 1024 } });
  const other = await client();
  const { epoch } = await server.publish('chat:1', 'notice', 1);
  for (let n = 2; n <= 400; n++) void server.publish('chat:1', 'notice', 'x'.repeat(1_000));
  await server.publish('chat:2', 'notice', 1);
  const storm = Array.from({ length: 100 }, () => connect());
  await Promise.all(storm.map((each) => each.open()));
  const resume = { 'chat:1': [epoch, 0], 'chat:2': [epoch, 1] } as const;
  const back = Promise.all(storm.map((each) => each.hello({ resume })));
  for (let n = 0; n < 20; n++) await other.barrier();
  await back;
  // More for all of them than one turn may write.
  for (let n = 0; n < 4; n++) void server.publish('chat:1', 'notice', 'x'.repeat(250_000));
  for (let n = 0; n < 4; n++) void server.publish('chat:2', 'notice', 'x'.repeat(250_000));
  await Promise.all(storm.flatMap((each) => [each.event('chat:1', 'notice', 404), each.event('chat:2', 'notice', 4)]));
  for (const each of storm) t.equal(each.events('chat:1').length + each.events('chat:2').length, 408);
});

t.test('a thousand events missed come in the one stream, in order, with live ones published meanwhile', async (t) => {
  const { client, connect, server } = await startOpen(t, { ringBytes: 4_096 });
  const first = await client();
  const { epoch } = await first.subscribe('chat:1');
  first.cut();
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => server.publish('chat:1', 'notice', n)));
  const back = connect();
  const welcome = back.hello({ session: first.welcome.session, resume: { 'chat:1': [epoch, 0] } });
  for (let n = 1_000; n < 1_100; n++) await server.publish('chat:1', 'notice', n);
  t.equal((await welcome).topics['chat:1']?.recovered, true);
  await back.event('chat:1', 'notice', 1_100);
  t.strictSame(
    back.events('chat:1').map(([offset, , n]) => [offset, n]),
    Array.from({ length: 1_100 }, (_, n) => [n + 1, n]),
  );
});

t.test(
  'a topic that HELLO had no room for goes back to its position with the first SUBSCRIBE, also one of calls',
  async (t) => {
    const { client, server } = await startOpen(t);
    const first = await client();
    const { epoch } = await first.subscribe('chat:1');
    await first.call('keep', { id: '1' });
    const kept = await server.transact((tx) => tx.position('kept:1'));
    first.cut();
    for (const n of [1, 2, 3]) await server.publish('chat:1', 'notice', n);
    await server.transact((tx) => tx.publish('kept:1', 'note', 'missed'));
    const back = await client({ session: first.welcome.session });
    t.match(back.welcome.topics, { 'chat:1': { offset: 3, recovered: false }, 'kept:1': { recovered: false } });
    await server.publish('chat:1', 'notice', 4);
    await back.event('chat:1', 'notice');
    t.strictSame(await back.subscribe('chat:1', [epoch, 1]), { epoch, offset: 1, recovered: true });
    t.strictSame(await back.subscribe('kept:1', kept), { epoch: kept[0], offset: kept[1], recovered: true });
    await back.event('kept:1', 'note');
    await server.publish('chat:1', 'notice', 5);
    await back.event('chat:1', 'notice', 5);
    t.strictSame(
      back.events('chat:1').map(([offset]) => offset),
      [4, 2, 3, 4, 5],
    );
    t.strictSame(
      await back.subscribe('chat:1', [epoch, 1]),
      { epoch, offset: 5, recovered: true },
      'once: the second starts nothing anew',
    );
    t.strictSame(await back.subscribe('chat:1'), { epoch, offset: 5, recovered: true });
    await back.barrier();
    t.equal(back.events('chat:1').length, 5);
  },
);

t.test('what WELCOME recovered, or refused, or another connection had, SUBSCRIBE does not take back', async (t) => {
  const { client, server } = await startOpen(t, { limits: { historyEvents: 4 } });
  const first = await client();
  const { epoch } = await first.subscribe('chat:1');
  await first.call('keep', { id: '1' });
  for (let n = 1; n <= 20; n++) await server.publish('chat:1', 'notice', n);
  await first.event('chat:1', 'notice', 20);
  first.cut();
  const second = await client({ session: first.welcome.session, resume: { 'chat:1': [epoch, 20] } });
  t.match(await second.subscribe('chat:1', [epoch, 18]), { epoch, offset: 20 });
  second.cut();
  const third = await client({ session: second.welcome.session });
  t.strictSame(await third.subscribe('chat:1', [epoch, 1]), { epoch, offset: 20, recovered: false }, 'too old');
  t.match(await third.subscribe('chat:1', [epoch, 18]), { epoch, offset: 20 }, 'that was the first');
  await t.rejects(third.subscribe('kept:2', [epoch, 0]), { code: 107 }, 'a topic that it is not in');
  const session = server.session(third.welcome.session[0]);
  const kept = await server.transact((tx) => {
    if (session) tx.unsubscribe(session, 'kept:1');
    return tx.position('kept:1');
  });
  await t.rejects(third.subscribe('kept:1', kept), { code: 107 }, 'a topic that it was taken out of');
});
