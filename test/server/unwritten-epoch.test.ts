/** A topic that was subscribed and never written keeps its epoch: nobody is told to refetch for nothing. */
import t from 'tap';
import type { Position } from '../../src/protocol/frames.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { startOpen } from '../support/open-server.js';
import { until } from '../support/until.js';

type Started = Awaited<ReturnType<typeof startOpen>>;

const drop = (server: Started['server'], topic: string): Promise<void> =>
  server.transact((tx) => tx.dropTopic(topic, { code: 'unknown_topic', reason: 'gone' }));

/** Subscribes to a topic nobody writes; another topic goes, with its client connected or away. */
async function subscribed(s: Started, away: boolean) {
  const each = await s.client();
  const { epoch, offset } = await each.subscribe('chat:quiet');
  await s.server.publish('chat:other', 'notice', 1);
  if (away) {
    each.cut();
    await until(() => s.server.stats().connections === 0);
  }
  await drop(s.server, 'chat:other');
  const position: Position = [epoch, offset];
  return { each, position, session: [...each.welcome.session] as [string, string] };
}

for (const away of [false, true]) {
  const how = away ? 'while its client was away' : 'while its client was there';
  t.test(`an unwritten topic keeps its epoch when another was dropped ${how}`, async (t) => {
    const s = await startOpen(t);
    const { each, position, session } = await subscribed(s, away);
    if (!away) each.cut();
    await until(() => s.server.stats().connections === 0);
    // Another who comes meanwhile is told the same.
    const other = await s.client();
    t.match(await other.subscribe('chat:quiet'), { epoch: position[0], offset: 0 });
    const welcome = await s.connect().hello({ session, resume: { 'chat:quiet': position } });
    t.match(welcome.topics['chat:quiet'], { epoch: position[0], recovered: true });
    t.equal((await s.server.publish('chat:quiet', 'notice', 'first')).epoch, position[0]);
  });

  t.test(`an unwritten topic keeps its epoch over an orderly restart, when another was dropped ${how}`, async (t) => {
    const path = t.testdir();
    const first = await startOpen(t, { store: lmdbStore({ path }) });
    const { position, session } = await subscribed(first, away);
    await first.server.close();
    const second = await startOpen(t, { store: lmdbStore({ path }) });
    const welcome = await second.connect().hello({ session, resume: { 'chat:quiet': position } });
    t.match(welcome.topics['chat:quiet'], { epoch: position[0], recovered: true });
    t.equal((await second.server.publish('chat:quiet', 'notice', 'first')).epoch, position[0]);
    // Written, it has a record.
    await drop(second.server, 'chat:third');
    await second.server.close();
    const third = await startOpen(t, { store: lmdbStore({ path }) });
    t.equal((await third.server.publish('chat:quiet', 'notice', 'second')).epoch, position[0]);
  });
}

t.test(
  'a topic that was dropped itself has another epoch, written or not, and after a lost store every topic has',
  async (t) => {
    const path = t.testdir();
    const s = await startOpen(t, { store: lmdbStore({ path, bootId: 'one' }) });
    const each = await s.client();
    const { epoch } = await each.subscribe('chat:quiet');
    await drop(s.server, 'chat:quiet');
    const again = await each.subscribe('chat:quiet');
    t.not(again.epoch, epoch);
    t.match(await each.subscribe('chat:quiet', [epoch, 0]), {});
    await s.server.close();
    // Put back from a backup, or rebooted without a close: whatever was told may be wrong.
    const { copyFileSync, renameSync } = await import('node:fs');
    copyFileSync(`${path}/data.mdb`, `${path}/copy`);
    renameSync(`${path}/copy`, `${path}/data.mdb`);
    const second = await startOpen(t, { store: lmdbStore({ path, bootId: 'one' }) });
    const other = await second.client();
    t.not((await other.subscribe('chat:quiet')).epoch, again.epoch);
  },
);
