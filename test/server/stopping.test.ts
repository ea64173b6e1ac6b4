/** An orderly stop: what was begun is answered, up to a limit, and a server that lost its store says so and ends. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { Op } from '../../src/protocol/frames.js';
import { json } from '../../src/http/problem.js';
import { memoryStore } from '../../src/store/memory.js';
import { StoreError, type Store } from '../../src/store/store.js';
import { startOpen } from '../support/open-server.js';
import { startRooms } from '../support/rooms.js';
import { ManualTime } from '../support/manual-time.js';
import { gatedStore } from '../support/gated-store.js';
import { testStore } from '../support/server.js';
import { engines } from '../transport/start.js';
import { until } from '../support/until.js';
import type { WireClient } from '../support/wire-client.js';

/** A promise and what settles it. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

/** Long enough for a stop that waits for nothing. */
async function turns(): Promise<void> {
  for (let i = 0; i < 500; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** What may be under way when a stop begins; each is alone in its test, so that nothing else is waited for. */
const underWay: Readonly<
  Record<string, (s: { each: WireClient; http: string }) => { readonly answer: Promise<unknown>; readonly is: unknown }>
> = {
  'a call': ({ each }) => ({ answer: each.call('echo', 1), is: 'done' }),
  'a keyed call': ({ each }) => ({ answer: each.call('echo', 1, { key: 'k' }), is: 'done' }),
  'a publish that a policy is asked about': ({ each }) => ({
    answer: each.publish('chat:1', 'message', 1),
    is: { offset: 1 },
  }),
  'a subscription that a policy is asked about': ({ each }) => ({
    answer: each.subscribe('news:1'),
    is: { offset: 0 },
  }),
  'an HTTP request': ({ http }) => ({
    answer: fetch(`${http}/slow`).then(async (response) => [response.status, await response.json()]),
    is: [200, { said: 'done' }],
  }),
};
for (const { name: engine } of engines) {
  for (const [what, ask] of Object.entries(underWay)) {
    t.test(`${engine}: a stop answers ${what} under way before it says goodbye`, async (t) => {
      const { opened, open } = gate();
      let begun = 0;
      const work = async <T>(result: T): Promise<T> => {
        begun++;
        await opened;
        return result;
      };
      const api = http();
      const s = await startOpen(t, {
        engine,
        plugins: [api],
        without: ['echo', 'strict'],
        policy: {
          'chat:{id}': { publish: { message: () => work(true) } },
          'news:{id}': { subscribe: () => work(true) },
        },
        setup: (server) => server.handle('echo', () => work('done')),
      });
      (s.server.plugins as unknown as { http: { routes(routes: object[]): void } }).http.routes([
        { method: 'GET', path: '/slow', handle: async () => json(200, { said: await work('done') }) },
      ]);
      const each = await s.client();
      await each.subscribe('chat:1');
      const { answer, is } = ask({ each, http: s.http });
      await until(() => begun === 1);
      let isClosed = false;
      const closing = s.server.close().then(() => (isClosed = true));
      await until(() => !s.server.ready);
      await t.rejects(each.call('echo', 2), { code: 206 });
      // A stop that did not wait would be over.
      await turns();
      t.equal(isClosed, false);
      t.equal(each.socket.readyState, each.socket.OPEN);
      open();
      t.match(await answer, is);
      t.equal((await each.closed).code, 4202);
      await closing;
      t.strictSame(each.frames.at(-1)?.slice(0, 2), [Op.GOAWAY, 4202], 'the answer came before');
    });
  }
}

t.test(
  'a stop keeps the result of a keyed call whose client is gone, so that nobody is told outcome_unknown',
  async (t) => {
    const { opened, open } = gate();
    let ran = 0;
    const store = testStore(t);
    // Not forgotten with the process, whatever the store.
    let isStoreClosed = false;
    const kept: Store = { ...store, close: () => void (isStoreClosed = true) };
    const options = {
      without: ['echo'],
      setup: (server: { handle(name: 'echo', handler: () => Promise<number>): void }) =>
        server.handle('echo', async () => {
          await opened;
          return ++ran;
        }),
    };
    const s = await startOpen(t, { ...options, store: kept });
    const each = await s.client();
    each.send([Op.CALL, 9, 'echo', 1, { key: 'k' }]);
    await each.barrier();
    each.cut();
    await until(() => s.server.stats().connections === 0);
    const closing = s.server.close();
    await until(() => !s.server.ready);
    await turns();
    t.equal(isStoreClosed, false);
    open();
    await closing;
    const rows = await store.list('keys', { limit: 10 });
    t.equal(rows.length, 1);
    t.match(Buffer.from(rows[0]?.[1] ?? []).toString('latin1'), /result/);
    await store.close();
  },
);

t.test('a stop waits for no handler longer than drainMs, and for nobody who only waits in a line', async (t) => {
  const s = await startOpen(t);
  const each = await s.client();
  const hung = t.rejects(each.call('hang', 1, { timeoutMs: 30_000 }), /closed with 4202/);
  await each.barrier();
  await s.server.close({ drainMs: 30 });
  await hung;
  const r = await startRooms(t);
  const [a, b] = [await r.client(), await r.client()];
  await a.call('join:room', { roomId: 'r', create: true });
  await b.call('join:room', { roomId: 'r' });
  await a.call('lock:acquire', { roomId: 'r', target: 'x' });
  const waiting = t.rejects(b.call('lock:acquire', { roomId: 'r', target: 'x', wait: 30_000 }), /4202/);
  await b.barrier();
  // Within the test's own limit, though a stop may wait for much longer.
  await r.server.close({ drainMs: 600_000 });
  await waiting;
});

t.test('before a stop the server says that it is not ready, and serves on', async (t) => {
  const s = await startOpen(t, { plugins: [http()] });
  const closing = s.server.close({ unreadyMs: 300 });
  await until(() => !s.server.ready);
  t.equal((await fetch(`${s.http}/health/ready`)).status, 503);
  const late = await s.client();
  t.equal(await late.call('echo', 7), 7);
  await closing;
  t.equal((await late.closed).code, 4202);
});

t.test('a server whose store was taken over says so once and is never ready again', async (t) => {
  const inner = memoryStore();
  let taken = false;
  const store: Store = {
    ...inner,
    commit(batch) {
      if (taken) throw new StoreError('unusable', 'another server has opened this store since');
      return inner.commit(batch);
    },
  };
  const told: Error[] = [];
  const s = await startOpen(t, { store, deposed: (error) => told.push(error) });
  await s.server.publish('chat:1', 'notice', 1);
  taken = true;
  await t.rejects(s.server.publish('chat:1', 'notice', 2), { name: 'store_unavailable' });
  await t.rejects(s.server.publish('chat:1', 'notice', 3), { name: 'store_unavailable' });
  t.match(told, [{ kind: 'unusable', message: /another server/ }]);
  t.equal(told.length, 1);
  taken = false;
  await s.server.publish('chat:1', 'notice', 4);
  t.equal(s.server.ready, false);
});

t.test('a store that finds itself lost while nobody writes deposes the server too', async (t) => {
  let lose = (_: StoreError): void => undefined;
  const store: Store = { ...memoryStore(), onLost: (told) => (lose = told) };
  const told: Error[] = [];
  const s = await startOpen(t, { store, deposed: (error) => told.push(error) });
  t.equal(s.server.ready, true);
  lose(new StoreError('unusable', 'data.mdb was removed'));
  t.equal(s.server.ready, false);
  t.match(told, [{ message: 'data.mdb was removed' }]);
});

t.test('while a disk is full, ready and delivery say the same, whatever small commit gets through', async (t) => {
  const time = new ManualTime();
  const inner = memoryStore();
  let full = false;
  const store: Store = {
    ...inner,
    commit(batch) {
      const large = batch.operations.some((each) => each.type === 'append' && each.chunk.frame.length > 20_000);
      if (full && large) throw new StoreError('refused', 'ENOSPC');
      return inner.commit(batch);
    },
  };
  const s = await startOpen(t, { store, time, plugins: [http()] });
  const both = async (later = 1_100): Promise<number[]> => {
    time.advance(later);
    const delivery = await fetch(`${s.http}/health/delivery`);
    const ready = await fetch(`${s.http}/health/ready`);
    return [delivery.status, ready.status];
  };
  t.same(await both(), [200, 200]);
  full = true;
  for (let i = 0; i < 4; i++) {
    await t.rejects(s.server.publish('chat:1', 'notice', 'x'.repeat(30_000)), { name: 'store_unavailable' });
    t.same(await both(0), [503, 503], `${i}, at once: what was found before is not told again`);
    t.same(await both(), [503, 503], `${i}`);
    // Small ones get through, and prove nothing.
    await s.server.publish('chat:1', 'notice', i);
    t.same(await both(), [503, 503], `${i}, after a small one`);
  }
  full = false;
  await s.server.publish('chat:1', 'notice', 'x'.repeat(30_000));
  t.same(await both(), [200, 200]);
});

t.test('while a commit gets no answer the server is not ready, and is again when it comes', async (t) => {
  const store = gatedStore(testStore(t));
  const s = await startOpen(t, { store, plugins: [http()] });
  const ready = async (): Promise<number> => (await fetch(`${s.http}/health/ready`)).status;
  t.equal(await ready(), 200);
  store.hold();
  const published = s.server.publish('chat:1', 'notice', 1);
  await store.held();
  await until(() => !s.server.ready);
  t.equal(await ready(), 503);
  store.release();
  await published;
  t.equal(await ready(), 200);
});
