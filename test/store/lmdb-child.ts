/** Runs commit-child.ts and kills it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { programArgs } from '../support/program.js';

export interface Child {
  readonly pid: number;
  readonly generation: string;
  /** The counter its open found. */
  readonly counter: number;
  /** Waits until that many more batches were told. */
  told(count: number): Promise<void>;
  /** Kills it with SIGKILL; answers the last batch it told. */
  kill(): Promise<number>;
}

export async function startChild(path: string, durability: 'process' | 'power', bootId = 'boot'): Promise<Child> {
  const program = new URL('commit-child.ts', import.meta.url);
  const child = spawn(process.execPath, [...programArgs(program), path, durability, bootId], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // The test runner's own hooks are not for this process.
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const lines = createInterface(child.stdout);
  const ended = Promise.all([once(child, 'exit'), once(lines, 'close')]);
  const nextLine = async (): Promise<string> => {
    const died = ended.then(() => {
      throw new Error('the child ended by itself');
    });
    const [line] = (await Promise.race([once(lines, 'line'), died])) as [string];
    return line;
  };
  const [, generation = '', counter = ''] = (await nextLine()).split(' ');
  let last = 0;
  lines.on('line', (line) => {
    last = Number(line);
  });
  return {
    pid: child.pid ?? 0,
    generation,
    counter: Number(counter),
    async told(count) {
      for (let i = 0; i < count; i++) await nextLine();
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
      return last;
    },
  };
}
