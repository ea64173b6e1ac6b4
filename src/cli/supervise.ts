/**
 * The small parent of a node (`serve --cluster`): a hub that another node has taken over from never becomes the hub again, so its
 * process ends, and another begins as a standby. The same where one is killed. What cannot start is not tried again.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Lines } from './lines.js';

/** Another node is the hub. */
export const DEPOSED = 75;
/** Stopped for a node that could not reach it: the next is not to ask for the same. */
export const GAVE_WAY = 76;
/** In the environment of a node; no setting of anybody's. */
export const NODE_ENV = '_ROOMWIRE_NODE';
/** Ms until one that died is started anew; more for one that dies at once. */
const RESTART_MS = [50, 5_000] as const;
const LONG_MS = 10_000;

/** Resolves with the code to exit with, once the node has ended for good. */
export async function supervise(err: Lines): Promise<number> {
  let node: ChildProcess | undefined;
  let isStopping = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      isStopping = true;
      node?.kill(signal);
    });
  }
  process.on('SIGUSR2', (signal) => node?.kill(signal));
  let backoffMs: number = RESTART_MS[0];
  let gaveWay = false;
  for (;;) {
    const began = performance.now();
    const [program = '', ...args] = [...process.execArgv, ...process.argv.slice(1)];
    node = spawn(process.execPath, [program, ...args], {
      // The channel ends with this process, and the node with the channel.
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, [NODE_ENV]: gaveWay ? 'gave-way' : 'new' },
    });
    const [code, signal] = (await once(node, 'exit')) as [number | null, NodeJS.Signals | null];
    gaveWay = code === GAVE_WAY;
    if (isStopping) return code ?? 0;
    if (signal === null && code !== DEPOSED && code !== GAVE_WAY) return code ?? 1;
    const isEarly = performance.now() - began < LONG_MS;
    backoffMs = isEarly ? Math.min(2 * backoffMs, RESTART_MS[1]) : RESTART_MS[0];
    err.write(`the node ended (${signal ?? code}): it is started anew as a standby\n`);
    await new Promise((resolve) => setTimeout(resolve, backoffMs));
    if (isStopping) return 0;
  }
}
