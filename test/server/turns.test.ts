/** What comes due all at once is worked off in turns of the loop: ends of sessions, and transactions that take their time. */
import t from 'tap';
import type { Plugin } from '../../src/server/api.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { until } from '../support/until.js';

/** Ends under way at once: life.ts. */
const ENDING = 64;

/** Runs with each turn of the loop, until it returns false. */
function eachTurn(look: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const turn = (): void => void (look() ? setImmediate(turn) : resolve());
    turn();
  });
}

t.test('sessions whose grace ends at once end some a turn, and what others publish comes in between', async (t) => {
  const time = new ManualTime();
  const { client, server } = await startOpen(t, { time, limits: { graceMs: 5_000 } });
  const [other, ...lost] = await Promise.all(Array.from({ length: 251 }, () => client()));
  await other!.subscribe('chat:1');
  for (const each of lost) each.cut();
  await until(() => server.stats().connections === 1);
  const falls: number[] = [];
  let atPublish = 0;
  let before = server.stats().sessions;
  time.advance(5_100);
  void server.publish('chat:1', 'message', 'between').then(() => (atPublish = server.stats().sessions));
  await eachTurn(() => {
    const { sessions } = server.stats();
    falls.push(before - sessions);
    before = sessions;
    return sessions > 1;
  });
  t.ok(Math.max(...falls) <= ENDING, `at most ${ENDING} a turn: ${falls.join(' ')}`);
  t.ok(atPublish > 100, `${atPublish} were still to end`);
  await other!.event('chat:1', 'message');
});

t.test('who comes back before its turn, and is cut again, has a grace of its own', async (t) => {
  const time = new ManualTime();
  const ended: string[] = [];
  const plugin: Plugin = {
    name: 'slow',
    setup: (host) =>
      host.onSessionEnd((tx, { sid }) => {
        // One or two fill a batch, so that the last one's turn is far.
        for (const end = performance.now() + 5; performance.now() < end;);
        tx.afterCommit(() => ended.push(sid));
      }),
  };
  const { client, server } = await startOpen(t, { time, plugins: [plugin], limits: { graceMs: 5_000 } });
  const all = await Promise.all(Array.from({ length: 250 }, () => client()));
  const last = all.pop()!;
  for (const each of all) each.cut();
  await until(() => server.stats().connections === 1);
  last.cut();
  await until(() => server.stats().connections === 0);
  time.advance(5_100);
  const back = await client({ session: last.welcome.session });
  t.equal(back.welcome.resumed, true);
  back.cut();
  await until(() => server.stats().connections === 0);
  t.ok(ended.length < all.length, `${ended.length} have ended: its turn has not come`);
  await until(() => ended.length === all.length);
  await server.publish('chat:1', 'message', 'after all that waited');
  t.notOk(ended.includes(back.welcome.session[0]));
  time.advance(5_100);
  await until(() => server.stats().sessions === 0);
  t.equal(ended.at(-1), back.welcome.session[0]);
});

t.test('a server that closes meanwhile keeps those whose turn has not come', async (t) => {
  const time = new ManualTime();
  const errors: unknown[] = [];
  const log = {
    debug() {},
    info() {},
    warn: (...line: unknown[]) => errors.push(line),
    error: (...line: unknown[]) => errors.push(line),
  };
  const { client, server } = await startOpen(t, { time, log, limits: { graceMs: 5_000 } });
  const clients = await Promise.all(Array.from({ length: 200 }, () => client()));
  for (const each of clients) each.cut();
  await until(() => server.stats().connections === 0);
  time.advance(5_100);
  await server.close();
  t.strictSame(errors, []);
});

t.test('transactions that take long together are several batches, a turn apart and in their order', async (t) => {
  const { server } = await startOpen(t);
  const done: number[] = [];
  let turns = 0;
  const inTurn = new Map<number, number>();
  const work = (n: number): Promise<void> =>
    server.transact((tx) => {
      const end = performance.now() + 2;
      while (performance.now() < end);
      inTurn.set(turns, (inTurn.get(turns) ?? 0) + 1);
      tx.publish('chat:1', 'message', n);
      tx.afterCommit(() => done.push(n));
    });
  const all: Promise<unknown>[] = Array.from({ length: 40 }, (_, n) => work(n));
  all.push(server.publish('chat:1', 'message', 40).then(({ offset }) => t.equal(offset, 41)));
  let isOver = false;
  void Promise.all(all).then(() => (isOver = true));
  await eachTurn(() => (turns++, !isOver));
  t.strictSame(
    done,
    Array.from({ length: 40 }, (_, n) => n),
  );
  const most = Math.max(...inTurn.values());
  t.ok(most <= 5, `at most 5 a turn: ${most}`);
});
