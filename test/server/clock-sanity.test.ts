/** A clock that is years ahead must not carry a store into a future that it never comes back from. */
import t from 'tap';
import { requireSaneTime } from '../../src/server/time/clock.js';
import { DecodedDocuments } from '../../src/server/hub/documents.js';
import { Stage } from '../../src/server/hub/stage.js';
import { HubTransaction, type TransactionOptions } from '../../src/server/hub/transaction.js';
import { createServer } from '../../src/server/server.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { memoryStore } from '../../src/store/memory.js';
import type { StoreMeta } from '../../src/store/store.js';
import { ManualTime } from '../support/manual-time.js';
import { openContract } from '../support/server.js';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 28);
const END = 2 ** 53 / 1024;
const meta = (time: number, counter = time * 1024): StoreMeta => ({ time, counter, incarnation: 0 });

t.test('what a boot may add to the time of a store is bounded, and the refusal says what to do', async (t) => {
  const good: readonly (readonly [string, number, StoreMeta])[] = [
    ['a new store', NOW, meta(0)],
    ['one of yesterday', NOW, meta(NOW - DAY)],
    ['one that lay for most of a year', NOW, meta(NOW - 360 * DAY)],
    ['a clock that was set back', NOW - 400 * DAY, meta(NOW)],
    ['a clock that was once years ahead, and is right again', NOW, meta(NOW + 4_000 * DAY)],
    ['a machine without a clock of its own', 5_000, meta(0)],
    ['one that was written while the machine had no clock', NOW, meta(90_000)],
  ];
  for (const [name, wall, stored] of good) t.doesNotThrow(() => requireSaneTime(wall, stored, false), name);
  const bad: readonly (readonly [string, number, StoreMeta, RegExp, boolean])[] = [
    ['years ahead', NOW + 4_000 * DAY, meta(NOW), /2037-\d\d-\d\d.*last written on 2026-11-28.*--trust-clock/, true],
    ['a little more than a year ahead', NOW + 370 * DAY, meta(NOW), /--trust-clock/, true],
    ['a new store in the next century', Date.UTC(2120, 0), meta(0), /2120.*is new.*--trust-clock/, true],
    ['past the last token', END + DAY, meta(NOW), /set it right/, false],
    ['past all dates', 1e300, meta(0), /set it right/, false],
    ['no time at all', NaN, meta(0), /set it right/, false],
    ['a store at its end', NOW, meta(END), /tokens are used up.*backup/, false],
    ['a counter at its end', NOW, meta(NOW, Number.MAX_SAFE_INTEGER), /tokens are used up/, false],
  ];
  for (const [name, wall, stored, message, trustable] of bad) {
    t.throws(() => requireSaneTime(wall, stored, false), { message }, name);
    if (trustable) t.doesNotThrow(() => requireSaneTime(wall, stored, true), `${name}, trusted`);
    else t.throws(() => requireSaneTime(wall, stored, true), { message }, `${name}, trusted`);
  }
});

t.test('a start with a clock years ahead is refused, writes no time, and holds nothing back', async (t) => {
  const path = t.testdir();
  const start = (ms: number, trustClock = false) => {
    const time = new ManualTime();
    time.jump(ms);
    return createServer({ contract: openContract, store: lmdbStore({ path }), time, trustClock });
  };
  const first = start(0);
  await first.listen({ port: 0 });
  await first.publish('chat:1', 'notice', 1);
  await first.close();
  for (let i = 0; i < 2; i++) {
    const ahead = start(5_000 * DAY);
    await t.rejects(ahead.listen({ port: 0 }), { kind: 'unusable', message: /--trust-clock/ });
    await ahead.close();
  }
  const again = start(0);
  await again.listen({ port: 0 });
  t.equal((await again.publish('chat:1', 'notice', 2)).offset, 2);
  await again.close();
  const trusted = start(5_000 * DAY, true);
  await trusted.listen({ port: 0 });
  await trusted.close();
});

t.test('a version past 2^53 is refused, never given twice', (t) => {
  const last = Number.MAX_SAFE_INTEGER;
  const stage = new Stage(
    memoryStore(),
    undefined as never,
    meta(NOW, last - 2),
    new DecodedDocuments(() => undefined),
  );
  const tx = new HubTransaction(stage, { now: NOW } as TransactionOptions);
  t.strictSame([tx.nextVersion(), tx.nextVersion()], [last - 1, last]);
  for (let i = 0; i < 3; i++) t.throws(() => tx.nextVersion(), { name: 'store_unavailable', message: /used up/ });
  t.end();
});
