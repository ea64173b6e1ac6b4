/** What becomes of a log in a real engine while nodes use it: it is dropped and put back, or a snapshot is swept away. */
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import t from 'tap';
import type { JournalOptions, JournalRecord } from '../../src/journal/journal.js';
import { natsJournal } from '../../src/journal/nats.js';
import type { EngineJournal } from '../../src/journal/open.js';
import { postgresJournal } from '../../src/journal/postgres.js';
import { Client } from 'pg';
import { noNats, startNats } from '../support/nats.js';
import { noPostgres, startPostgres } from '../support/postgres.js';
import { until } from '../support/until.js';
import { bytes, kind } from './reading.js';

type Test = typeof t;

interface Gone {
  readonly make: (options: JournalOptions) => EngineJournal;
  readonly drop: () => Promise<unknown>;
  readonly putBack: () => Promise<unknown>;
  readonly where: string;
}

/** Of the two handles one writes, and one follows. */
async function isTold(t: Test, { make, drop, putBack, where }: Gone): Promise<void> {
  const lines: string[][] = [[], []];
  const [writer, reader] = lines.map((own) => make({ tell: (line) => own.push(line) })) as [
    EngineJournal,
    EngineJournal,
  ];
  t.teardown(() => Promise.all([writer.close(), reader.close()]));
  await writer.open();
  await reader.open();
  const [read, broken]: [number[], unknown[]] = [[], []];
  reader.follow(
    0,
    ({ seq }) => void read.push(seq),
    (error) => broken.push(error),
  );
  await writer.append(0, 'one', bytes(1));
  await until(() => read.length === 1, 'it is read');
  await drop();
  t.equal(await kind(writer.append(1, 'two', bytes(2))), 'unknown', 'no ack, and no end of it');
  t.equal(await kind(reader.answers()), 'refused');
  t.equal(await kind(writer.append(1, 'two', bytes(2))), 'unknown');
  const line = `the log is gone (${where}): nothing is written until it is put back. A node that is started makes a new one`;
  for (const own of lines)
    t.strictSame(
      own.filter((said) => said.startsWith('the log')),
      [line],
      'each says it once',
    );
  await putBack();
  let added: JournalRecord | undefined;
  do added = await writer.append(1, 'two', bytes(2)).catch(() => undefined);
  while (added === undefined);
  t.equal(added.seq, 2);
  await until(() => read.length === 2, 'and goes on');
  t.strictSame(broken, []);
}

t.test(
  'PostgreSQL: a log that is gone is told once, and goes on when it is put back',
  { skip: noPostgres },
  async (t) => {
    const postgres = await startPostgres(t);
    await isTold(t as Test, {
      make: (options) => postgresJournal(postgres.url, { pollMs: 5, ...options }),
      drop: () => postgres.sql('alter schema roomwire rename to aside'),
      putBack: () => postgres.sql('alter schema aside rename to roomwire'),
      where: 'the schema roomwire',
    });
  },
);

t.test('NATS: a log that is gone is told once', { skip: noNats }, async (t) => {
  const [server] = await startNats(t);
  const url = `nats://127.0.0.1:${server?.port}`;
  const nc = await connect({ servers: url });
  t.teardown(() => nc.close());
  const { streams } = await jetstreamManager(nc, { checkAPI: false });
  const lines: string[] = [];
  const journal = natsJournal(url, { pollMs: 5, tell: (line) => lines.push(line) });
  t.teardown(() => journal.close());
  await journal.open();
  await journal.append(0, 'one', bytes(1));
  await streams.delete('roomwire');
  t.equal(await kind(journal.append(1, 'two', bytes(2))), 'unknown', 'no ack, and no end of it');
  t.equal(await kind(journal.answers()), 'refused');
  t.equal(lines.filter((line) => line.startsWith('the log is gone (the stream roomwire)')).length, 1);
});

t.test(
  'a snapshot that another node swept away before it counted is refused, and the one before still counts',
  { skip: noPostgres },
  async (t) => {
    const postgres = await startPostgres(t);
    const journal = postgresJournal(postgres.url);
    t.teardown(() => journal.close());
    await journal.open();
    for (let seq = 0; seq < 3; seq++) await journal.append(seq, `id-${seq}`, bytes(seq));
    async function* whole(): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(bytes(7));
    }
    await journal.saveSnapshot(1, whole());
    // The other node has seen that it does not count yet, and holds the row while it drops it.
    const other = new Client({ connectionString: postgres.url });
    await other.connect();
    t.teardown(() => other.end());
    async function* slow(): AsyncIterable<Uint8Array> {
      yield bytes(8);
      await other.query('begin; select from roomwire.journal for update');
    }
    const saving = kind(journal.saveSnapshot(2, slow()));
    const waits = `select from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'update'`;
    while ((await postgres.sql(waits)).length === 0);
    const { rows } = await other.query<{ name: string }>(
      `select relname as name from pg_class where relkind = 'r' and relname ~ '^snapshot_' and substr(relname::text, 10) <>
       (select snapshot from roomwire.journal)`,
    );
    for (const { name } of rows) await other.query(`drop table roomwire.${name}`);
    await other.query('commit');
    t.equal(await saving, 'refused');
    const found = await journal.loadSnapshot();
    t.equal(found?.at, 1);
    for await (const part of found?.parts ?? []) t.strictSame([...part], [...bytes(7)]);
  },
);
