/** The built `roomwire`: `pretest` builds it, and it starts ten times faster than the sources. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

export const main = join(new URL('../..', import.meta.url).pathname, 'dist/cli/main.js');

export interface CliTest {
  teardown(fn: () => unknown): void;
}

export function startCli(t: CliTest, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  // As the suite's own servers: see edge.ts.
  const edges = process.env['ROOMWIRE_EDGE'];
  const isPlain = edges !== undefined && args[0] === 'serve' && !args.includes('--workers') && !args.includes('--link');
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, ...(isPlain ? { ROOMWIRE_WORKERS: edges } : {}), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}
