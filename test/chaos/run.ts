/**
 * What the runs of chain, locks and lock handles have in common: a seed, the recorder, the fault proxy, connections that
 * are struck and a server that ends and begins again while clients are at work, and the checker at the end.
 */
import type { Client } from '../../src/client/node.js';
import { dial } from '../../src/link/address.js';
import { runEdge, type Edge } from '../../src/link/edge.js';
import { silent } from '../../src/server/watch/log.js';
import { random as seeded, type Random } from '../random.js';
import { check, type Verdict } from './checker.js';
import { Child, type EngineName, type Host, type ServeOptions } from './child.js';
import { FaultProxy, type Did } from './fault-proxy.js';
import type { History } from './history.js';
import { Recorder } from './recorder.js';

/** Longer than any fault: nothing but a loss makes a wait this long. */
export const PATIENCE_MS = 60_000;

/** A host that others end and begin again while several runs are at work against it. */
export interface Shared {
  readonly host: Host;
  readonly isOver: () => boolean;
  /** An operation of a client has been answered. */
  readonly did: () => void;
  /** Ms at most between one operation of a client and its next. */
  readonly pauseMs: number;
}

export interface RunOptions {
  readonly seed: number;
  readonly engine: EngineName;
  /** Where LMDB keeps its data. */
  readonly path: string;
  /** Times that the server ends and begins again. */
  readonly restarts: number;
  /** Faults of connections, spread over the run. */
  readonly strikes: number;
  /** So many edges hold the connections, and the faults are those of their links. */
  readonly edges?: number;
  /** Instead of a server of the run's own; then it lasts until that is over. */
  readonly shared?: Shared;
  readonly progress?: (line: string) => void;
}

export interface RunResult extends Verdict {
  readonly seed: number;
  readonly history: History;
  readonly did: Did;
  readonly restarts: number;
  readonly seconds: number;
}

export abstract class Run<O extends RunOptions> {
  protected readonly options: O;
  protected readonly random: Random;
  protected readonly recorder = new Recorder();
  protected proxy!: FaultProxy;
  protected host!: Host;
  readonly #edges: Edge[] = [];
  #ports: number[] = [];
  protected restarting: Promise<void> | undefined;
  protected restarts = 0;
  #instances = 0;
  #restartAt: number[] = [];
  #struck = 0;
  #strikeEvery = Infinity;

  constructor(options: O) {
    this.options = options;
    this.random = seeded(options.seed);
  }

  /** Resolves when all is done and told. */
  protected abstract play(): Promise<void>;
  /** The server ends, and another begins. */
  protected async restart(): Promise<void> {
    await this.host.kill();
    await this.host.start();
  }
  /** The server ends. */
  protected async end(): Promise<void> {
    if (this.options.shared === undefined) await this.host?.kill();
  }

  async result(): Promise<RunResult> {
    const began = performance.now();
    try {
      await this.play();
      const { seed } = this.options;
      const [{ history }, { did }, restarts] = [this.recorder, this.proxy, this.restarts];
      return { ...check(history), history, seed, did, restarts, seconds: (performance.now() - began) / 1000 };
    } finally {
      await this.restarting?.catch(() => undefined);
      this.recorder.closeAll();
      await Promise.all(this.#edges.map((edge) => edge.close()));
      await this.proxy?.close();
      await this.end();
    }
  }

  /** Starts the run's own server, unless it shares one. */
  protected async startHost(options: () => ServeOptions): Promise<void> {
    const { shared } = this.options;
    this.host = shared?.host ?? new Child(options());
    if (shared === undefined) await this.host.start();
  }

  protected get isOver(): boolean {
    return this.options.shared?.isOver() === true;
  }

  /** An operation is answered; the next may begin. */
  protected async did(): Promise<void> {
    const { shared } = this.options;
    if (shared === undefined) return;
    shared.did();
    await new Promise((resolve) => setTimeout(resolve, this.random.below(shared.pauseMs)));
  }

  /** Opens the proxy before `port`, or the link's; faults come evenly over `expected` of something that counts up. */
  protected async expose(port: number, expected: number): Promise<void> {
    this.proxy = await FaultProxy.start({ target: port, random: this.random });
    const { port: link } = this.proxy;
    const dialled = { text: 'the proxy', dial: () => dial({ host: '127.0.0.1', port: link }, {}) };
    for (let i = 0; i < (this.options.edges ?? 0); i++) {
      const at = { host: '127.0.0.1', port: 0, engine: this.options.engine, log: silent };
      this.#edges.push(runEdge({ name: `e${i}`, hubs: [dialled], ...at }));
    }
    this.#ports = await Promise.all(this.#edges.map(({ listening }) => listening));
    if (this.#ports.length === 0) this.#ports = [link];
    this.#strikeEvery = Math.max(1, Math.floor(expected / (this.options.strikes + 1)));
  }

  protected strikeAt(count: number, fault?: { readonly lastMs: number }): void {
    if (count < (this.#struck + 1) * this.#strikeEvery) return;
    this.#struck++;
    this.proxy.strike(fault);
  }

  /** When it is to end and begin again, as `restartAt` counts. */
  protected restartsAt(counts: readonly number[]): void {
    this.#restartAt = [...counts].sort((a, b) => b - a);
  }

  protected restartAt(count: number): void {
    if (this.restarting !== undefined || count <= (this.#restartAt.at(-1) ?? Infinity)) return;
    this.#restartAt.pop();
    this.restarts++;
    this.restarting = this.restart().finally(() => (this.restarting = undefined));
    this.restarting.catch((error: unknown) => this.recorder.problem(String(error)));
  }

  /** Of the proxy, or of the edges in turn. */
  protected nextPort(): number {
    const port = this.#ports.shift() as number;
    this.#ports.push(port);
    return port;
  }

  /** `port`: another than the proxy's, or the edges'. */
  protected connect(name: string, { port = this.nextPort(), token, grace, maxMs = 50 }: Connecting = {}): Client {
    return this.recorder.connect(name, `ws://127.0.0.1:${port}`, {
      token,
      grace,
      instance: `${name}-${this.options.seed}-${this.#instances++}`,
      backoff: { baseMs: 5, maxMs },
      callTimeoutMs: PATIENCE_MS,
      random: () => this.random.next(),
    });
  }
}

interface Connecting {
  readonly port?: number;
  readonly token?: string;
  readonly grace?: number;
  readonly maxMs?: number;
}
