/** Nodes of a cluster as programs: `roomwire serve --cluster`, each under its small parent. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { startCli, type CliTest } from './cli.js';
import { noNats, startNats } from './nats.js';
import { noPostgres, startPostgres } from './postgres.js';

/** No test may hang on it; no truth may hang on it either. */
const DEADLINE_MS = 60_000;

export type Engine = 'PostgreSQL' | 'NATS';

export const secret = '0123456789abcdef0123456789abcdef';

/** For tap's `skip`. */
export function skipWithout(engine: Engine): string | false {
  const without = engine === 'NATS' ? noNats : noPostgres;
  return without === false && process.platform !== 'linux' ? 'needs /proc' : without;
}

/** The URL of an engine of the test's own. */
export async function startEngine(t: CliTest, engine: Engine): Promise<string> {
  if (engine === 'NATS') return `nats://127.0.0.1:${(await startNats(t))[0]?.port}`;
  return (await startPostgres(t)).url;
}

export interface NodeProgram {
  readonly child: ChildProcess;
  readonly url: string;
  readonly ended: Promise<unknown[]>;
  said(): string;
  /** The process under the small parent. */
  node(): number;
  isHub(): boolean;
}

/** `args`: with a --port. */
export function startNode(
  t: CliTest,
  args: readonly string[],
  env: Readonly<Record<string, string>> = { ROOMWIRE_CLUSTER_SECRET: secret },
): NodeProgram {
  const child = startCli(t, args, { ROOMWIRE_WORKERS: '0', ...env });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => (said += data.toString()));
  return {
    child,
    url: `http://127.0.0.1:${args[args.indexOf('--port') + 1]}`,
    ended: once(child, 'exit'),
    said: () => said,
    node: () => Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()),
    // Of the process that runs now.
    isHub: () => /as its hub/.test(said.slice(said.lastIndexOf('it is started anew') + 1)),
  };
}

export function hubOf(nodes: readonly NodeProgram[]): NodeProgram | undefined {
  return nodes.find((node) => node.isHub());
}

/** Resolves when it takes clients. */
export async function ready(url: string): Promise<void> {
  await eventually(async () => (await fetch(`${url}/health/ready`)).ok, Boolean, `${url} is ready`);
}

/** Asks again and again until the answer is as it should be. A rejection is no answer. */
export async function eventually<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean, name: string): Promise<T> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined && isRight(answer)) return answer;
    if (performance.now() > deadline) throw new Error(`not within ${DEADLINE_MS} ms: ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What a command printed, and its exit code. */
export async function run(
  t: CliTest,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = startCli(t, args, env);
  let [out, err] = ['', ''];
  child.stdout?.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (err += data.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}
