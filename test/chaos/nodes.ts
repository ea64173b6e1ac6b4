/**
 * Nodes of a cluster, each a process (serve-child.ts) that reaches the log in its engine, and is reached by the others,
 * through proxies of its own; before them all one port, as a balancer's. And the ways in which its hub can end: the other
 * nodes go on, and it comes back as a standby, sometimes with an empty disk.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../random.js';
import { startProxy, type Place, type Proxy } from '../journal/proxy.js';
import type { Machine, Machines } from '../support/machine.js';
import { within } from '../support/until.js';
import { freePort } from '../support/free-port.js';
import { Child, DEPOSED, type EngineName, type Host, type ServeOptions } from './child.js';
import type { LogEngine } from './log.js';

/**
 * `stop`: SIGSTOP, and SIGCONT when another is the hub. `cut`: its network, healed when another is the hub. Those of the
 * engine are no end of the hub, if all goes well: it waits.
 */
export const endings = ['kill', 'stop', 'cut', 'term', 'engine killed', 'engine stopped'] as const;
/** `pull`: the cable of its machine, with its clients; plugged in when another is the hub. */
export type Ending = (typeof endings)[number] | 'pull';

export interface NodesOptions {
  /** Of the log: its port is that of a server on this machine. */
  readonly log: LogEngine;
  readonly engine: EngineName;
  readonly path: string;
  readonly random: Random;
  readonly apiKey: string;
  readonly limits: ServeOptions['limits'];
  /** Each node runs on one of its own. Default: they are all here. */
  readonly machines?: Machines | undefined;
  readonly count?: number;
}

/** Much longer than a failover on a machine that does other things. */
const PATIENCE_MS = 60_000;
const ASK_MS = 2_000;
/** Small, so that nodes take snapshots, and are killed while they do. */
const SNAPSHOT_BYTES = 256 * 1024;

const LOOPBACK = '127.0.0.1';

interface Node {
  readonly name: string;
  readonly path: string;
  /** Of its own port. */
  readonly at: Place;
  readonly machine: Machine<'all'> | undefined;
  readonly child: Child;
  readonly toLog: Proxy;
  readonly link: Proxy;
  /** A balancer sends clients there. */
  isUp: boolean;
  /** Its process is meant to end. */
  isEnding: boolean;
}

interface Hub {
  readonly term: number;
  readonly hub: string;
}

export class Nodes implements Host {
  readonly #options: NodesOptions;
  readonly #nodes: Node[] = [];
  readonly #watching = new Set<Promise<void>>();
  #balancer!: Proxy;
  #turn = 0;
  #isOver = false;
  crashed = false;
  /** What no node should have done. */
  readonly problems: string[] = [];
  /** Hubs that another node took over from although nobody had ended them: a busy machine makes them. */
  surprises = 0;

  constructor(options: NodesOptions) {
    this.#options = options;
  }

  get port(): number {
    return this.#balancer.port;
  }

  /** Resolves when one of them is the hub, and all can reach it. */
  async start(): Promise<void> {
    this.#balancer = await startProxy(() => this.#next().at);
    for (let i = 0; i < (this.#options.count ?? 3); i++)
      this.#nodes.push(await this.#node(`n${i}`, this.#options.machines?.all[i]));
    await Promise.all(this.#nodes.map((node) => this.#begin(node)));
    await this.#hubAfter(0);
  }

  /** Those that are up, in turns. */
  #next(): Node {
    const up = this.#nodes.filter(({ isUp }) => isUp);
    const all = up.length > 0 ? up : this.#nodes;
    return all[++this.#turn % all.length] as Node;
  }

  async #node(name: string, machine: Machine<'all'> | undefined): Promise<Node> {
    const { log, engine, limits, apiKey, machines } = this.#options;
    const [port, linkPort] = [await freePort(), await freePort()];
    const host = machine?.cables.all.there ?? LOOPBACK;
    // Where all nodes reach this machine, and each other through it.
    const home = machines?.home ?? LOOPBACK;
    const url = new URL(log.url);
    const toLog = await startProxy(Number(url.port), home);
    const link = await startProxy(() => ({ host, port: linkPort }), home);
    url.host = `${home}:${toLog.port}`;
    const path = join(this.#options.path, name);
    const cluster = {
      ...{ journal: url.href, node: name, advertise: `${home}:${link.port}`, link: `${host}:${linkPort}` },
      snapshotBytes: SNAPSHOT_BYTES,
    };
    const common = { engine, limits, apiKey, cluster, path, port, ringBytes: 256 * 1024 };
    const far = machine === undefined ? {} : { command: machine.command, host, pingEvery: 500, pingTimeout: 2_000 };
    // One keeps nothing: it begins with an empty disk each time.
    const child = new Child({ ...common, ...far, store: name === 'n2' ? 'memory' : 'lmdb' });
    return { name, path, at: { host, port }, machine, child, toLog, link, isUp: false, isEnding: false };
  }

  async #begin(node: Node): Promise<void> {
    mkdirSync(node.path, { recursive: true });
    node.isEnding = false;
    await node.child.start();
    const watching = this.#watch(node).finally(() => this.#watching.delete(watching));
    this.#watching.add(watching);
    await this.#untilReady(node);
  }

  /** What its parent would do. */
  async #watch(node: Node): Promise<void> {
    const [code, signal] = await node.child.ended();
    if (node.isEnding || this.#isOver) return;
    node.isUp = false;
    if (code !== DEPOSED) {
      this.crashed = true;
      this.problems.push(`${node.name} ended by itself: ${code ?? signal}`);
      return;
    }
    this.surprises++;
    await this.#begin(node).catch((error: unknown) => void this.problems.push(String(error)));
  }

  async #untilReady(node: Node): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!this.#isOver && !node.isEnding) {
      if ((await ask(node.at, '/health/ready'))?.ok === true) {
        node.isUp = true;
        return;
      }
      if (performance.now() > deadline) throw new Error(`${node.name} was not ready in ${PATIENCE_MS} ms`);
      await pause(50);
    }
  }

  /** As any node says that is up. */
  async #hubAfter(term: number): Promise<Hub> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      for (const { at, isUp } of this.#nodes) {
        const response = isUp ? await ask(at, '/health') : undefined;
        const body = (await response?.json().catch(() => undefined)) as { readonly cluster?: Hub } | undefined;
        const found = body?.cluster;
        if (response?.ok === true && found !== undefined && found.term > term) return found;
      }
      if (performance.now() > deadline) throw new Error(`nobody was the hub after term ${term} in ${PATIENCE_MS} ms`);
      await pause(50);
    }
  }

  /** Resolves when there is a hub that serves, with the ms that it took, and all nodes are there again. */
  fail(ending: Ending): Promise<number> {
    return ending === 'engine killed' || ending === 'engine stopped' ? this.#failEngine(ending) : this.#failHub(ending);
  }

  async #failEngine(ending: Ending): Promise<number> {
    const { log, random } = this.#options;
    const began = performance.now();
    // Longer than any lease.
    const awayMs = 500 + random.below(4_000);
    if (ending === 'engine killed') await log.kill();
    else log.signal('SIGSTOP');
    await pause(awayMs);
    if (ending === 'engine killed') await log.start();
    else log.signal('SIGCONT');
    await this.#hubAfter(0);
    return performance.now() - began - awayMs;
  }

  async #failHub(ending: Ending): Promise<number> {
    const { random } = this.#options;
    const { term, hub } = await this.#hubAfter(0);
    const node = this.#nodes.find(({ name }) => name === hub) as Node;
    const began = performance.now();
    node.isUp = false;
    node.isEnding = true;
    const ended = node.child.ended();
    if (ending === 'cut') for (const proxy of [node.toLog, node.link]) proxy.hold();
    else if (ending === 'pull') node.machine?.cables.all.pull();
    else node.child.signal(ending === 'kill' ? 'SIGKILL' : ending === 'stop' ? 'SIGSTOP' : 'SIGTERM');
    await this.#hubAfter(term);
    const ms = performance.now() - began;
    // Woken at once, or when the others have done much.
    if (ending === 'stop' || ending === 'cut' || ending === 'pull') await pause(random.below(1_500));
    if (ending === 'stop') node.child.signal('SIGCONT');
    if (ending === 'cut') for (const proxy of [node.toLog, node.link]) proxy.heal();
    if (ending === 'pull') node.machine?.cables.all.plug();
    const [code, signal] = await within(ended, `the end of ${hub} after ${ending}`, PATIENCE_MS);
    const expected = ending === 'kill' ? 'SIGKILL' : ending === 'term' ? 0 : DEPOSED;
    // The others may have taken over just before.
    if ((code ?? signal) !== expected && code !== DEPOSED)
      this.problems.push(`${hub} ended with ${code ?? signal} after ${ending}`);
    if (random.chance(0.3)) rmSync(node.path, { recursive: true, force: true });
    await this.#begin(node);
    return ms;
  }

  async kill(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#nodes.map(({ child }) => child.kill()));
    await Promise.all(this.#watching);
    for (const { toLog, link } of this.#nodes) {
      toLog.close();
      link.close();
    }
    this.#balancer?.close();
  }
}

function ask({ host, port }: Place, path: string): Promise<Response | undefined> {
  const options = { signal: AbortSignal.timeout(ASK_MS) };
  return fetch(`http://${host}:${port}${path}`, options).catch(() => undefined);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
