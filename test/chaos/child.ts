/** Starts serve-child.ts on a fixed port, kills it, and starts it again on the same data. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Limits } from '../../src/protocol/limits.js';
import type { Stats } from '../../src/server/api.js';
import type { AdmissionOptions } from '../../src/server/gate/doorkeeper.js';
import { programArgs } from '../support/program.js';

/** The code with which a node ends that another has taken over from. */
export const DEPOSED = 75;

export type EngineName = 'uws' | 'ws' | 'auto';
export type StoreName = 'memory' | 'lmdb';

export interface ServeOptions {
  readonly path: string;
  readonly store: StoreName;
  readonly engine: EngineName;
  /** 0: any free one. */
  readonly port: number;
  /** Default: loopback. */
  readonly host?: string;
  /** Before its command line, where it runs on another machine. */
  readonly command?: readonly string[];
  /** Where edges dial. Default: there are none. */
  readonly link?: number;
  readonly limits?: Partial<Limits>;
  readonly ringBytes?: number;
  readonly admission?: AdmissionOptions;
  /** Ms; often, so that a connection that is dead without a word is noticed within a run. Default 2,000. */
  readonly pingEvery?: number;
  /** Ms. Default 5,000. */
  readonly pingTimeout?: number;
  readonly apiKey?: string;
  /** It is a node of a cluster: `port` is its edge's. */
  readonly cluster?: {
    readonly journal: string;
    readonly node: string;
    readonly advertise: string;
    readonly link: string;
    readonly snapshotBytes: number;
  };
}

/** What the server holds, after a collection of garbage. */
export interface Holdings extends Stats {
  readonly heapUsed: number;
  readonly rss: number;
  readonly external: number;
  readonly handles: number;
  readonly fds: number;
  /** Logged since the last look. */
  readonly errors: readonly string[];
}

/** What clients are at work against: a server, or a cluster of them. */
export interface Host {
  /** Where clients come in. */
  readonly port: number;
  /** A process of it ended that should not have. */
  readonly crashed: boolean;
  start(): Promise<unknown>;
  /** All of it. */
  kill(): Promise<void>;
}

export class Child implements Host {
  readonly #options: ServeOptions;
  #process: ChildProcess | undefined;

  constructor(options: ServeOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get port(): number {
    return this.#options.port;
  }

  /** Resolves with the port when it listens; a node of a cluster, when it has begun. */
  async start(): Promise<number> {
    const program = new URL('./serve-child.ts', import.meta.url);
    const [command = '', ...args] = [...(this.#options.command ?? []), process.execPath];
    const child = spawn(
      command,
      [...args, '--expose-gc', ...programArgs(program), JSON.stringify(this.#options)],
      // The test runner's own hooks are not for this process.
      { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], env: { ...process.env, NODE_OPTIONS: '' } },
    );
    this.#process = child;
    const died = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`the server ended before it listened: ${code} ${signal}`);
    });
    const [port] = await Promise.race([once(createInterface(child.stdout as NodeJS.ReadableStream), 'line'), died]);
    died.catch(() => undefined);
    return Number(port);
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name);
  }

  /** Resolves when the process that runs now has ended. */
  async ended(): Promise<readonly [code: number | null, signal: NodeJS.Signals | null]> {
    const child = this.#process;
    if (child !== undefined && !this.crashed) await once(child, 'exit');
    return [child?.exitCode ?? null, child?.signalCode ?? null];
  }

  /** Ended by itself: it should not have. */
  get crashed(): boolean {
    return this.#process !== undefined && (this.#process.exitCode !== null || this.#process.signalCode !== null);
  }

  /** SIGKILL: no goodbye, no flush. Resolves when the process is gone. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  async holdings(): Promise<Holdings> {
    const child = this.#process as ChildProcess;
    const answer = once(child, 'message');
    child.send('holdings');
    const [holdings] = (await answer) as [Holdings];
    return holdings;
  }
}
