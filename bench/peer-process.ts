/** A peer's server as a child process, on a core of its own, and its control channel. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { commandOf, type Peer } from './contestants.js';
import { pinned } from './machine.js';
import type { Command, PeerOptions, Report, Usage } from './peers/peer.js';

/** All that run now; the CLI kills them when it has to end early. */
const running = new Set<ChildProcess>();

export function killPeers(): void {
  for (const child of running) child.kill('SIGKILL');
}

export interface StartOptions {
  /** A directory for a CPU profile of it. */
  readonly profile?: string | undefined;
  /** Flags for Node. */
  readonly flags?: readonly string[];
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
    { profile, flags = [] }: StartOptions = {},
  ): Promise<PeerProcess> {
    const profiling =
      profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${profile}`];
    const process = new PeerProcess(peer, await commandOf(peer, options, [...profiling, ...flags]));
    const report = await process.#next();
    if ('port' in report) process.port = report.port;
    return process;
  }

  private constructor(peer: Peer, commandLine: readonly string[]) {
    const [command, ...args] = pinned('server', commandLine);
    const child = spawn(command as string, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
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

  send(command: Command): void {
    this.#child.send(command);
  }

  /** CPU time so far, and memory. */
  async usage(): Promise<Usage> {
    const answer = this.#next();
    this.send({ usage: true });
    const report = await answer;
    if (!('cpuMicroseconds' in report)) throw new Error('the server answered another question');
    return report;
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
