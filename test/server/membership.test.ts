/** Joining and leaving are moments of the log: what comes before, what after, and nothing in between. */
import t from 'tap';
import { Op, type Value } from '../../src/protocol/frames.js';
import { gatedStore } from '../support/gated-store.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen, type OpenServer } from '../support/open-server.js';
import { testStore } from '../support/server.js';
import { until } from '../support/until.js';

const isOf =
  (op: number, second?: Value) =>
  ([code, value]: Value[]): boolean =>
    code === op && (second === undefined || value === second);

t.test(
  "rule 1: SUBSCRIBED comes before the call's ACK and before the first EVENTS, and no event is missed",
  async (t) => {
    const { client, server } = await startOpen(t);
    let published = 0;
    const publish = (): Promise<unknown> => server.publish('kept:1' as never, 'note' as never, ++published as never);
    const joining = await Promise.all(Array.from({ length: 8 }, () => client()));
    const calls = joining.map((each, i) => {
      each.send([Op.CALL, 500, 'keep', { id: '1' }]);
      return i % 2 === 0 ? publish() : each.answer(500);
    });
    await Promise.all(calls);
    for (let n = 0; n < 20; n++) await publish();
    for (const each of joining) {
      await until(() => each.events('kept:1').at(-1)?.[0] === published);
      const subscribed = each.frames.findIndex(isOf(Op.SUBSCRIBED, 'kept:1'));
      const ack = each.frames.findIndex(isOf(Op.ACK, 500));
      const events = each.frames.findIndex(isOf(Op.EVENTS, 'kept:1'));
      t.ok(subscribed >= 0 && subscribed < ack && subscribed < events);
      const [, , , from] = each.frames[subscribed] as [number, string, string, number];
      t.strictSame(
        each.events('kept:1').map(([offset]) => offset),
        Array.from({ length: published - from }, (_, i) => from + 1 + i),
      );
    }
  },
);

t.test('the ACK of SUBSCRIBE comes before the first EVENTS, which go on after its position', async (t) => {
  const { client, server } = await startOpen(t);
  for (let n = 0; n < 3; n++) await server.publish('chat:1', 'notice', n);
  const subscriber = await client();
  const ack = subscriber.subscribe('chat:1');
  const publishing = Promise.all([3, 4, 5, 6].map((n) => server.publish('chat:1', 'notice', n)));
  const { offset } = await ack;
  await publishing;
  await server.publish('chat:1', 'notice', 'last');
  await until(() => subscriber.events('chat:1').at(-1)?.[2] === 'last');
  t.ok(subscriber.frames.findIndex(isOf(Op.ACK)) < subscriber.frames.findIndex(isOf(Op.EVENTS)));
  t.equal(subscriber.events('chat:1')[0]?.[0], offset + 1);
});

t.test('in the middle of a batch a join gets exactly the later events, a leave exactly the earlier ones', async (t) => {
  const { client, server } = await startOpen(t);
  const [joining, leaving] = [await client(), await client()];
  await leaving.call('keep', { id: '1' });
  const session = (each: { welcome: { session: readonly [string, string] } }) =>
    server.session(each.welcome.session[0])!;
  const publish = (n: number): void =>
    void server.transact((tx) => {
      tx.publish('kept:1', 'note', n);
    });
  publish(1);
  publish(2);
  void server.transact((tx) => tx.subscribe(session(joining), 'kept:1'));
  publish(3);
  void server.transact((tx) => tx.unsubscribe(session(leaving), 'kept:1'));
  publish(4);
  publish(5);
  await until(() => joining.events('kept:1').length === 3);
  await leaving.frame(isOf(Op.REMOVED, 'kept:1'));
  await leaving.barrier();
  t.strictSame(
    joining.events('kept:1').map(([offset, , data]) => [offset, data]),
    [
      [3, 3],
      [4, 4],
      [5, 5],
    ],
  );
  t.strictSame(
    leaving.events('kept:1').map(([offset, , data]) => [offset, data]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  );
  t.ok(leaving.frames.findIndex(isOf(Op.REMOVED)) > leaving.frames.findLastIndex(isOf(Op.EVENTS)));
});

t.test('UNSUBSCRIBE: the events before it are delivered, then REMOVED, then the ACK, and nothing after', async (t) => {
  const { client } = await startOpen(t);
  const [leaving, staying] = [await client(), await client()];
  await leaving.subscribe('chat:1');
  await staying.subscribe('chat:1');
  leaving.send(
    [Op.PUBLISH, 0, 'chat:1', 'message', null, 'before'],
    [Op.UNSUBSCRIBE, 700, 'chat:1'],
    [Op.PUBLISH, 0, 'chat:1', 'message', null, 'after'],
  );
  await staying.event('chat:1', 'message', 2);
  await leaving.answer(700);
  await leaving.barrier();
  t.strictSame(
    leaving.events('chat:1').map(([, , data]) => data),
    ['before'],
  );
  const places = [Op.EVENTS, Op.REMOVED, Op.ACK].map((op) => leaving.frames.findLastIndex(isOf(op)));
  t.strictSame(
    places,
    places.toSorted((a, b) => a - b),
  );
  t.strictSame(leaving.frames[places[1]!], [Op.REMOVED, 'chat:1', 0, 'left']);
});

t.test('subscriptions of one message build on each other: leave after join, join again after leave', async (t) => {
  const { client, server } = await startOpen(t);
  const subscriber = await client();
  subscriber.send(
    [Op.SUBSCRIBE, 11, 'chat:1', null],
    [Op.UNSUBSCRIBE, 12, 'chat:1'],
    [Op.UNSUBSCRIBE, 13, 'chat:1'],
    [Op.SUBSCRIBE, 14, 'chat:1', null],
  );
  await subscriber.answer(11);
  await subscriber.answer(12);
  await t.rejects(subscriber.answer(13), { code: 108 });
  await subscriber.answer(14);
  await server.publish('chat:1', 'notice', 'once');
  await subscriber.event('chat:1', 'notice');
  await subscriber.barrier();
  t.equal(subscriber.events('chat:1').length, 1);
});

t.test('a second SUBSCRIBE of the same topic starts nothing anew and says where it stands', async (t) => {
  const { client, server } = await startOpen(t);
  const subscriber = await client();
  const { epoch } = await subscriber.subscribe('chat:1');
  for (let n = 0; n < 3; n++) await server.publish('chat:1', 'notice', n);
  await subscriber.event('chat:1', 'notice', 3);
  t.strictSame(await subscriber.subscribe('chat:1', [epoch, 1]), { epoch, offset: 3, recovered: true });
  await server.publish('chat:1', 'notice', 3);
  await subscriber.event('chat:1', 'notice', 4);
  t.strictSame(
    subscriber.events('chat:1').map(([offset]) => offset),
    [1, 2, 3, 4],
  );
});

t.test(
  'rule 1: a client that disconnects while its join is committed reaches nobody, and finds the topic when it resumes',
  async (t) => {
    const store = gatedStore(testStore(t));
    const { client, server } = await startOpen(t, { store });
    const joining = await client();
    const [sid] = joining.welcome.session;
    store.hold();
    joining.send([Op.SUBSCRIBE, 21, 'chat:1', null]);
    await store.held();
    joining.cut();
    await until(() => server.session(sid)?.connected === false);
    store.release();
    t.equal((await server.publish('chat:1', 'notice', 'nobody')).matched, 0);
    const back = await client({ session: joining.welcome.session });
    t.equal(back.welcome.resumed, true);
    t.equal(back.welcome.topics['chat:1']?.code, undefined);
    t.equal((await server.publish('chat:1', 'notice', 'one')).matched, 1);
    await back.event('chat:1', 'notice');
  },
);

t.test('rule 1: a join and a takeover in one batch: the new connection is in the topic and knows it', async (t) => {
  const store = gatedStore(testStore(t));
  const { client, connect, server } = await startOpen(t, { store });
  const first = await client();
  store.hold();
  first.send([Op.CALL, 30, 'echo', 1]);
  void server.transact((tx) => tx.nextVersion());
  await store.held();
  // Both wait for the commit at the gate and come into the next batch.
  first.send([Op.CALL, 31, 'keep', { id: '1' }]);
  await first.barrier();
  const second = connect();
  const welcome = second.hello({ session: first.welcome.session });
  await second.open();
  await until(() => server.session(first.welcome.session[0])?.connected === true);
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  store.release();
  const { resumed, topics } = await welcome;
  t.equal(resumed, true);
  t.match(topics['kept:1'], { offset: 0, recovered: false });
  t.equal((await first.closed).code, 4008);
  await server.transact((tx) => tx.publish('kept:1', 'note', 'for the new one'));
  await second.event('kept:1', 'note');
});

t.test('rule 1: a takeover and a late SUBSCRIBE of the old connection in one batch: the new one is told', async (t) => {
  const store = gatedStore(testStore(t));
  const { client, connect, server } = await startOpen(t, { store });
  const first = await client();
  const second = connect();
  let welcome: ReturnType<typeof second.hello> | undefined;
  await inOneBatch(store, server, [
    async () => {
      welcome = second.hello({ session: first.welcome.session });
      await second.open();
      for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
    },
    async () => {
      first.send([Op.SUBSCRIBE, 35, 'chat:1', null]);
      await first.barrier();
    },
  ]);
  t.strictSame({ ...(await welcome)?.topics }, {});
  await second.frame(isOf(Op.SUBSCRIBED, 'chat:1'));
  await server.publish('chat:1', 'notice', 1);
  await second.event('chat:1', 'notice');
});

t.test('a takeover in a topic that was never written keeps the subscription', async (t) => {
  const { client, server } = await startOpen(t);
  const first = await client();
  await first.subscribe('chat:1');
  const second = await client({ session: first.welcome.session });
  t.equal((await server.publish('chat:1', 'notice', 1)).matched, 1);
  await second.event('chat:1', 'notice');
});

/** Holds the store back while `first`, then `second` are queued: both end in one batch. */
async function inOneBatch(
  store: ReturnType<typeof gatedStore>,
  server: OpenServer,
  steps: readonly (() => Promise<unknown> | void)[],
): Promise<void> {
  store.hold();
  void server.transact((tx) => tx.nextVersion());
  await store.held();
  for (const step of steps) await step();
  store.release();
}

t.test('a session that resumes just before its grace ends lives on, also in the same batch', async (t) => {
  const store = gatedStore(testStore(t));
  const time = new ManualTime();
  const { client, connect, server } = await startOpen(t, { store, time, limits: { graceMs: 1_000 } });
  const first = await client();
  await first.subscribe('chat:1');
  first.cut();
  const [sid] = first.welcome.session;
  await until(() => server.session(sid)?.connected === false);
  const second = connect();
  let welcome: ReturnType<typeof second.hello> | undefined;
  await inOneBatch(store, server, [
    async () => {
      welcome = second.hello({ session: first.welcome.session });
      await second.open();
      // HELLO is verified and its transaction queued some turns later; it has no other sign.
      for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
    },
    () => time.advance(2_000),
  ]);
  t.equal((await welcome)?.resumed, true);
  t.equal((await server.publish('chat:1', 'notice', 1)).matched, 1);
  await second.event('chat:1', 'notice');
  t.equal(server.session(sid)?.ended, false);
});

t.test('a HELLO that comes just after the grace ended gets a new session, also in the same batch', async (t) => {
  const store = gatedStore(testStore(t));
  const time = new ManualTime();
  const { client, connect, server } = await startOpen(t, { store, time, limits: { graceMs: 1_000 } });
  const first = await client();
  const { epoch } = await first.subscribe('chat:1');
  await first.call('keep', { id: '1' });
  first.cut();
  const [sid] = first.welcome.session;
  await until(() => server.session(sid)?.connected === false);
  const second = connect();
  let welcome: ReturnType<typeof second.hello> | undefined;
  await inOneBatch(store, server, [
    () => time.advance(2_000),
    async () => {
      const resume = { 'chat:1': [epoch, 0], 'kept:1': [epoch, 0] } as const;
      welcome = second.hello({ session: first.welcome.session, resume });
      await second.open();
      for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
    },
  ]);
  const { resumed, session, topics } = (await welcome)!;
  t.equal(resumed, false);
  t.not(session[0], sid);
  t.equal(topics['chat:1']?.code, undefined);
  t.equal(topics['kept:1']?.code, 107);
  t.equal((await server.publish('chat:1', 'notice', 1)).matched, 1);
  await second.event('chat:1', 'notice');
});

t.test('a session that was ended joins nothing any more, also in the same batch', async (t) => {
  const store = gatedStore(testStore(t));
  const { client, server } = await startOpen(t, { store });
  const leaving = await client();
  const [sid] = leaving.welcome.session;
  await inOneBatch(store, server, [
    async () => {
      leaving.send([Op.CALL, 40, 'keep', { id: '1' }], [Op.SUBSCRIBE, 41, 'chat:1', null]);
      await leaving.barrier();
    },
    () => void server.kick(server.session(sid)!),
  ]);
  t.equal((await leaving.closed).code, 4007);
  await server.transact((tx) => t.strictSame(tx.list('subscriptions', { limit: 10 }), []));
  t.equal((await server.publish('chat:1', 'notice', 1)).matched, 0);
});

t.test(
  'a dropped topic takes everyone out after its last event, and has a new epoch when it is made again',
  async (t) => {
    const { client, server } = await startOpen(t);
    const [member, late] = [await client(), await client()];
    const before = await member.call<{ position: [string, number] }>('keep', { id: '1' });
    const session = server.session(late.welcome.session[0])!;
    await server.transact((tx) => {
      tx.publish('kept:1', 'note', 'last words');
      tx.subscribe(session, 'kept:1');
      tx.dropTopic('kept:1', { code: 'room_not_found', reason: 'deleted' });
      tx.publish('kept:1', 'note', 'a new life');
    });
    for (const each of [member, late]) {
      t.strictSame(await each.frame(isOf(Op.REMOVED, 'kept:1')), [Op.REMOVED, 'kept:1', 120, 'deleted']);
    }
    t.strictSame(
      member.events('kept:1').map(([, , data]) => data),
      ['last words'],
    );
    t.strictSame(late.events('kept:1'), []);
    await server.transact((tx) => t.strictSame(tx.list('subscriptions', { limit: 10 }), []));
    const after = await member.call<{ position: [string, number] }>('keep', { id: '1' });
    t.not(after.position[0], before.position[0]);
    t.equal(after.position[1], 1);
  },
);
