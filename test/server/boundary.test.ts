/** Rule 8: nothing of a program's throws into an engine, and nothing of an engine's buffer is kept. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import type { Plugin } from '../../src/server/api.js';
import { startOpen } from '../support/open-server.js';
import { until } from '../support/until.js';

t.test('rule 8: hooks, rules and logs that throw end one request or one connection, never the server', async (t) => {
  let broken = false;
  const boom = (what: string): never => {
    throw new Error(what);
  };
  const plugin: Plugin = {
    name: 'broken',
    setup(host) {
      host.onSessionEnd((tx) => {
        if (broken) boom('end hook');
        tx.afterCommit(() => boom('effect'));
      });
      host.onResume('kept:{id}', () => (broken ? boom('resume hook') : true));
      host.onRequest(() => boom('request hook'));
    },
  };
  const lines: string[] = [];
  const log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (_: object, message: string) => void lines.push(message),
    error(fields: object, message: string) {
      lines.push(`${message}: ${String((fields as { err?: Error }).err?.message)}`);
      boom('the log itself');
    },
  };
  const { client, connect, server, http } = await startOpen(t, {
    log,
    limits: { graceMs: 0 },
    plugins: [plugin],
    policy: {
      'chat:{id}': {
        subscribe: ({ params }) => (params['id'] === 'x' ? boom('subscribe rule') : true),
        publish: { notice: () => boom('publish rule'), message: () => true },
      },
    },
  });
  const other = await client();
  await other.subscribe('chat:1');
  const each = await client();
  await each.call('keep', { id: '1' });
  await t.rejects(each.subscribe('chat:x'), { code: 130 });
  await t.rejects(each.publish('chat:1', 'notice', 1), { code: 130 });
  t.equal((await fetch(`${http}/x`)).status, 500);
  broken = true;
  const first = await client({ grace: 60_000 });
  await first.call('keep', { id: '1' });
  const second = connect();
  await t.rejects(second.hello({ session: first.welcome.session }));
  t.equal((await second.closed).code, 4200);
  broken = false;
  const leaving = await client();
  leaving.send([Op.BYE]);
  await leaving.closed;
  await until(() => server.session(leaving.welcome.session[0]) === undefined);
  t.equal((await other.publish('chat:1', 'message', 'still here')).offset, 1);
  await other.event('chat:1', 'message');
  for (const what of ['subscribe rule', 'publish rule', 'request hook', 'resume hook', 'effect']) {
    t.ok(
      lines.some((line) => line.includes(what)),
      what,
    );
  }
});

t.test('a transaction that is used after its end says so, and changes nothing', async (t) => {
  const { server, log } = await startOpen(t);
  let late: { nextVersion(): number } | undefined;
  await server.transact((tx) => {
    late = tx;
    tx.afterCommit(() => tx.set('docs', 'k', 'lost'));
  });
  t.match(log.errors, [{ fields: { err: { message: /transaction is over/ } } }]);
  t.throws(() => late?.nextVersion(), { message: /transaction is over/ });
  await t.rejects(
    server.transact(async (tx) => tx.set('docs', 'k', 1)),
    { name: 'TypeError', message: /synchronous/ },
  );
  await t.rejects(
    server.transact((tx) => tx.set('docs', 'x'.repeat(5_000), 1)),
    { name: 'RangeError' },
  );
  await t.rejects(
    server.transact((tx) => tx.set('docs', 'k', new Date())),
    { name: 'EncodeError' },
  );
  t.equal(await server.transact((tx) => tx.get('docs', 'k')), undefined);
  t.equal(server.ready, true);
});

t.test('rule 8: what is kept of a message is a copy: later messages do not change it', async (t) => {
  let release: (yes: boolean) => void = () => undefined;
  const slow = new Promise<boolean>((resolve) => (release = resolve));
  const { client } = await startOpen(t, { policy: { 'chat:{id}': { publish: { message: () => slow } } } });
  const each = await client();
  await each.subscribe('chat:1');
  each.send([Op.PUBLISH, 0, 'chat:1', 'message', null, 'a'.repeat(5_000)]);
  each.send([Op.PUBLISH, 0, 'chat:1', 'message', null, new Uint8Array(5_000).fill(7)]);
  // The engine uses its buffers again for these.
  for (let n = 0; n < 50; n++) each.send([Op.PING, 'z'.repeat(5_000)]);
  await each.barrier();
  release(true);
  await each.event('chat:1', 'message', 2);
  const [text, binary] = each.events('chat:1').map(([, , data]) => data);
  t.equal(text, 'a'.repeat(5_000));
  t.strictSame(Buffer.from(binary as Uint8Array), Buffer.alloc(5_000, 7));
});
