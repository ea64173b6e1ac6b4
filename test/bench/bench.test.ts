/** The benchmark runs, counts exactly, and says what it was asked wrongly. It needs a build (`npm run build`). */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { loadUws } from '../../src/server/transport/uws-load.js';

const script = fileURLToPath(new URL('../../bench/run.mjs', import.meta.url));

function bench(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

interface Row {
  readonly peer: string;
  readonly store: string;
  readonly w: number;
  readonly windows: number;
  readonly deliveries: number;
  readonly [figure: string]: unknown;
}

t.test('every subscriber of every peer gets every event, and the JSON says so', async (t) => {
  const file = join(t.testdir(), 'bench.json');
  const flags = ['--n', '20', '--w', '1,300', '--rounds', '2', '--seconds', '0.05', '--store', 'memory,lmdb'];
  const { code, out, err } = await bench(...flags, '--json', file);
  t.equal(code, 0, err);
  const { machine, results } = JSON.parse(readFileSync(file, 'utf8')) as { machine: object; results: Row[] };
  t.match(machine, { cpu: String, cores: Number, system: String, node: process.version, pinned: Boolean });
  t.strictSame(
    results.map(({ peer, store, w }) => [peer, store, w]),
    [1, 300].flatMap((w) => [
      ['roomwire', 'memory', w],
      ['roomwire', 'lmdb', w],
      ...('module' in loadUws() ? [['uws', 'none', w]] : []),
      ['ws', 'none', w],
    ]),
  );
  for (const row of results) {
    t.match(row, { work: 'fanout', n: 20, bytes: 64 });
    // The run itself fails when any subscriber's own count is off.
    t.equal(row.deliveries, row.windows * row.w * 20, `${row.peer} ${row.store} w=${row.w}`);
    t.ok(row.windows >= 2, 'at least a window a round');
    for (const figure of ['perSecond', 'cpuNanoseconds', 'p50Ms', 'p99Ms']) {
      t.ok(Number.isFinite(row[figure]) && (row[figure] as number) >= 0, figure);
    }
  }
  t.equal(out.trim().split('\n').length, results.length + 2, 'a line of the table each');
});

t.test('a bad flag gets one line and exit code 2', async (t) => {
  for (const flags of [['--fast'], ['--peers', 'nats'], ['--rounds', '0'], ['--seconds', 'x'], ['extra']]) {
    const { code, out, err } = await bench(...flags);
    t.equal(code, 2, flags.join(' '));
    t.equal(out, '');
    t.match(err, /^bench: [^\n]+ \(see --help\)\n$/);
  }
});

t.test('--help tells the flags', async (t) => {
  const { code, out } = await bench('--help');
  t.equal(code, 0);
  t.match(out, /--quick[^]+--peers[^]+--json/);
});
