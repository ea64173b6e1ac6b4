/** Starts test/server/serve-child.ts and kills it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { programArgs } from './program.js';
import type { Test } from './server.js';

export interface ChildServer {
  readonly url: string;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL: no goodbye, no flush. Resolves when the process is gone. */
  kill(): Promise<void>;
}

export interface ChildSettings {
  readonly graceMs?: number;
  readonly pingEvery?: number;
  readonly pingTimeout?: number;
}

export async function startChildServer(t: Test, path: string, settings: ChildSettings = {}): Promise<ChildServer> {
  const program = new URL('../server/serve-child.ts', import.meta.url);
  const child = spawn(process.execPath, [...programArgs(program), path, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // The test runner's own hooks are not for this process.
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const gone = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  t.teardown(kill);
  const died = gone.then(() => {
    throw new Error('the child ended by itself');
  });
  const [port] = (await Promise.race([once(createInterface(child.stdout), 'line'), died])) as [string];
  died.catch(() => undefined);
  return { url: `ws://127.0.0.1:${port}`, kill, signal: (name) => void child.kill(name) };
}
