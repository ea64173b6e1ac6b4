/** A standby of PostgreSQL that is promoted: with all that was acknowledged, and without its end. */
import t from 'tap';
import type { BrokenLog } from '../../src/journal/journal.js';
import { postgresJournal } from '../../src/journal/postgres.js';
import { noPostgres, startPostgres, type Postgres } from '../support/postgres.js';
import { until } from '../support/until.js';
import type { Test } from './conformance.js';
import { startProxy } from './proxy.js';
import { bytes, kind, refusal } from './reading.js';

async function failOver(t: Test, isBehind: boolean) {
  const primary = await startPostgres(t);
  const proxy = await startProxy(primary.port);
  t.teardown(() => proxy.close());
  const told: string[] = [];
  const url = primary.url.replace(`:${primary.port}`, `:${proxy.port}`);
  const journal = postgresJournal(url, { pollMs: 5, tell: (line) => told.push(line) });
  t.teardown(() => journal.close());
  await journal.open();
  const broken: BrokenLog[] = [];
  journal.follow(
    0,
    () => undefined,
    (error) => broken.push(error),
  );
  for (let after = 0; after < 5; after++) await journal.append(after, `id-${after}`, bytes(after));
  const standby = await startPostgres(t, { standbyOf: primary });
  if (isBehind) await standby.sql(`alter system set primary_conninfo = ''`);
  if (isBehind) await standby.sql('select pg_reload_conf()');
  if (isBehind) await gone(primary);
  for (let after = 5; after < 8; after++) await journal.append(after, `id-${after}`, bytes(after));
  if (!isBehind) await caughtUp(standby, 8);
  await primary.kill();
  await standby.sql('select pg_promote()');
  proxy.target = standby.port;
  return { journal, broken, told };
}

async function gone(primary: Postgres): Promise<void> {
  while ((await primary.sql('select 1 from pg_stat_replication')).length > 0);
}

async function caughtUp(standby: Postgres, head: number): Promise<void> {
  while ((await standby.sql('select max(seq)::int as head from roomwire.log_0'))[0]?.['head'] !== head);
}

t.test('PostgreSQL fails over', { skip: noPostgres }, async (t) => {
  await t.test('to a standby that has everything: the same handle goes on, and says so', async (t) => {
    const { journal, broken, told } = await failOver(t as Test, false);
    while ((await kind(journal.append(8, 'next', bytes(9)))) === 'unknown');
    t.equal((await journal.append(8, 'next', bytes(9))).seq, 9);
    t.strictSame(broken, []);
    await until(() => told.some((line) => line.includes('failed over (timeline 00000001 → 00000002)')));
  });

  await t.test('to a standby that was behind: appends are refused, and who follows is told', async (t) => {
    const { journal, broken } = await failOver(t as Test, true);
    let error;
    do error = await refusal(journal.append(8, 'next', bytes(9)));
    while (error?.kind === 'unknown');
    t.equal((error as BrokenLog).reason, 'lost');
    await until(() => broken.length > 0, 'that the follower is told');
    t.equal(broken[0]?.reason, 'lost');
    t.equal((await refusal(journal.answers()))?.kind, 'unusable');
  });
});
