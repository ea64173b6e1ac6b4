/**
 * A real PostgreSQL of a test's own: in a temporary folder, on a free port of loopback, gone at the test's end. It refuses
 * to run as root, so root starts it as an account that may nothing. Settings are made for tests: nothing waits for the disk.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, chownSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort } from './free-port.js';

export interface PostgresTest {
  teardown(fn: () => unknown): void;
}

export interface PostgresSettings {
  /** As in postgresql.conf; over what tests need. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Begin as a standby of this one, which follows it. */
  readonly standbyOf?: Postgres;
}

const bin = findBin();

/** Why a test cannot run: for tap's `skip`. Where they must run, ROOMWIRE_REQUIRE_POSTGRES says so. */
export const noPostgres: string | false =
  bin !== undefined || process.env['ROOMWIRE_REQUIRE_POSTGRES'] === '1' ? false : 'PostgreSQL is not installed';

/** Resolves when it takes connections. */
export async function startPostgres(t: PostgresTest, settings: PostgresSettings = {}): Promise<Postgres> {
  const postgres = new Postgres(await freePort(), settings);
  t.teardown(() => postgres.remove());
  await postgres.start();
  return postgres;
}

export class Postgres {
  readonly port: number;
  /** With the rights of a superuser. */
  readonly url: string;
  readonly #folder: string;
  readonly #data: string;
  readonly #settings: readonly string[];
  #child: ChildProcess | undefined;

  constructor(port: number, { settings = {}, standbyOf }: PostgresSettings) {
    this.port = port;
    this.url = `postgres://roomwire@127.0.0.1:${port}/postgres`;
    this.#folder = mkdtempSync(join(tmpdir(), 'roomwire-postgres-'));
    this.#data = join(this.#folder, 'data');
    const all = { fsync: 'off', shared_buffers: '16MB', max_connections: '50', autovacuum: 'off', ...settings };
    this.#settings = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    if (account !== undefined) chownSync(this.#folder, account.uid, account.gid);
    chmodSync(this.#folder, 0o700);
    if (standbyOf === undefined)
      this.#run('initdb', [
        '-D',
        this.#data,
        '-U',
        'roomwire',
        '-A',
        'trust',
        '-E',
        'UTF8',
        '--no-locale',
        '--no-sync',
      ]);
    else this.#run('pg_basebackup', ['-D', this.#data, '-d', standbyOf.url, '-R', '-c', 'fast', '--no-sync']);
  }

  /** Starts it, again after `kill`. */
  async start(): Promise<void> {
    for (let tries = 0; ; tries++) {
      const problem = await this.#startOnce();
      if (problem === undefined) return;
      // Right after a kill the kernel may still count the old one's shared memory as used.
      if (tries === 20) throw new Error(`postgres does not start: ${problem}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** SIGKILL, all its processes: no flush, no goodbye. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.pid === undefined || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    const backends = childrenOf(child.pid);
    child.kill('SIGKILL');
    for (const pid of backends) signal(pid, 'SIGKILL');
    await gone;
  }

  /** SIGSTOP or SIGCONT, for all its processes. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    for (const each of [pid, ...childrenOf(pid)]) signal(each, name);
  }

  /** Runs one statement on a connection of its own, and answers its rows. */
  async sql(text: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.url });
    await client.connect();
    try {
      const { rows } = await client.query<Record<string, unknown>>(text, [...values]);
      return rows;
    } finally {
      await client.end();
    }
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #startOnce(): Promise<string | undefined> {
    const args = ['-D', this.#data, '-h', '127.0.0.1', '-p', `${this.port}`, '-k', '', ...this.#settings];
    const child = spawn(program('postgres'), args, { ...account, stdio: ['ignore', 'ignore', 'pipe'], env: {} });
    this.#child = child;
    return new Promise((resolve) => {
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-4_000);
        if (/ready to accept (read-only )?connections/.test(said)) resolve(undefined);
      });
      child.once('error', (error) => resolve(error.message));
      child.once('exit', () => resolve(said));
    });
  }

  #run(name: string, args: readonly string[]): void {
    execFileSync(program(name), args, { ...account, stdio: ['ignore', 'ignore', 'pipe'], env: { PGUSER: 'roomwire' } });
  }
}

const account = process.getuid?.() === 0 ? accountOf('postgres', 'nobody') : undefined;

function accountOf(...names: readonly string[]): { readonly uid: number; readonly gid: number } {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name = '', , uid, gid] = line.split(':');
    if (names.includes(name)) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(`no account for PostgreSQL: one of ${names.join(', ')}`);
}

function program(name: string): string {
  if (bin === undefined) throw new Error('PostgreSQL is not installed: apt-get install postgresql');
  return join(bin, name);
}

/** Debian has each version in a folder of its own, and none of them in PATH. */
function findBin(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(':'),
  ];
  return folders.find((folder) => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'initdb')));
}

function childrenOf(pid: number): readonly number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ').filter(Boolean).map(Number) : [];
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone.
  }
}
