/**
 * Fan-out: n subscribers of one topic, w events of 64 bytes in each window. Every peer gets a new
 * process per round, the rounds interleave the peers (what else the machine does hits all alike),
 * and the results are medians over the rounds; the ratios too, each of one round's neighbours.
 * CPU is the server process's own, all threads, over the measured windows, per delivery. Latency is
 * from the command to the last delivery of a window.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadUwsLoader } from './dist.js';
import { Generator } from './generator.js';
import { openFiles } from './machine.js';
import { PeerProcess } from './peer-process.js';
import { millions } from './table.js';
import { plainWire, roomwireWire } from './wire.js';

export const PEERS = ['roomwire', 'uws', 'ws'] as const;
export type Peer = (typeof PEERS)[number];
export const STORES = ['memory', 'lmdb'] as const;
export type StoreName = (typeof STORES)[number];

export interface FanoutOptions {
  readonly peers: readonly Peer[];
  /** Of roomwire; the others have none. */
  readonly stores: readonly StoreName[];
  readonly n: readonly number[];
  readonly w: readonly number[];
  readonly rounds: number;
  /** Measured time of a cell; a quarter of it warms up before. */
  readonly seconds: number;
  readonly profile: string | undefined;
  readonly say: (line: string) => void;
}

export interface Result {
  readonly work: 'fanout';
  readonly peer: Peer;
  readonly n: number;
  readonly w: number;
  readonly bytes: number;
  readonly store: StoreName | 'none';
  /** Deliveries. */
  readonly perSecond: number;
  /** Per delivery. */
  readonly cpuNanoseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Measured, over all rounds; every one was counted. */
  readonly windows: number;
  readonly deliveries: number;
  /** Above 1 is better than uws. Null where uws did not run. */
  readonly toUws: { readonly perSecond: number; readonly cpu: number } | null;
}

interface Contestant {
  readonly peer: Peer;
  readonly store: StoreName | 'none';
}
interface Sample {
  readonly perSecond: number;
  readonly cpuNanoseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly windows: number;
  readonly deliveries: number;
}

const BYTES = 64;
/** Files a process needs beside one per subscriber. */
const OTHER_FILES = 100;

export async function fanout(options: FanoutOptions): Promise<Result[]> {
  const { n: sizes, rounds, say } = options;
  const contestants = (await able(options.peers, say)).flatMap((peer): Contestant[] =>
    peer === 'roomwire' ? options.stores.map((store) => ({ peer, store })) : [{ peer, store: 'none' }],
  );
  const results: Result[] = [];
  for (const n of sizes) {
    if (n + OTHER_FILES > openFiles()) {
      say(`SKIPPED fanout n=${n}: a process may open ${openFiles()} files here (ulimit -n)`);
      continue;
    }
    const samples = new Map<string, Sample[]>();
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < contestants.length; i++) {
        // Another one begins each round: none is always the first after a pause.
        const contestant = contestants[(i + round) % contestants.length] as Contestant;
        for (const [w, sample] of await measure(contestant, n, options)) {
          const key = keyOf(contestant, w);
          samples.set(key, [...(samples.get(key) ?? []), sample]);
          say(`round ${round + 1}/${rounds}  ${describe(contestant, n, w)}  ${summary(sample)}`);
        }
      }
    }
    for (const w of options.w) {
      const uws = samples.get(keyOf({ peer: 'uws', store: 'none' }, w));
      for (const contestant of contestants) {
        results.push(resultOf(contestant, { n, w }, samples.get(keyOf(contestant, w)) ?? [], uws));
      }
    }
  }
  return results;
}

/** The peers that run on this machine. */
async function able(peers: readonly Peer[], say: (line: string) => void): Promise<readonly Peer[]> {
  const { loadUws } = await loadUwsLoader();
  if ('module' in loadUws()) return peers;
  say('SKIPPED uws: no native build of uWebSockets.js loads here; roomwire runs on its portable engine');
  return peers.filter((peer) => peer !== 'uws');
}

const keyOf = ({ peer, store }: Contestant, w: number): string => `${peer} ${store} ${w}`;

function describe({ peer, store }: Contestant, n: number, w: number): string {
  return `fanout ${peer}${store === 'none' ? '' : `/${store}`} n=${n} w=${w}`;
}

function summary({ perSecond, cpuNanoseconds, p50Ms }: Sample): string {
  return `${millions(perSecond)}/s  ${cpuNanoseconds.toFixed(1)} ns  p50 ${p50Ms.toFixed(2)} ms`;
}

/** One process of a peer, with n subscribers, at every w. */
async function measure(contestant: Contestant, n: number, options: FanoutOptions): Promise<Map<number, Sample>> {
  const { peer, store } = contestant;
  const directory = store === 'lmdb' ? mkdtempSync(join(tmpdir(), 'roomwire-bench-')) : undefined;
  const remove = (): void => {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  };
  // Ctrl-C ends the process without the `finally`.
  process.once('exit', remove);
  let server: PeerProcess | undefined;
  let load: Generator | undefined;
  const samples = new Map<number, Sample>();
  try {
    server = await PeerProcess.start(peer, { bytes: BYTES, store: directory ?? 'memory' }, options.profile);
    load = new Generator(server);
    await load.connect(n, peer === 'roomwire' ? await roomwireWire(BYTES) : plainWire(BYTES));
    for (const w of options.w) {
      await load.run(w, options.seconds / 4, 1);
      const before = await server.cpuMilliseconds();
      const { windows, deliveries, seconds, latencies } = await load.run(w, options.seconds, 1);
      const cpu = (await server.cpuMilliseconds()) - before;
      samples.set(w, {
        perSecond: deliveries / seconds,
        cpuNanoseconds: (cpu * 1e6) / deliveries,
        p50Ms: quantile(latencies, 0.5),
        p99Ms: quantile(latencies, 0.99),
        windows,
        deliveries,
      });
    }
  } catch (error) {
    throw new Error(`${describe(contestant, n, options.w[samples.size] ?? 0)}: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    load?.close();
    await server?.stop();
    process.off('exit', remove);
    remove();
  }
  return samples;
}

function resultOf(
  { peer, store }: Contestant,
  { n, w }: { readonly n: number; readonly w: number },
  samples: readonly Sample[],
  uws: readonly Sample[] | undefined,
): Result {
  const middle = (of: (sample: Sample, round: number) => number): number => median(samples.map(of));
  const sum = (of: (sample: Sample) => number): number => samples.reduce((total, sample) => total + of(sample), 0);
  const same = (round: number): Sample => uws?.[round] as Sample;
  return {
    work: 'fanout',
    peer,
    n,
    w,
    bytes: BYTES,
    store,
    perSecond: middle((sample) => sample.perSecond),
    cpuNanoseconds: middle((sample) => sample.cpuNanoseconds),
    p50Ms: middle((sample) => sample.p50Ms),
    p99Ms: middle((sample) => sample.p99Ms),
    windows: sum((sample) => sample.windows),
    deliveries: sum((sample) => sample.deliveries),
    toUws:
      uws === undefined
        ? null
        : {
            perSecond: middle((sample, round) => sample.perSecond / same(round).perSecond),
            cpu: middle((sample, round) => same(round).cpuNanoseconds / sample.cpuNanoseconds),
          },
  };
}

/** The smallest value that is not below a share `q` of all; `sorted` must not be empty. */
function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] as number;
}

function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2;
}
