/** A server that starts again on the same directory (LMDB). */
import t from 'tap';
import type { Plugin } from '../../src/server/api.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';

t.test('sessions and their topics outlive a restart, whose grace begins anew', async (t) => {
  const path = t.testdir();
  const ended: string[] = [];
  const plugin: Plugin = {
    name: 'watch',
    setup: (host) => host.onSessionEnd((tx, session) => tx.afterCommit(() => ended.push(session.sid))),
  };
  const start = (time = new ManualTime()) =>
    startOpen(t, { store: lmdbStore({ path }), time, plugins: [plugin], limits: { graceMs: 5_000 } });
  const before = await start();
  const [staying, going] = [await before.client(), await before.client()];
  const { epoch } = await staying.subscribe('chat:1');
  // A name with the byte that keys are joined with.
  await staying.subscribe('chat:a\0b');
  await staying.call('keep', { id: '1' });
  await before.server.publish('chat:1', 'notice', 1);
  await staying.event('chat:1', 'notice');
  await before.server.close();
  const time = new ManualTime();
  const after = await start(time);
  time.advance(4_900);
  t.match(after.server.session(staying.welcome.session[0]), { connected: false, ended: false });
  await after.server.publish('chat:1', 'notice', 2);
  const resume = { 'chat:1': [epoch, 1] } as const;
  const back = await after.client({ session: staying.welcome.session, resume });
  t.equal(back.welcome.resumed, true);
  t.strictSame(Object.keys(back.welcome.topics).sort(), ['chat:1', 'chat:a\0b', 'kept:1']);
  t.strictSame(back.welcome.topics['chat:1'], { epoch, offset: 1, recovered: true });
  t.strictSame(back.welcome.user, staying.welcome.user);
  await back.event('chat:1', 'notice');
  t.strictSame(
    back.events('chat:1').map(([offset, , data]) => [offset, data]),
    [[2, 2]],
  );
  t.strictSame(ended, []);
  time.advance(200);
  await after.server.transact((tx) => tx.now);
  t.strictSame(ended, [going.welcome.session[0]]);
});

t.test(
  'rule 6: versions and the store clock only grow, across restarts and a wall clock that was set back',
  async (t) => {
    const path = t.testdir();
    const time = new ManualTime();
    const start = () => startOpen(t, { store: lmdbStore({ path }), time });
    const seen: { version: number; now: number }[] = [];
    const look = async ({ server }: Awaited<ReturnType<typeof start>>): Promise<void> => {
      for (let i = 0; i < 3; i++)
        seen.push(await server.transact((tx) => ({ version: tx.nextVersion(), now: tx.now })));
    };
    const first = await start();
    await look(first);
    time.advance(60_000);
    await look(first);
    time.jump(-3_600_000);
    await look(first);
    await first.server.close();
    const second = await start();
    await look(second);
    time.jump(7_200_000);
    await look(second);
    for (let i = 1; i < seen.length; i++) {
      t.ok(seen[i]!.version > seen[i - 1]!.version);
      t.ok(seen[i]!.now >= seen[i - 1]!.now);
    }
    t.equal(seen[8]!.now - seen[0]!.now, 60_000, 'a wall clock that jumps moves nothing');
    t.equal(seen[14]!.now, seen[9]!.now);
  },
);

t.test('a topic that was dropped before a restart has another epoch after it', async (t) => {
  const path = t.testdir();
  const first = await startOpen(t, { store: lmdbStore({ path }) });
  const before = await first.server.publish('chat:1', 'notice', 1);
  await first.server.transact((tx) => tx.dropTopic('chat:1', { code: 'room_not_found', reason: 'deleted' }));
  await first.server.close();
  const second = await startOpen(t, { store: lmdbStore({ path }) });
  const after = await second.server.publish('chat:1', 'notice', 2);
  t.not(after.epoch, before.epoch);
  t.equal(after.offset, 1);
});
