/** Real nats-servers of a test's own, with JetStream: one, or three that form a cluster. In a temporary folder, on loopback, gone at the end. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.js';

const program = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin']
  .map((folder) => join(folder, 'nats-server'))
  .find((file) => existsSync(file));

/** Why a test cannot run: for tap's `skip`. Where they must run, ROOMWIRE_REQUIRE_NATS says so. */
export const noNats: string | false =
  program !== undefined || process.env['ROOMWIRE_REQUIRE_NATS'] === '1' ? false : 'nats-server is not installed';

export class Nats {
  readonly port: number;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.#args = args;
  }

  /** Resolves when it takes connections. */
  async start(): Promise<void> {
    const child = spawn(program ?? 'nats-server', ['-a', '127.0.0.1', '-p', `${this.port}`, ...this.#args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-4_000);
        if (said.includes('Server is ready')) resolve();
      });
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`nats-server ended: ${said}`)));
    });
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
}

export async function startNats(t: { teardown(fn: () => unknown): void }, count: 1 | 3 = 1): Promise<readonly Nats[]> {
  const folder = mkdtempSync(join(tmpdir(), 'roomwire-nats-'));
  const routes = await Promise.all(Array.from({ length: count }, freePort));
  const urls = routes.map((port) => `nats://127.0.0.1:${port}`);
  const servers: Nats[] = [];
  t.teardown(async () => {
    // All at once: a program that ends has no time for one after the other.
    await Promise.all(servers.map((server) => server.kill()));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  for (const [i, url] of urls.entries()) {
    const cluster = ['--cluster_name', 'test', '--cluster', url, '--routes', urls.join(',')];
    const own = ['-js', '-sd', join(folder, `${i}`), '--name', `n${i}`];
    servers.push(new Nats(await freePort(), count === 1 ? own : [...own, ...cluster]));
  }
  await Promise.all(servers.map((server) => server.start()));
  return servers;
}
