/** Rows that a backend inserts in its own transaction are published once, in the order of the commits, on a real PostgreSQL. */
import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import * as v from 'valibot';
import t from 'tap';
import { outbox } from '../../src/hooks/outbox.js';
import { outboxSql } from '../../src/hooks/outbox-postgres.js';
import { http } from '../../src/http/http.js';
import { defineContract } from '../../src/protocol/contract.js';
import { noPostgres, startPostgres } from '../support/postgres.js';
import { startServer, type Test } from '../support/server.js';
import { until } from '../support/until.js';

const contract = defineContract({
  topics: { 'news:{id}': { events: { headline: v.object({ n: v.number() }) } } },
});
const INSERT = 'insert into roomwire_outbox (topic, event, data) values ($1, $2, $3)';

async function start(t: Test) {
  const postgres = await startPostgres(t);
  await postgres.sql(outboxSql('roomwire_outbox'));
  const begin = async () => {
    const plugins = [outbox({ url: postgres.url }), http()] as const;
    const s = await startServer(t, { contract, plugins });
    return { ...s, stats: () => s.server.plugins.outbox.stats() };
  };
  const put = (n: number, topic = 'news:1', event = 'headline') =>
    postgres.sql(INSERT, [topic, event, JSON.stringify({ n })]);
  const left = async () => (await postgres.sql('select * from roomwire_outbox order by id')) as { refused: unknown }[];
  const session = async (t: Test) => {
    const client = new Client({ connectionString: postgres.url });
    // It ends with the server, too.
    client.on('error', () => undefined);
    await client.connect();
    t.teardown(() => client.end().catch(() => undefined));
    return client;
  };
  return { postgres, begin, put, left, session };
}

/** Waits until so many rows are there. */
async function remain(left: () => Promise<readonly unknown[]>, count: number): Promise<void> {
  while ((await left()).length !== count);
}

t.test(
  'rows of before and after the start are published in order, once, and deleted',
  { skip: noPostgres },
  async (t) => {
    const { begin, put, left } = await start(t);
    for (let n = 1; n <= 3; n++) await put(n);
    const s = await begin();
    const client = await s.client();
    await until(() => s.stats().published === 3);
    await client.subscribe('news:1');
    for (let n = 4; n <= 6; n++) await put(n);
    await client.event('news:1', 'headline', 3);
    t.same(
      client.events('news:1').map(([offset, , data]) => [offset, data]),
      [4, 5, 6].map((n) => [n, { n }]),
    );
    await remain(left, 0);
    const metrics = await (await fetch(`${s.http}/metrics`)).text();
    t.match(metrics, /roomwire_outbox_published_total 6/);
    t.match(metrics, /roomwire_outbox_up 1/);
    t.match(metrics, /roomwire_outbox_lag_seconds 0/);
  },
);

t.test(
  'a topic has its events as the transactions were committed; what is rolled back is in none',
  { skip: noPostgres },
  async (t) => {
    const { begin, session } = await start(t);
    const s = await begin();
    const [slow, quick, other] = [await session(t), await session(t), await session(t)];
    const row = (n: number, topic = 'news:1') => [topic, 'headline', JSON.stringify({ n })];
    await slow.query('begin');
    await slow.query(INSERT, row(1));
    // The same topic waits for the commit; another does not.
    const waits = quick.query(INSERT, row(2));
    await other.query(INSERT, row(1, 'news:2'));
    await until(() => s.stats().published === 1);
    await slow.query('commit');
    await waits;
    await quick.query('begin');
    await quick.query(INSERT, row(3));
    await quick.query('rollback');
    await until(() => s.stats().published === 3);
    const client = await s.client();
    const { epoch } = await client.subscribe('news:1');
    t.match(await client.subscribe('news:1', [epoch, 0]), { offset: 2 });
    const { events } = (await (await fetch(`${s.http}/api/topics/news:1/events?after=0`)).json()) as {
      events: { data: unknown }[];
    };
    t.same(
      events.map(({ data }) => data),
      [{ n: 1 }, { n: 2 }],
    );
  },
);

t.test(
  'a row that is no event is set aside with its code, said once, and holds up nobody',
  { skip: noPostgres },
  async (t) => {
    const { begin, put, left } = await start(t);
    await put(1, 'nowhere');
    await put(1, 'news:1', 'no');
    await put(1);
    await put('x' as never);
    await put(2);
    const s = await begin();
    await until(() => s.stats().published === 2);
    await until(() => s.stats().refused === 3);
    await remain(left, 3);
    t.match(
      (await left()).map(({ refused }) => refused),
      [{ code: 103, reason: /nowhere/ }, { code: 104 }, { code: 105, reason: /n: / }],
    );
    await put(3);
    await until(() => s.stats().published === 3);
    t.equal(s.log.errors.length, 3);
    t.match(s.log.errors[0]?.fields, { outbox: { id: '1', topic: 'nowhere', code: 103 } });
    t.match(await (await fetch(`${s.http}/metrics`)).text(), /roomwire_outbox_refused_total 3/);
  },
);

t.test(
  'what was published and not deleted, as the server died in between, is published once by its key',
  { skip: noPostgres },
  async (t) => {
    const { begin, put, left, postgres } = await start(t);
    await put(1);
    const s = await begin();
    await until(() => s.stats().published === 1);
    await remain(left, 0);
    // As it was before the delete: the row comes back with its id.
    await postgres.sql('alter table roomwire_outbox disable trigger all');
    await postgres.sql(
      `insert into roomwire_outbox (id, topic, event, data) values (1, 'news:1', 'headline', '{"n":1}')`,
    );
    await postgres.sql('alter table roomwire_outbox enable trigger all');
    await put(2);
    await remain(left, 0);
    t.equal((await s.server.inspect('news:1')).head, 2);
  },
);

t.test(
  'an outage of the database is said once, and what was committed follows when it is back',
  { skip: noPostgres },
  async (t) => {
    const { begin, put, postgres } = await start(t);
    const s = await begin();
    await put(1);
    await until(() => s.stats().published === 1);
    await postgres.kill();
    await until(() => !s.stats().up);
    await postgres.start();
    await put(2);
    await until(() => s.stats().published === 2 && s.stats().up);
    t.match(s.log.errors, [{ message: /outbox cannot be taken/ }]);
  },
);

t.test('of two servers one takes the rows, and the other when it is gone', { skip: noPostgres }, async (t) => {
  const { begin, put } = await start(t);
  const first = await begin();
  await put(1);
  await until(() => first.stats().published === 1);
  const second = await begin();
  await put(2);
  await until(() => first.stats().published === 2);
  await first.server.close();
  await put(3);
  await until(() => second.stats().published === 1);
});

t.test('docs/python.md prints the table as it is made', async (t) => {
  const text = readFileSync(new URL('../../docs/python.md', import.meta.url), 'utf8');
  t.ok(text.includes(outboxSql('roomwire_outbox')));
});

t.test('an address that is none is refused at once', async (t) => {
  t.throws(() => outbox({ url: 'mysql://x' }), /postgres:\/\/user@host/);
  t.throws(() => outbox({ url: 'postgres://x/y', table: 'a;b' }), /plain lower-case name/);
});
