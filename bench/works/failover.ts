/**
 * The end of a cluster's hub, with n sessions that know its three nodes: "killed" with SIGKILL, and "told to stop" with SIGTERM.
 * Latency is from the signal to a session's being live again: resumed by the next hub, in its topic, without a gap. `ack gap ms`
 * is from the last publish that the old hub acknowledged to the first of the next one's, for clients that publish all the
 * time. Lost or reset sessions, and events that are lost or come twice, fail the run. All nodes share the server's core.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fits, left, type Suite } from '../contest.js';
import type { Contestant } from '../contestants.js';
import { freePorts, withEngines } from '../engines.js';
import { lapse } from '../load/lapse.js';
import { Publishers } from '../load/publishers.js';
import { Redial } from '../load/redial.js';
import { Returning, type Counts } from '../load/returning.js';
import { roomwireGreeting } from '../load/wires.js';
import { PeerProcess } from '../peer-process.js';
import { quantile, rowOf, type Cell, type Row, type Sample } from '../result.js';

const SESSIONS = [1_000, 10_000];
const NODES = 3;
/** How its hub ends, and whether the rows are those of the most sessions too. */
const ENDS = [
  { variant: 'killed', signal: 'SIGKILL', ofMost: true },
  { variant: 'told to stop', signal: 'SIGTERM', ofMost: false },
] as const;
type End = (typeof ENDS)[number];
/** Handshakes under way at a time. */
const CONNECTING = 200;
/** Nothing takes longer. */
const PATIENCE_MS = 60_000;

export async function failover(suite: Suite): Promise<Row[]> {
  const log = suite.logs[0];
  const most = Math.min(SESSIONS.at(-1) as number, suite.clients);
  if (!suite.peers.includes('roomwire') || log === undefined || !fits(suite, 'failover', most + 100)) return [];
  const cases = [...new Set(SESSIONS.map((n) => Math.min(n, suite.clients)))].flatMap((n, i) =>
    ENDS.filter(({ ofMost }) => i === 0 || ofMost).map((end) => ({ n, end })),
  );
  const takes = (n: number): number => 8 + n / 600;
  if (suite.planning) {
    for (const { n } of cases) suite.plan.add(suite.rounds, takes(n));
    return [];
  }
  const contestant: Contestant = { peer: 'roomwire', store: log };
  const samples = cases.map((): Sample[] => []);
  const cellOf = ({ n, end }: (typeof cases)[number]): Cell => ({
    ...{ work: 'failover', n, w: 0, bytes: 0, variant: end.variant },
  });
  const rows = await withEngines({ ...suite, logs: [log] }, async (urls) => {
    for (let round = 1; round <= suite.rounds; round++) {
      for (const [i, one] of cases.entries()) {
        const { n, end } = one;
        suite.progress.step(`${left(suite)}  round ${round}/${suite.rounds}  failover n=${n} ${end.variant}`);
        const sample = await turn({ n, end, url: urls.get(log) as string, profile: suite.profile });
        samples[i]?.push(sample);
        suite.progress.sample(round, cellOf(one), contestant, sample);
        suite.plan.did(takes(n));
      }
      if (suite.plan.overdue) break;
    }
    return cases.map((one, i) => rowOf(cellOf(one), contestant, samples[i] ?? [], []));
  });
  return rows ?? [];
}

interface Turn {
  readonly n: number;
  readonly end: End;
  readonly url: string;
  readonly profile: string | undefined;
}

async function turn({ n, end, url, profile }: Turn): Promise<Sample> {
  const cluster = new Cluster(url, profile);
  let crowd: Crowd | undefined;
  let publishers: Publishers | undefined;
  try {
    const ports = await cluster.start();
    crowd = new Crowd(n, ports, cluster.failure);
    await crowd.connect();
    await crowd.hear(() => cluster.publish());
    publishers = await Publishers.start(ports);
    await crowd.within(publishers.under(), 'publishing');
    const timed = lapse();
    const back = crowd.lose();
    const began = performance.now();
    const ended = cluster.end(end.signal);
    const latencies = await back(began);
    const { seconds, load } = timed();
    await crowd.within(publishers.under(), 'publishing again');
    const gap = publishers.longestGap(began);
    publishers.close();
    await crowd.hear(() => cluster.publish());
    await ended;
    return {
      ...{ perSecond: n / seconds, cpuNanoseconds: null, wireBytes: null, load, windows: 1, deliveries: n },
      ...{ p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) },
      more: { 'ack gap ms': gap, 'longest ms': latencies.at(-1) ?? 0 },
    };
  } finally {
    publishers?.close();
    crowd?.close();
    await cluster.stop();
  }
}

let logs = 0;

/** Three nodes; the first is the hub. */
class Cluster {
  readonly #url: string;
  readonly #profile: string | undefined;
  readonly #log = `failover_${++logs}`;
  readonly #folder = mkdtempSync(join(tmpdir(), 'roomwire-bench-'));
  readonly #nodes: PeerProcess[] = [];
  #fail!: (error: unknown) => void;
  /** Rejects when a node ends that should not. */
  readonly failure = new Promise<never>((_, reject) => (this.#fail = reject));

  constructor(url: string, profile: string | undefined) {
    this.#url = url;
    this.#profile = profile;
    this.failure.catch(() => undefined);
  }

  /** Resolves with the ports of its nodes. */
  async start(): Promise<readonly number[]> {
    for (let i = 0; i < NODES; i++) {
      const [port = 0, linkPort = 0] = await freePorts(2);
      const log = { url: this.#url, name: this.#log, node: { name: `n${i}`, port, linkPort, isFirst: i === 0 } };
      const options = { bytes: 64, store: join(this.#folder, `${i}`), log };
      const node = await PeerProcess.start('roomwire', options, { profile: this.#profile });
      node.failure.catch(this.#fail);
      this.#nodes.push(node);
    }
    return this.#nodes.map(({ port }) => port);
  }

  /** The hub does. */
  publish(): void {
    for (const node of this.#nodes) node.send({ publish: 1 });
  }

  /** Ends the hub: resolves when it is gone. */
  end(signal: NodeJS.Signals): Promise<void> {
    return (this.#nodes.shift() as PeerProcess).end(signal);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.stop()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The sessions. */
class Crowd {
  readonly #n: number;
  readonly #ports: readonly number[];
  readonly #failure: Promise<never>;
  readonly #counts: Counts = { recovered: 0, refused: 0, resets: 0 };
  readonly #clients: Returning[] = [];
  readonly #redials: Redial[] = [];
  #events = 0;
  #heard: () => void = () => undefined;

  constructor(n: number, ports: readonly number[], failure: Promise<never>) {
    this.#n = n;
    this.#ports = ports;
    this.#failure = failure;
  }

  async connect(): Promise<void> {
    const greeting = await roomwireGreeting([]);
    let live = 0;
    const all = new Promise<void>((resolve) => {
      const open = (): void => {
        const index = this.#redials.length;
        if (index >= this.#n) return;
        const client = new Returning(index, greeting, this.#counts);
        let isNew = true;
        const redial = new Redial({
          ...{ ports: this.#ports, first: index, wire: client.wire, goaway: () => client.goaway },
          ready: () => {
            if (!isNew) return;
            isNew = false;
            if (++live === this.#n) resolve();
            else open();
          },
          received: (events) => {
            this.#events += events;
            if (this.#events >= this.#n) this.#heard();
          },
        });
        this.#clients.push(client);
        this.#redials.push(redial);
      };
      for (let i = 0; i < CONNECTING; i++) open();
    });
    await this.within(all, 'connecting');
  }

  /** Publishes one event, which each of them gets once. */
  async hear(publish: () => void): Promise<void> {
    this.#events = 0;
    const all = new Promise<void>((resolve) => (this.#heard = resolve));
    publish();
    await this.within(all, 'one event');
    if (this.#events !== this.#n) throw new Error(`${this.#events} deliveries came instead of ${this.#n}`);
  }

  /** Its hub is about to end. Then: how many ms after `began` each was live again, sorted. */
  lose(): (began: number) => Promise<Float64Array> {
    const times: number[] = [];
    const all = Promise.all(this.#clients.map((client) => client.return(0, () => times.push(performance.now()))));
    return async (began) => {
      await this.within(all, 'coming back');
      const { refused, resets } = this.#counts;
      if (refused + resets > 0) throw new Error(`${refused} sessions were lost, and ${resets} reset`);
      return Float64Array.from(times, (at) => at - began).sort();
    };
  }

  async within<T>(work: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const problems = [...new Set(this.#redials.map(({ problem }) => problem))].filter((text) => text !== '');
        reject(new Error(`${what} took longer than ${PATIENCE_MS / 1000} s (${problems.slice(-3).join('; ')})`));
      }, PATIENCE_MS);
    });
    try {
      return await Promise.race([work, this.#failure, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    for (const redial of this.#redials) redial.close();
  }
}
