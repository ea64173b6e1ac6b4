/** Sessions outlive connections: grace, takeover, secrets, BYE and kick. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import type { Plugin } from '../../src/server/api.js';
import { gatedStore } from '../support/gated-store.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { testStore } from '../support/server.js';
import { until } from '../support/until.js';

/** Publishes what ends, so that tests see what the others see. */
function farewell(ended: string[] = []): Plugin {
  return {
    name: 'farewell',
    setup(host) {
      host.onSessionEnd((tx, session) => {
        for (const topic of tx.topics(session)) tx.publish(topic, 'notice', `${session.sid} left`);
        tx.afterCommit(() => ended.push(session.sid));
      });
    },
  };
}

t.test('a session ends after its grace: its hooks run, it is in no topic, and nobody can resume it', async (t) => {
  const time = new ManualTime();
  const ended: string[] = [];
  const { client, server } = await startOpen(t, { time, plugins: [farewell(ended)], limits: { graceMs: 5_000 } });
  const [other, first] = [await client(), await client()];
  await other.subscribe('chat:1');
  await first.subscribe('chat:1');
  const [sid] = first.welcome.session;
  const session = server.session(sid)!;
  first.cut();
  await until(() => !session.connected);
  time.advance(4_900);
  await other.barrier();
  t.strictSame(ended, []);
  time.advance(200);
  await other.event('chat:1', 'notice');
  t.strictSame(
    other.events('chat:1').map(([, , data]) => data),
    [`${sid} left`],
  );
  t.strictSame(ended, [sid]);
  t.ok(session.ended);
  t.equal(server.session(sid), undefined);
  const late = await client({ session: first.welcome.session });
  t.equal(late.welcome.resumed, false);
  t.not(late.welcome.session[0], sid);
  await server.transact((tx) => {
    t.strictSame(
      tx.list('subscriptions', { limit: 9 }).map(([key]) => key.split('\0')[0]),
      [other.welcome.session[0]],
    );
    t.equal(tx.list('sessions', { limit: 9 }).length, 2);
  });
});

t.test('HELLO may ask for another grace, up to graceMaxMs', async (t) => {
  const time = new ManualTime();
  const { client, server } = await startOpen(t, { time, limits: { graceMs: 1_000, graceMaxMs: 60_000 } });
  const graces = [0, 30_000, 1e9, undefined];
  const clients = await Promise.all(graces.map((grace) => client(grace === undefined ? {} : { grace })));
  const sessions = clients.map((each) => server.session(each.welcome.session[0])!);
  for (const each of clients) each.cut();
  await until(() => sessions.every((session) => !session.connected));
  const alive = async (ms: number): Promise<boolean[]> => {
    time.advance(ms);
    await server.transact((tx) => tx.now);
    return sessions.map((session) => !session.ended);
  };
  t.strictSame(await alive(100), [false, true, true, true]);
  t.strictSame(await alive(1_000), [false, true, true, false]);
  t.strictSame(await alive(29_000), [false, false, true, false]);
  t.strictSame(await alive(30_000), [false, false, false, false]);
});

t.test(
  'the same page takes its session over; the old connection is closed with 4008 and disturbs nothing',
  async (t) => {
    const { client, server } = await startOpen(t);
    const first = await client({ instance: 'page' });
    await first.subscribe('chat:1');
    const second = await client({ instance: 'page', session: first.welcome.session });
    t.equal(second.welcome.resumed, true);
    t.equal((await first.closed).code, 4008);
    t.equal((await server.publish('chat:1', 'notice', 1)).matched, 1);
    await second.event('chat:1', 'notice');
    t.equal(server.session(first.welcome.session[0])?.connected, true);
  },
);

t.test(
  'a copied tab has the ticket but another instance: it gets a session of its own, and the first keeps its',
  async (t) => {
    const { client } = await startOpen(t);
    const first = await client({ instance: 'page' });
    const copy = await client({ instance: 'its copy', session: first.welcome.session });
    t.equal(copy.welcome.resumed, false);
    t.not(copy.welcome.session[0], first.welcome.session[0]);
    await first.barrier();
    const again = await client({ instance: 'page', session: first.welcome.session });
    t.equal(again.welcome.resumed, true);
  },
);

t.test('the secret rotates: the old one is good until a frame shows that the new one arrived, then dead', async (t) => {
  const { client } = await startOpen(t);
  const first = await client();
  const { session: one } = first.welcome;
  const second = await client({ session: one });
  const { session: two } = second.welcome;
  t.equal(second.welcome.resumed, true);
  t.equal(one[0], two[0]);
  t.not(one[1], two[1]);
  // As if that WELCOME had been lost: the first ticket is still good.
  const third = await client({ session: one });
  t.equal(third.welcome.resumed, true);
  await third.barrier();
  for (const [which, old] of Object.entries({ one, two })) {
    const thief = await client({ session: old });
    t.equal(thief.welcome.resumed, false, `secret ${which} is dead`);
  }
  const fourth = await client({ session: third.welcome.session });
  t.equal(fourth.welcome.resumed, true);
});

t.test('a secret that died stays dead though the store did not take the note of it', async (t) => {
  const store = gatedStore(testStore(t));
  const { client } = await startOpen(t, { store });
  const first = await client();
  const second = await client({ session: first.welcome.session });
  store.fail('refused');
  await second.barrier();
  const thief = await client({ session: first.welcome.session });
  t.equal(thief.welcome.resumed, false);
  second.cut();
  t.equal((await client({ session: second.welcome.session })).welcome.resumed, true);
});

t.test(
  'two connections with one ticket at the same time: one has the session in the end, and its secret works',
  async (t) => {
    const { client, connect } = await startOpen(t);
    const first = await client();
    const rivals = [connect(), connect()];
    const welcomes = await Promise.all(rivals.map((each) => each.hello({ session: first.welcome.session })));
    t.strictSame(
      welcomes.map(({ resumed }) => resumed),
      [true, true],
    );
    const codes = await Promise.race(rivals.map(async (each, i) => ({ loser: i, code: (await each.closed).code })));
    t.equal(codes.code, 4008);
    const winner = rivals[1 - codes.loser]!;
    await winner.barrier();
    const next = await client({ session: welcomes[1 - codes.loser]!.session });
    t.equal(next.welcome.resumed, true);
  },
);

t.test('a takeover that dies before its WELCOME leaves the first connection its session and its secret', async (t) => {
  const store = gatedStore(testStore(t));
  const { client, connect, server } = await startOpen(t, { store });
  const first = await client();
  await first.subscribe('chat:1');
  store.hold();
  const second = connect();
  const welcome = second.hello({ session: first.welcome.session }).catch(() => undefined);
  await store.held();
  second.cut();
  await welcome;
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  store.release();
  await first.barrier();
  t.equal((await server.publish('chat:1', 'notice', 1)).matched, 1);
  await first.event('chat:1', 'notice');
  first.cut();
  const back = await client({ session: first.welcome.session });
  t.equal(back.welcome.resumed, true);
});

t.test('a client that leaves before its first WELCOME leaves no session behind', async (t) => {
  const time = new ManualTime();
  const store = gatedStore(testStore(t));
  const { connect, server } = await startOpen(t, { store, time });
  store.hold();
  const first = connect();
  const welcome = first.hello().catch(() => undefined);
  await store.held();
  first.cut();
  await welcome;
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  store.release();
  const left = (): Promise<number> => server.transact((tx) => tx.list('sessions', { limit: 9 }).length);
  t.equal(await left(), 1);
  time.advance(100);
  t.equal(await left(), 0);
});

t.test('BYE ends the session at once: close 4009, hooks, and nothing to resume', async (t) => {
  const ended: string[] = [];
  const { client, server } = await startOpen(t, { plugins: [farewell(ended)] });
  const [other, leaving] = [await client(), await client()];
  await other.subscribe('chat:1');
  await leaving.subscribe('chat:1');
  leaving.send(
    [Op.PUBLISH, 0, 'chat:1', 'message', null, 'bye'],
    [Op.BYE],
    [Op.PUBLISH, 0, 'chat:1', 'message', null, '?'],
  );
  t.equal((await leaving.closed).code, 4009);
  await other.event('chat:1', 'notice');
  t.strictSame(
    other.events('chat:1').map(([, , data]) => data),
    ['bye', `${leaving.welcome.session[0]} left`],
  );
  t.equal(server.session(leaving.welcome.session[0]), undefined);
  t.equal((await client({ session: leaving.welcome.session })).welcome.resumed, false);
});

t.test('a kick ends the session with 4007, now or in its grace, and rejects when the store refuses it', async (t) => {
  const store = gatedStore(testStore(t));
  const { client, server } = await startOpen(t, { store });
  const [here, away] = [await client(), await client()];
  const session = (each: typeof here) => server.session(each.welcome.session[0])!;
  const [first, second] = [session(here), session(away)];
  store.fail('refused');
  await t.rejects(server.kick(first, 'enough'), { code: 203 });
  t.notOk(first.connected, 'at once, whatever the store says');
  await server.kick(first, 'enough');
  t.strictSame(await here.closed, { code: 4007, reason: 'enough' });
  t.strictSame(await here.frame(([op]) => op === Op.GOAWAY), [Op.GOAWAY, 4007, 'enough', 0]);
  away.cut();
  await until(() => !second.connected);
  await server.kick(second);
  t.ok(second.ended);
  await server.kick(second);
});

t.test('who could not be told of a kick is told at the return, for as long as the grace', async (t) => {
  const time = new ManualTime();
  const { client, connect, server } = await startOpen(t, { time, limits: { graceMs: 5_000 } });
  const away = await client();
  const { session: ticket } = away.welcome;
  const session = server.session(ticket[0])!;
  away.cut();
  await until(() => !session.connected);
  await server.kick(session);
  const back = connect();
  await t.rejects(back.hello({ session: ticket }));
  t.match(await back.closed, { code: 4007 });
  const thief = await client({ session: [ticket[0], 'a guess'] });
  t.not(thief.welcome.session[0], ticket[0], 'who has not the secret learns nothing');
  time.advance(5_100);
  t.equal((await client({ session: ticket })).welcome.resumed, false);
});
