/** `roomwire cluster check`: an engine is checked, timed and described as it is set, and nothing of it is left. */
import { once } from 'node:events';
import t from 'tap';
import { freePort } from '../support/free-port.js';
import { startCli, type CliTest } from '../support/cli.js';
import { noNats, startNats } from '../support/nats.js';
import { noPostgres, startPostgres } from '../support/postgres.js';

t.setTimeout(180_000);

async function check(t: CliTest, ...args: readonly string[]) {
  const child = startCli(t, ['cluster', 'check', ...args]);
  let [out, err] = ['', ''];
  child.stdout?.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (err += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, err, lines: out.trimEnd().split('\n') };
}

const jsonOf = (lines: readonly string[]) => lines.map((line) => JSON.parse(line) as Record<string, unknown>);

t.test(
  'PostgreSQL: every check, both latencies, and what it survives without a standby',
  { skip: noPostgres },
  async (t) => {
    // Only the last line reads it: the checks are no slower for it.
    const postgres = await startPostgres(t, {
      settings: { synchronous_commit: 'on', fsync: 'on', full_page_writes: 'on' },
    });
    const { code, err, lines } = await check(t, postgres.url, '--races', '40', '--json');
    t.equal(code, 0, err);
    const rows = jsonOf(lines);
    const checks = rows.filter((row) => 'check' in row);
    t.equal(checks.length, 7);
    t.ok(checks.every(({ ok }) => ok === true));
    t.match(
      rows.filter((row) => 'p50' in row),
      [
        { bytes: 1_024, count: 300, p50: Number, p99: Number },
        { bytes: 65_536, count: 60, p50: Number, p99: Number },
      ],
    );
    t.match(rows.at(-1), {
      keeps: { process: true, power: true, machine: false, failover: false },
      because: /synchronous_commit=on, synchronous_standby_names='', fsync=on, full_page_writes=on/,
    });
    t.same(await postgres.sql(`select nspname from pg_namespace where nspname like 'roomwire%'`), []);
  },
);

t.test('PostgreSQL that does not wait for its disk says what it may lose', { skip: noPostgres }, async (t) => {
  const postgres = await startPostgres(t, { settings: { synchronous_commit: 'off' } });
  const { code, lines } = await check(t, postgres.url, '--races', '5');
  t.equal(code, 0);
  t.match(
    lines.at(-1),
    /^may lose acknowledged records at: process, power, machine, failover \(synchronous_commit=off/,
  );
});

t.test('NATS JetStream: one server, and its lazy sync is said', { skip: noNats }, async (t) => {
  const [server] = await startNats(t);
  const { code, err, lines } = await check(t, `nats://127.0.0.1:${server?.port}`, '--races', '40');
  t.equal(code, 0, err);
  t.equal(lines.filter((line) => line.startsWith('ok ')).length, 7);
  t.match(
    lines.at(-1),
    /^survives: process; may lose acknowledged records at: machine, failover; not known: power \(replicas=1, storage=file, sync_interval/,
  );
});

t.test(
  'an engine that is away, and a URL that names none, are one line and an exit code',
  { skip: noPostgres },
  async (t) => {
    const port = await freePort();
    const away = await check(t, `postgres://postgres@127.0.0.1:${port}/postgres`, '--timeout', '300');
    t.equal(away.code, 1);
    t.match(away.err, /no answer within 300 ms\n$/);
    const none = await check(t, 'redis://127.0.0.1');
    t.equal(none.code, 1);
    t.match(none.err, /^roomwire: the log is at postgres:\/\/… or nats:\/\/…\n$/);
    const usage = await check(t, 'postgres://127.0.0.1', '--races', '0');
    t.equal(usage.code, 2);
  },
);
