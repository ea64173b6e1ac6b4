/** A peer's server as a child process, on a core of its own, and its control channel. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Peer } from './contestants.js';
import { DIST } from './dist.js';
import { pinned } from './machine.js';
import { commandOf } from './peers/command.js';
import type { Command, PeerOptions, Report, Usage } from './peers/peer.js';

/** All that run now; the CLI kills them when it has to end early. */
const running = new Set<ChildProcess>();

export function killPeers(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** The server is at rest when it took less than `cpuMs` of CPU time in `ms`. */
const REST = { ms: 100, cpuMs: 5 };
/** Then it is measured as it is. */
const REST_LATEST_MS = 15_000;

export interface StartOptions {
  /** A directory for a CPU profile of it. */
  readonly profile?: string | undefined;
  /** Flags for Node. */
  readonly flags?: readonly string[];
  /** The build that it runs; this checkout's unless said. */
  readonly dist?: string | undefined;
}

/** A script on the server's core that answers its argument with one message, and ends. */
export async function runScript<T>(
  file: string,
  argument: unknown,
  { profile, flags = [] }: StartOptions = {},
): Promise<T> {
  const script = fileURLToPath(new URL(file, import.meta.url));
  const [command, ...args] = pinned('server', [
    process.execPath,
    ...profiling(profile),
    ...flags,
    script,
    JSON.stringify(argument),
  ]);
  const child = spawn(command as string, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  running.add(child);
  try {
    return await new Promise<T>((resolve, reject) => {
      child.on('error', reject);
      child.on('message', (answer) => resolve(answer as T));
      child.on('exit', (code, signal) => reject(new Error(`${file} ended with ${signal ?? code}`)));
    });
  } finally {
    running.delete(child);
  }
}

export class PeerProcess {
  readonly #child: ChildProcess;
  /** Rejects when the server reports an error or ends; never resolves. */
  readonly failure: Promise<never>;
  #reported: (report: Report) => void = () => undefined;
  #stopping = false;
  port = 0;

  /** Resolves when the server listens. */
  static async start(
    peer: Peer,
    options: PeerOptions,
    { profile, flags = [], dist }: StartOptions = {},
  ): Promise<PeerProcess> {
    const process = new PeerProcess(peer, await commandOf(peer, options, [...profiling(profile), ...flags]), dist);
    const report = await process.#next();
    if ('port' in report) process.port = report.port;
    return process;
  }

  private constructor(peer: Peer, commandLine: readonly string[], dist: string | undefined) {
    const [command, ...args] = pinned('server', commandLine);
    const child = spawn(command as string, args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: dist === undefined ? process.env : { ...process.env, [DIST]: dist },
    });
    this.#child = child;
    running.add(child);
    this.failure = new Promise((_, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => {
        running.delete(child);
        if (!this.#stopping) reject(new Error(`the ${peer} server ended with ${signal ?? code}`));
      });
      child.on('message', (report: Report) => {
        if ('error' in report) reject(new Error(`the ${peer} server failed: ${report.error}`));
        else this.#reported(report);
      });
    });
    // Whoever waits for an answer sees it; nobody else needs to.
    this.failure.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  send(command: Command): void {
    this.#child.send(command);
  }

  /** CPU time so far, and memory. */
  async usage({ collect = true } = {}): Promise<Usage> {
    const answer = this.#next();
    this.send({ usage: true, collect });
    const report = await answer;
    if (!('cpuMicroseconds' in report)) throw new Error('the server answered another question');
    return report;
  }

  /** Waits until it has nothing more to do. */
  async rest(): Promise<void> {
    const latest = performance.now() + REST_LATEST_MS;
    // A collection would leave it work to do.
    const usage = (): Promise<Usage> => this.usage({ collect: false });
    let before = await usage();
    for (let busy = Infinity; busy > REST.cpuMs * 1000 && performance.now() < latest;) {
      await Promise.race([delay(REST.ms), this.failure]);
      const now = await usage();
      busy = now.cpuMicroseconds - before.cpuMicroseconds;
      before = now;
    }
  }

  /** Ends it as an operator would, or a crash. Resolves when it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#stopping = true;
    const exit = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exit;
  }

  async stop(): Promise<void> {
    if (!running.has(this.#child)) return;
    this.#stopping = true;
    const exit = once(this.#child, 'exit');
    // It ends by itself when the channel closes, and writes its profile then.
    this.#child.disconnect();
    await exit;
  }

  #next(): Promise<Report> {
    return Promise.race([new Promise<Report>((resolve) => (this.#reported = resolve)), this.failure]);
  }
}

function profiling(directory: string | undefined): readonly string[] {
  return directory === undefined ? [] : ['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${directory}`];
}
