/** What each engine refuses to keep a log in, with what to do, and that one which is away is waited for. */
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Client } from 'pg';
import t from 'tap';
import { natsJournal } from '../../src/journal/nats.js';
import { checkVersion as checkNats } from '../../src/journal/nats-server.js';
import { checkVersion as checkPostgres, postgresJournal } from '../../src/journal/postgres.js';
import type { JournalOptions } from '../../src/journal/journal.js';
import type { EngineJournal } from '../../src/journal/open.js';
import { freePort } from '../support/free-port.js';
import { Nats, noNats, startNats } from '../support/nats.js';
import { noPostgres, Postgres, startPostgres } from '../support/postgres.js';
import { until } from '../support/until.js';

type Make = (options?: JournalOptions) => EngineJournal;

/** Why `open` refuses; undefined: it does not. */
async function whyNot(make: Make, options: JournalOptions): Promise<{ kind?: string; message?: string } | undefined> {
  const journal = make(options);
  try {
    await journal.open();
    return undefined;
  } catch (error) {
    return error as { kind: string; message: string };
  } finally {
    await journal.close();
  }
}

/** Starts the engine once a handle has said that it waits. */
async function waitsFor(
  t: Test,
  make: Make,
  { start, line }: { start: () => Promise<void>; line: RegExp },
): Promise<void> {
  const lines: string[] = [];
  const journal = make({ tell: (line) => lines.push(line) });
  t.teardown(() => journal.close());
  const opening = journal.open();
  await until(() => lines.length > 0, 'it says that the engine is away');
  t.match(lines, [line], 'in one line');
  await start();
  t.equal((await opening).head, 0);
  t.equal((await journal.append(0, 'first', Uint8Array.of(1))).seq, 1);
}

type Test = typeof t;

void t.test('PostgreSQL', { skip: noPostgres }, async (t) => {
  const postgres = await startPostgres(t);
  const make: Make = (options) => postgresJournal(postgres.url, options);

  t.match(await whyNot(make, { name: 'nowhere', mustExist: true }), {
    kind: 'unusable',
    message: /there is no log there/,
  });
  t.strictSame(await postgres.sql(`select from pg_namespace where nspname = 'nowhere'`), [], 'looking makes nothing');

  await postgres.sql('create schema others');
  await postgres.sql('create table others.orders (id int)');
  t.match(await whyNot(make, { name: 'others' }), {
    kind: 'unusable',
    message:
      /^the schema others cannot keep the log: it holds other tables\. Give the log another name, or drop the schema/,
  });

  t.equal(await whyNot(make, { name: 'ours' }), undefined);
  await postgres.sql('alter table ours.log_0 set unlogged');
  t.match(await whyNot(make, { name: 'ours' }), { kind: 'unusable', message: /it has unlogged tables, which forget/ });
  await postgres.sql('alter table ours.log_0 set logged');
  await postgres.sql('update ours.journal set format = 2');
  t.match(await whyNot(make, { name: 'ours' }), {
    kind: 'unusable',
    message: /it has format 2, and this version reads 1/,
  });
  await postgres.sql('alter table ours.journal drop column format');
  t.match(await whyNot(make, { name: 'ours' }), { kind: 'unusable', message: /its table journal is not ours/ });

  const absent: Make = (options) => postgresJournal(postgres.url.replace('/postgres', '/absent'), options);
  t.match(await whyNot(absent.bind(undefined), {}), {
    kind: 'unusable',
    message: /refuses the log: database "absent" does not exist/,
  });
  t.throws(() => checkPostgres(110_022), {
    kind: 'unusable',
    message: /^PostgreSQL 11 is too old for the log: 12 is the oldest/,
  });
  checkPostgres(120_000);
});

void t.test('PostgreSQL that is away at the start is waited for', { skip: noPostgres }, async (t) => {
  const postgres = new Postgres(await freePort(), {});
  t.teardown(() => postgres.remove());
  await waitsFor(t as Test, (options) => postgresJournal(postgres.url, options), {
    start: () => postgres.start(),
    line: /^PostgreSQL does not answer, trying on: connect ECONNREFUSED/,
  });
});

void t.test(
  'a database that takes no writes, or no connection more, is told and waited for',
  { skip: noPostgres },
  async (t) => {
    const postgres = await startPostgres(t, {
      settings: { max_connections: '4', superuser_reserved_connections: '0' },
    });
    await postgres.sql('alter database postgres set default_transaction_read_only = on');
    await waitsFor(t as Test, (options) => postgresJournal(postgres.url, options), {
      start: async () => {
        const may = new Client({
          connectionString: `${postgres.url}?options=-c%20default_transaction_read_only%3Doff`,
        });
        await may.connect();
        await may.query('alter database postgres reset default_transaction_read_only');
        await may.end();
      },
      line: /^PostgreSQL (takes no writes|cannot keep the log yet), trying on: cannot execute CREATE SCHEMA in a read-only tr/,
    });
    const others = Array.from({ length: 4 }, () => new Client({ connectionString: postgres.url }));
    const free = async (): Promise<void> => void (await Promise.all(others.map((other) => other.end())));
    const taken = await Promise.allSettled(others.map((other) => other.connect()));
    t.ok(
      taken.some(({ status }) => status === 'rejected'),
      'there are no more',
    );
    const lines: string[] = [];
    const journal = postgresJournal(postgres.url, { name: 'later', tell: (line) => lines.push(line) });
    t.teardown(() => journal.close());
    const opening = journal.open();
    await until(() => lines.length > 0, 'it says that there is no connection');
    t.match(lines, [/^PostgreSQL cannot keep the log yet, trying on: .*too many clients/]);
    await free();
    t.equal((await opening).head, 0);
  },
);

void t.test('NATS', { skip: noNats }, async (t) => {
  const [server] = await startNats(t);
  const url = `nats://127.0.0.1:${server?.port}`;
  const make: Make = (options) => natsJournal(url, options);
  const nc = await connect({ servers: url });
  t.teardown(() => nc.close());
  const { streams } = await jetstreamManager(nc, { checkAPI: false });

  t.match(await whyNot(make, { name: 'nowhere', mustExist: true }), {
    kind: 'unusable',
    message: /there is no log there/,
  });
  t.equal((await streams.names().next()).length, 0, 'looking makes nothing');

  await streams.add({ name: 'others', subjects: ['others.log'] });
  t.match(await whyNot(make, { name: 'others' }), {
    kind: 'unusable',
    message:
      /^the stream others cannot keep the log: roomwire did not make it\. Set it right, give the log another name/,
  });

  t.equal(await whyNot(make, { name: 'ours' }), undefined);
  const { config } = await streams.info('ours');
  await streams.update('ours', { max_age: 3_600_000_000_000 });
  t.match(await whyNot(make, { name: 'ours' }), { kind: 'unusable', message: /its max_age must be 0/ });
  await streams.update('ours', { ...config, max_age: 0, description: config.description?.replace('log 1', 'log 2') });
  t.match(await whyNot(make, { name: 'ours' }), {
    kind: 'unusable',
    message: /it has format 2, and this version reads 1/,
  });

  await streams.add({ ...config, name: 'quiet', subjects: ['quiet.log'], no_ack: true });
  t.match(await whyNot(make, { name: 'quiet' }), { kind: 'unusable', message: /its no_ack must be false/ });
  await streams.add({ ...config, name: 'short', subjects: ['short.log'], max_msgs_per_subject: 5 });
  t.match(await whyNot(make, { name: 'short' }), { kind: 'unusable', message: /its max_msgs_per_subject must be -1/ });

  t.throws(() => checkNats('2.8.4'), {
    kind: 'unusable',
    message: /^NATS 2\.8\.4 is too old for the log: 2\.9 is the oldest/,
  });
  t.strictSame(['2.9.0', '2.11.9', '2.12.0', '3.0.0'].map(checkNats), ['old', 'old', 'fine', 'fine']);
});

void t.test(
  'NATS without JetStream is refused, and one that is away at the start is waited for',
  { skip: noNats },
  async (t) => {
    const plain = new Nats(await freePort(), []);
    t.teardown(() => plain.kill());
    await plain.start();
    const url = `nats://127.0.0.1:${plain.port}`;
    t.match(await whyNot((options) => natsJournal(url, options), {}), {
      kind: 'unusable',
      message: /start nats-server with -js/,
    });
    await plain.kill();
    const later = new Nats(plain.port, ['-js', '-sd', t.testdir()]);
    t.teardown(() => later.kill());
    await waitsFor(t as Test, (options) => natsJournal(url, options), {
      start: () => later.start(),
      line: /^NATS does not answer, trying on/,
    });
  },
);
