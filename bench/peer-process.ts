/** A peer's server as a child process, on a core of its own, and its control channel. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { pinned } from './machine.js';
import type { Command, PeerOptions, Report } from './peers/peer.js';

/** All that run now; the CLI kills them when it has to end early. */
const running = new Set<ChildProcess>();

export function killPeers(): void {
  for (const child of running) child.kill('SIGKILL');
}

export class PeerProcess {
  readonly #child: ChildProcess;
  /** Rejects when the server reports an error or ends; never resolves. */
  readonly failure: Promise<never>;
  #reported: (report: Report) => void = () => undefined;
  #stopping = false;
  port = 0;

  /** Resolves when the server listens. `profile`: a directory for a CPU profile of it. */
  static async start(peer: string, options: PeerOptions, profile?: string): Promise<PeerProcess> {
    const process = new PeerProcess(peer, options, profile);
    const report = await process.#next();
    if ('port' in report) process.port = report.port;
    return process;
  }

  private constructor(peer: string, options: PeerOptions, profile: string | undefined) {
    const script = fileURLToPath(new URL(`./peers/${peer}.js`, import.meta.url));
    const flags = profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${profile}`];
    const [command, ...args] = pinned('server', [process.execPath, ...flags, script, JSON.stringify(options)]);
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

  /** CPU time of the process so far, ms. */
  async cpuMilliseconds(): Promise<number> {
    const answer = this.#next();
    this.send({ usage: true });
    const report = await answer;
    return 'cpuMicroseconds' in report ? report.cpuMicroseconds / 1000 : 0;
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
