/** A server that goes: what was taken is answered, everyone is told, nothing is left behind. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import type { PluginHost } from '../../src/server/api.js';
import { createServer } from '../../src/server/server.js';
import { gatedStore } from '../support/gated-store.js';
import { startOpen } from '../support/open-server.js';
import { openContract, testStore } from '../support/server.js';
import { until } from '../support/until.js';

t.test('close: what was taken is answered, what comes now is refused 206, then GOAWAY and 4202', async (t) => {
  const store = gatedStore(testStore(t));
  const { client, server } = await startOpen(t, { store });
  const each = await client();
  await each.subscribe('chat:1');
  store.hold();
  each.send([Op.PUBLISH, 401, 'chat:1', 'message', null, 'taken'], [Op.CALL, 402, 'keep', { id: '1' }]);
  await store.held();
  const closing = server.close({ spreadMs: 5_000 });
  await until(() => !server.ready);
  each.send(
    [Op.PUBLISH, 403, 'chat:1', 'message', null, 'late'],
    [Op.CALL, 404, 'echo', 1],
    [Op.SUBSCRIBE, 405, 'chat:2', null],
    [Op.PUBLISH, 0, 'chat:1', 'message', null, 'late'],
    [Op.VOLATILE, 'chat:1', 'message', 'a', 1],
  );
  for (const id of [403, 404, 405]) await t.rejects(each.answer(id), { code: 206 });
  await each.barrier();
  t.equal(each.frames.filter(([op, id, code]) => op === Op.NACK && id === 0 && code === 206).length, 2);
  store.release();
  t.match(await each.answer(401), { offset: 1 });
  await each.answer(402);
  t.equal((await each.closed).code, 4202);
  t.strictSame(each.frames.at(-1)?.slice(0, 2), [Op.GOAWAY, 4202]);
  t.equal(each.frames.at(-1)?.[3], 5_000);
  t.strictSame(
    each.events('chat:1').map(([, , data]) => data),
    ['taken'],
  );
  await closing;
  await server.close();
});

t.test('a closed server refuses what it is asked to write: nothing would keep it', async (t) => {
  const { server, log } = await startOpen(t);
  await server.publish('chat:1', 'notice', 1);
  await server.close();
  await t.rejects(server.publish('chat:1', 'notice', 2), { code: 206 });
  await t.rejects(
    server.transact((tx) => tx.set('mine', 'key', 1)),
    { code: 206 },
  );
  t.strictSame(log.errors, []);
});

t.test('close: hundreds of clients all learn why', async (t) => {
  const { client, server } = await startOpen(t);
  const clients = await Promise.all(Array.from({ length: 200 }, () => client()));
  const closed = Promise.all(clients.map(async (each) => (await each.closed).code));
  await server.close();
  t.strictSame([...new Set(await closed)], [4202]);
  t.strictSame(server.stats().connections, 0);
});

t.test(
  'close: the hooks of plugins run once, before the store closes; calls under way learn that it is over',
  async (t) => {
    const steps: string[] = [];
    const { client, server } = await startOpen(t, {
      plugins: [
        {
          name: 'closing',
          setup(host) {
            host.onOpen(() => void steps.push(`open ${host.ready}`));
            host.onClose(async () => {
              await host.transact((tx) => tx.set('docs', 'k', 'saved'));
              steps.push('saved');
            });
          },
        },
      ],
    });
    const each = await client();
    const call = server.call(server.session(each.welcome.session[0])!, 'ask', null);
    const rejected = t.rejects(call, { name: 'disconnected' });
    await Promise.all([server.close(), server.close()]);
    await rejected;
    t.strictSame(steps, ['open false', 'saved']);
  },
);

t.test('close does not wait for ever for a store that does not answer', { timeout: 20_000 }, async (t) => {
  const store = gatedStore(testStore(t));
  const { server } = await startOpen(t, { store });
  store.hold();
  void server.publish('chat:1', 'notice', 1).catch(() => undefined);
  await store.held();
  await server.close({ settleMs: 50 });
  store.release();
});

t.test('before listen, what needs the store says so; what is registered then is there afterwards', async (t) => {
  let host!: PluginHost;
  let refusals!: Promise<string[]>;
  const said: string[] = [];
  const { client } = await startOpen(t, {
    plugins: [{ name: 'early', setup: (given) => (host = given) }],
    without: ['echo'],
    setup() {
      const uses: (() => unknown)[] = [
        () => host.now(),
        () => host.topics(),
        () => host.history('chat:1'),
        () => host.inspect('chat:1'),
        () => host.why('chat:1', 1, 'ada'),
        () => host.publish('chat:1', 'notice', 1),
        () => host.transact(() => 1),
        () => host.checkDelivery(),
      ];
      const refused = async (use: () => unknown): Promise<string> => {
        try {
          await use();
          return 'nothing';
        } catch (error) {
          return (error as Error).message;
        }
      };
      refusals = Promise.all(uses.map(refused));
      t.match(host.stats(), { connections: 0, sessions: 0, users: 0, topics: 0, ringBytes: 0, stalled: 0, behind: 0 });
      t.notOk(host.ready);
      host.callPolicy('echo', ({ call }) => said.push(`policy of ${call}`) > 0);
      host.handle('echo', ({ input }) => input);
      t.throws(() => host.handle('echo', () => 1), { message: "the call 'echo' has a handler already" });
      t.throws(() => host.handle('nothing', () => 1), { message: /the contract has no call 'nothing'/ });
      host.onOpen(async () => void said.push(`open: ${await host.transact(() => typeof host.now())}`));
      host.onRestore(() => void said.push('restore'));
      host.onSessionStart(() => said.push('start'));
    },
  });
  t.strictSame(new Set(await refusals), new Set(['the server is not listening yet: await server.listen() first']));
  const each = await client();
  t.equal(await each.call('echo', 'hello'), 'hello');
  // A transaction may run twice.
  t.strictSame([...new Set(said)], ['restore', 'open: number', 'start', 'policy of echo']);
});

t.test('listen and close may cross, and each says what is wrong when it is misused', async (t) => {
  const server = createServer({ contract: openContract, store: testStore(t) });
  t.equal(server.session('x'), undefined);
  await t.rejects(server.publish('chat:1', 'notice', 1), { message: /listen/ });
  const listening = server.listen({ port: 0 });
  await t.rejects(server.listen({ port: 0 }), { message: /once/ });
  await Promise.all([listening, server.close()]);
  t.equal(server.ready, false);
  const unused = createServer({ contract: openContract });
  await unused.close();
  const one = await startOpen(t);
  const two = createServer({ contract: openContract });
  await t.rejects(two.listen({ port: one.port }), { code: 'EADDRINUSE' });
  await two.close();
  t.throws(() => createServer({ contract: openContract, plugins: [plugin, plugin] }), { message: /two plugins/ });
});

const plugin = { name: 'same', setup: () => null };
