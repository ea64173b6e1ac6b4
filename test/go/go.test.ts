/** A client in Go, written from PROTOCOL.md and the kit alone: it builds, passes the kit, and joins, resumes and locks. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import * as v from 'valibot';
import { connect } from '../../src/client/node.js';
import { clientChecks } from '../../src/conform/client-checks.js';
import { runChecks } from '../../src/conform/report.js';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { rooms } from '../../src/rooms/rooms.js';
import { startTestServer } from '../../src/testing/index.js';
import { until } from '../support/until.js';

const folder = fileURLToPath(new URL('.', import.meta.url));

/** Required in CI: then what is missing fails the test instead of skipping it. */
const canBuild =
  spawnSync('go', ['version']).status === 0 && existsSync('/usr/share/gocode/src/github.com/gorilla/websocket/go.mod');
const skip =
  canBuild || process.env['ROOMWIRE_REQUIRE_GO'] === '1'
    ? false
    : 'no Go with its WebSocket package (golang-go, golang-github-gorilla-websocket-dev)';

/** Runs the go command without a network; what it printed. */
function go(...args: string[]): string {
  const env = { ...process.env, GO111MODULE: 'on', GOFLAGS: '-mod=mod', GOPROXY: 'off', GOTOOLCHAIN: 'local' };
  const { status, stdout, stderr, error } = spawnSync('go', args, { cwd: folder, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`go ${args.join(' ')}: ${error?.message ?? stdout + stderr}`);
  return stdout;
}

interface Saw {
  readonly saw: string;
  readonly [key: string]: unknown;
}

interface Answer {
  readonly ok?: unknown;
  readonly error?: { readonly code: number; readonly details?: unknown };
}

/** The driver as a client of a real server. */
function drive(t: Test, program: string) {
  const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  t.teardown(() => {
    child.stdin.end();
    return gone;
  });
  const saw: Saw[] = [];
  const answers = new Map<number, (answer: Answer) => void>();
  createInterface(child.stdout).on('line', (line) => {
    const { id, ...told } = JSON.parse(line) as { id?: number };
    if (id === undefined) saw.push(told as Saw);
    else answers.get(id)?.(told);
  });
  let id = 0;
  return {
    saw,
    /** What was seen of one kind. */
    all: (kind: string) => saw.filter((each) => each.saw === kind),
    do: (what: string, parts: object = {}) =>
      new Promise<Answer>((resolve) => {
        answers.set(++id, resolve);
        child.stdin.write(JSON.stringify({ id, do: what, ...parts }) + '\n');
      }),
  };
}

const contract = defineContract({
  use: [roomsContract()],
  topics: { 'room:{id}': { events: { note: { schema: v.unknown(), publish: 'subscribers' } } } },
});

t.test('the Go client', { skip, timeout: 240_000 }, async (t) => {
  const program = join(t.testdir(), 'driver');
  go('build', '-o', program, './driver');

  t.test('is formatted and vetted, and its codec takes the vectors', async (t) => {
    t.equal(spawnSync('gofmt', ['-l', '.'], { cwd: folder, encoding: 'utf8' }).stdout, '');
    t.match(go('test', './roomwire'), /^ok/);
  });

  t.test('passes every check of what it does', async (t) => {
    const lines: string[] = [];
    // It hears no volatile values; what else it lacks its driver says.
    const checks = clientChecks({ driver: [program], timeoutMs: 15_000 }).filter(
      ({ rules }) => !rules.includes('RW-VOL-6') && !rules.includes('RW-ROM-13'),
    );
    const write = (line: string): void => void lines.push(line);
    const sum = await runChecks(checks, { json: false, timeoutMs: 60_000, write, jobs: 3 });
    t.strictSame(
      lines.filter((line, i) => line.startsWith('not ok') || lines[i - 1]?.startsWith('not ok')),
      [],
    );
    t.match(sum, { failed: 0 });
    t.ok(sum.passed >= 55, `${sum.passed} of ${checks.length}`);
  });

  t.test('joins, resumes after a cut and holds a lock at a real server', async (t) => {
    const test = await startTestServer({ contract, plugins: [rooms()] as const });
    t.teardown(() => test.close());
    const url = test.url.replace('http', 'ws');
    const ann = connect<typeof contract>(url, { token: await test.token('ann') });
    t.teardown(() => ann.close());
    const room = ann.room('demo');
    await room.join({ create: true });

    const gopher = drive(t, program);
    await gopher.do('connect', { url, token: await test.token('gopher'), backoffMs: 50 });
    t.match(await gopher.do('join', { room: 'nowhere' }), { error: { code: 120 } }, 'no such room');
    t.strictSame(await gopher.do('join', { room: 'demo' }), { ok: null });
    /** The state once it has so many members; asked again and again, as drivers do not tell of it. */
    const withMembers = async (count: number) => {
      for (;;) {
        const state = (await gopher.do('state', { room: 'demo' })).ok as { members: string[] };
        if (state.members.length === count) return state;
      }
    };
    t.match(await withMembers(2), { status: 'joined', members: ['ann', 'gopher'], host: 'ann' });

    const note = (n: number) => ann.publish('room:demo', 'note', n);
    for (let n = 1; n <= 5; n++) await note(n);
    t.match(await gopher.do('lock', { room: 'demo', target: 'part', ttl: 60_000 }), { ok: { token: Number } });
    await t.rejects(room.lock('part'), { code: 205, details: { userId: 'gopher' } });

    await test.fault({ do: 'cut', user: 'gopher' });
    for (let n = 6; n <= 10; n++) await note(n);
    await until(() => gopher.all('event').length === 10 && gopher.all('status').length === 3);
    t.strictSame(
      gopher.all('event').map(({ data }) => data),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      'each event once, in order',
    );
    t.strictSame(gopher.all('reset'), []);
    await t.rejects(room.lock('part'), { code: 205 }, 'the lock outlives the connection');

    await ann.call('lock:force', { roomId: 'demo', target: 'part' });
    await until(() => gopher.all('lost').length === 1);
    t.strictSame(gopher.all('lost'), [{ saw: 'lost', target: 'part' }]);
    await room.withLock('part', {}, () => Promise.resolve());

    await room.leave();
    t.match(await withMembers(1), { status: 'joined', members: ['gopher'], host: 'gopher' });
  });
});
