/** A store that refuses, does not know, or comes late: nothing is told that did not happen, and nothing is lost that was told. */
import t from 'tap';
import { Op, type Value } from '../../src/protocol/frames.js';
import { memoryStore } from '../../src/store/memory.js';
import { gatedStore } from '../support/gated-store.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { testStore } from '../support/server.js';
import type { WireClient } from '../support/wire-client.js';
import { until } from '../support/until.js';
import { asyncStore } from '../store/async-store.js';

t.test('a refused batch: every request of it is answered 203 and nothing of it is visible', async (t) => {
  const store = gatedStore(testStore(t));
  const time = new ManualTime();
  const { client, server, log } = await startOpen(t, { store, time, pingEvery: 1e9 });
  const [writer, reader] = [await client(), await client()];
  await writer.subscribe('chat:1');
  await reader.subscribe('chat:1');
  store.fail('refused');
  const direct = server.publish('chat:1', 'notice', 'refused');
  const work = server.transact((tx) => tx.set('docs', 'k', 1));
  writer.send(
    [Op.PUBLISH, 301, 'chat:1', 'message', null, 'refused'],
    [Op.PUBLISH, 302, 'chat:1', 'message', 'key', 'refused'],
    [Op.PUBLISH, 0, 'chat:1', 'message', null, 'refused'],
    [Op.CALL, 303, 'keep', { id: '1' }],
    [Op.SUBSCRIBE, 304, 'chat:2', null],
    [Op.UNSUBSCRIBE, 305, 'chat:1'],
  );
  // The frames and the direct ones may come in two ticks: the first batch fails, and the others are good.
  await t.rejects(direct, { name: 'store_unavailable', code: 203 });
  await t.rejects(work, { name: 'store_unavailable' });
  store.fail('refused');
  const answers = await Promise.allSettled([301, 302, 303, 304, 305].map((id) => writer.answer(id)));
  await writer.barrier();
  const refused = answers.filter(({ status }) => status === 'rejected');
  for (const each of refused) t.match(each, { reason: { code: 203 } });
  t.ok(refused.length === 5 || refused.length === 0);
  const { ready } = server;
  t.equal(ready, refused.length === 0);
  t.notOk(reader.frames.some((frame) => frame[0] === Op.EVENTS && refused.length > 0));
  t.strictSame(await server.transact((tx) => tx.get('docs', 'k')), undefined);
  t.match(log.errors[0]?.message, 'the store does not take commits');
});

t.test('a refused batch leaves nothing behind: its offsets and topics are given to the next', async (t) => {
  const store = gatedStore(testStore(t));
  const { client, server } = await startOpen(t, { store });
  const reader = await client();
  await reader.subscribe('chat:1');
  t.match(await server.publish('chat:1', 'notice', 'one'), { offset: 1 });
  store.fail('refused');
  await t.rejects(server.publish('chat:1', 'notice', 'refused'), { code: 203 });
  t.equal(server.ready, false);
  store.fail('refused');
  await t.rejects(reader.call('keep', { id: '1' }), { code: 203 });
  t.strictSame([...server.session(reader.welcome.session[0])!.topics], ['chat:1']);
  t.match(await server.publish('chat:1', 'notice', 'two'), { offset: 2 });
  t.equal(server.ready, true);
  await reader.event('chat:1', 'notice', 2);
  t.strictSame(
    reader.events('chat:1').map(([offset, , data]) => [offset, data]),
    [
      [1, 'one'],
      [2, 'two'],
    ],
  );
});

for (const outcome of ['unknown, applied', 'unknown, not applied'] as const) {
  t.test(
    `an outcome that is ${outcome}: the same batch is tried again before any later one, and told once`,
    async (t) => {
      const store = gatedStore(testStore(t));
      const time = new ManualTime();
      const { client, server } = await startOpen(t, { store, time, pingEvery: 1e9 });
      const [writer, reader] = [await client(), await client()];
      await writer.subscribe('chat:1');
      await reader.subscribe('chat:1');
      const before = store.tries.length;
      store.fail(outcome, outcome, outcome);
      const first = server.publish('chat:1', 'notice', 1);
      await until(() => !server.ready);
      const later = [2, 3].map((n) => writer.publish('chat:1', 'message', n));
      await writer.barrier();
      t.strictSame(reader.events('chat:1'), [], 'nothing is told before it is known');
      const told = Promise.all([first, ...later]);
      let done = false;
      void told.then(() => (done = true));
      while (!done) {
        time.advance(100);
        await new Promise((resolve) => setImmediate(resolve));
      }
      t.strictSame(
        (await told).map(({ offset }) => offset),
        [1, 2, 3],
      );
      await reader.barrier();
      t.strictSame(
        reader.events('chat:1').map(([offset, , data]) => [offset, data]),
        [
          [1, 1],
          [2, 2],
          [3, 3],
        ],
      );
      const tries = store.tries.slice(before);
      t.strictSame(tries.slice(0, 4), Array<number>(4).fill(tries[0]!));
      t.equal(server.ready, true);
    },
  );
}

t.test('a server that nobody uses learns by itself that the store answers again', async (t) => {
  const store = gatedStore(testStore(t));
  const time = new ManualTime();
  const { server } = await startOpen(t, { store, time });
  store.fail('refused', 'refused');
  await t.rejects(server.publish('chat:1', 'notice', 1), { code: 203 });
  t.equal(server.ready, false);
  for (let i = 0; i < 100 && !server.ready; i++) {
    time.advance(200);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(server.ready, true);
});

t.test(
  'HELLO waits for a store that does not answer, and is told to come again: never that it came too late',
  async (t) => {
    const store = gatedStore(testStore(t));
    const time = new ManualTime();
    const { connect } = await startOpen(t, { store, time });
    store.hold();
    const waiting = connect();
    const welcome = waiting.hello();
    await store.held();
    time.advance(60_000);
    store.release();
    await welcome;
    store.fail('refused');
    const refused = connect();
    await t.rejects(refused.hello());
    t.equal((await refused.closed).code, 4201);
  },
);

t.test('a session whose end the store refuses is ended at the next try', async (t) => {
  const store = gatedStore(testStore(t));
  const time = new ManualTime();
  const { client, server } = await startOpen(t, { store, time, limits: { graceMs: 1_000 } });
  const first = await client();
  const session = server.session(first.welcome.session[0])!;
  first.cut();
  await until(() => !session.connected);
  const before = store.tries.length;
  store.fail('refused');
  time.advance(1_100);
  await until(() => store.tries.length > before);
  await server.transact((tx) => tx.now);
  t.equal(session.ended, false);
  time.advance(1_100);
  await until(() => session.ended);
});

t.test('on a store that answers late and fails at random: what is acknowledged is there, in order, once', async (t) => {
  const { connect, server } = await startOpen(t, {
    store: asyncStore(memoryStore(), { seed: 11, failEvery: 4 }),
  });
  const join = async (): Promise<WireClient> => {
    for (;;) {
      const each = connect();
      if (await each.hello().catch(() => undefined)) return each;
      t.equal((await each.closed).code, 4201);
    }
  };
  /** Until it is taken; every refusal must say that it may be tried again. */
  const insist = async <T>(work: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if ((error as { code?: number }).code !== 203) throw error;
      }
    }
  };
  const clients = await Promise.all(Array.from({ length: 4 }, join));
  for (const each of clients) await insist(() => each.subscribe('chat:1'));
  const acked = new Map<number, Value>();
  await Promise.all(
    clients.map(async (each, i) => {
      for (let n = 0; n < 25; n++) {
        const { offset } = await insist(() => each.publish('chat:1', 'message', [i, n]));
        t.notOk(acked.has(offset));
        acked.set(offset, [i, n]);
      }
    }),
  );
  for (const each of clients) {
    await each.event('chat:1', 'message', 100);
    t.strictSame(
      each.events('chat:1').map(([offset]) => offset),
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    for (const [offset, , data] of each.events('chat:1')) t.strictSame(acked.get(offset), data);
  }
  await until(() => server.ready);
});
