/** What the log takes of PostgreSQL's disk does not grow with what was ever written: a hub truncates behind its snapshots. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { postgresJournal } from '../../src/journal/postgres.js';
import { replicatedStore } from '../../src/journal/replicated.js';
import { memoryStore } from '../../src/store/memory.js';
import { noPostgres, startPostgres } from '../support/postgres.js';
import { append, put } from '../store/writer.js';

const SEGMENT = 500;
const BATCHES = 6_000;
/** Two snapshots' worth of records, with what one may lag on a busy machine. */
const SEGMENTS = 6;
const DEADLINE_MS = 60_000;

t.test(
  'thousands of batches, one a commit, leave no more on the disk than the first thousand',
  { skip: noPostgres },
  async (t) => {
    const postgres = await startPostgres(t);
    const options = { node: 'a', snapshotBytes: 64 * 1024 };
    const store = replicatedStore(memoryStore(), () => postgresJournal(postgres.url, { segment: SEGMENT }), options);
    t.teardown(() => store.close());
    await store.open();
    const onDisk = async (): Promise<{ readonly segments: number; readonly bytes: number }> => {
      const rows = await postgres.sql(
        `select relname::text as name, pg_total_relation_size(oid)::float8 as bytes from pg_class
       where relkind = 'r' and relnamespace = 'roomwire'::regnamespace`,
      );
      return {
        segments: rows.filter(({ name }) => /^log_\d+$/.test(name as string)).length,
        bytes: rows.reduce((sum, row) => sum + (row['bytes'] as number), 0),
      };
    };
    /** Once the hub has truncated what it may. */
    const settled = async (): ReturnType<typeof onDisk> => {
      for (const end = performance.now() + DEADLINE_MS; ; await delay(20)) {
        const found = await onDisk();
        if (found.segments <= SEGMENTS || performance.now() > end) return found;
      }
    };
    const began = performance.now();
    let first: number | undefined;
    for (let id = 1; id <= BATCHES; id++) {
      const operations = [append('t', id), put('d', 'k', 'x'.repeat(150))];
      await store.commit({ id, operations, meta: { time: Date.now(), counter: id, incarnation: 0 } });
      if (id % 1_000 !== 0) continue;
      const { segments, bytes } = await settled();
      first ??= bytes;
      t.ok(segments <= SEGMENTS, `${segments} segments of ${SEGMENT} after ${id} batches`);
      t.ok(bytes < 3 * first, `${bytes} bytes, of the first thousand ${first}`);
    }
    t.comment(`${Math.round((1_000 * BATCHES) / (performance.now() - began))} batches/s`);
  },
);
