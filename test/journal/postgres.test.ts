/** The log in a real PostgreSQL keeps what every engine must. */
import t from 'tap';
import { postgresJournal, type PostgresOptions } from '../../src/journal/postgres.js';
import { noPostgres, startPostgres, type Postgres } from '../support/postgres.js';
import { journalConformance, type Bench, type Test } from './conformance.js';
import { startProxy, type Proxy } from './proxy.js';
import type { Journal } from '../../src/journal/journal.js';
import { hashOf } from '../../src/journal/journal.js';

let logs = 0;

/** A log of its own, and every handle through a proxy of its own. */
async function bench(t: Test, postgres: Postgres, segment: number): Promise<Bench> {
  const name = `log_${++logs}`;
  const proxies = new Map<Journal, Proxy>();
  const spare = await Promise.all(Array.from({ length: 8 }, () => startProxy(postgres.port)));
  t.teardown(() => spare.forEach((proxy) => proxy.close()));
  const segmentOf = (seq: number): string => `"${name}".log_${Math.floor(seq / segment)}`;
  const head = async (): Promise<number> => {
    const journal = open({});
    const state = await journal.open();
    return state.head;
  };
  const open = (options: PostgresOptions): Journal => {
    const proxy = spare[proxies.size % spare.length] as Proxy;
    const url = postgres.url.replace(`:${postgres.port}`, `:${proxy.port}`);
    const journal = postgresJournal(url, { name, segment, pollMs: 5, ...options });
    t.teardown(() => journal.close());
    proxies.set(journal, proxy);
    return journal;
  };
  return {
    journal: () => open({}),
    async fill() {
      await postgres.sql(`create function "${name}".full() returns trigger language plpgsql as
        $$ begin raise exception 'No space left on device' using errcode = '53100'; end $$`);
      const table = segmentOf(await head());
      await postgres.sql(
        `create trigger is_full before insert on ${table} for each row execute function "${name}".full()`,
      );
      return async () => void (await postgres.sql(`drop trigger is_full on ${table}`));
    },
    async loseEnd(count) {
      const last = await head();
      for (let seq = last; seq > last - count; seq--)
        await postgres.sql(`delete from ${segmentOf(seq)} where seq = $1`, [seq]);
    },
    async rewriteEnd(count) {
      const last = await head();
      for (let seq = last - count + 1; seq <= last; seq++) {
        const before = (await postgres.sql(`select hash from ${segmentOf(seq - 1)} where seq = $1`, [seq - 1]))[0];
        const record = { seq, id: `other-${seq}`, prev: before?.['hash'] as Uint8Array, bytes: Buffer.from('other') };
        await postgres.sql(`update ${segmentOf(seq)} set id = $2, prev = $3, hash = $4, bytes = $5 where seq = $1`, [
          seq,
          record.id,
          record.prev,
          hashOf(record),
          record.bytes,
        ]);
      }
    },
    async replace() {
      await postgres.sql(`drop schema "${name}" cascade`);
      const journal = open({});
      await journal.open();
    },
    loseReply: (journal) => {
      // Behind the name of a portal, which is none: where a statement is executed.
      (proxies.get(journal) as Proxy).losing = '\0append_';
    },
    coarse: segment,
  };
}

t.test('PostgreSQL', { skip: noPostgres }, async (t) => {
  const postgres = await startPostgres(t);
  // Small segments: that records stand in several tables is to be seen by nobody.
  journalConformance('PostgreSQL', (t) => bench(t, postgres, 4), { t: t as Test });
});
