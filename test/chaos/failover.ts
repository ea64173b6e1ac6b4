/**
 * Failovers in a row, under load: the hub of three nodes (nodes.ts) on a real engine is killed, stopped and woken, cut off and
 * healed, or told to stop, or the engine is killed or stopped and comes back, while SDK clients publish and listen (chain.ts), hold locks and write under them over REST
 * (handles.ts), and clients without the SDK publish, listen and resume (raw.ts), all through fault proxies. Each failover waits
 * until all of them got on. What they were told over all the terms is judged as ever. Bounded by the number of failovers.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { random as seeded } from '../random.js';
import type { Machines } from '../support/machine.js';
import { unrated } from '../support/unrated.js';
import { runChain } from './chain.js';
import type { EngineName } from './child.js';
import { runHandles } from './handles.js';
import type { History } from './history.js';
import type { LogEngine } from './log.js';
import { endings, Nodes, type Ending } from './nodes.js';
import { runRaw } from './raw.js';
import type { RunResult, Shared } from './run.js';
import { within } from './within.js';

export interface FailoverOptions {
  readonly seed: number;
  readonly engine: EngineName;
  readonly log: LogEngine;
  readonly path: string;
  readonly failovers: number;
  /** Other than each in its turn, shuffled. */
  readonly endings?: readonly Ending[];
  /** Each node runs on one of its own. */
  readonly machines?: Machines;
  readonly progress?: (line: string) => void;
}

export interface FailoverResult {
  readonly seed: number;
  readonly seconds: number;
  readonly failovers: number;
  /** Hubs that were taken over from without having been ended. */
  readonly surprises: number;
  /** From the end of a hub until the next one answered. */
  readonly pausesMs: readonly number[];
  readonly complaints: readonly string[];
  readonly deliveries: number;
  readonly acknowledged: number;
  readonly operations: number;
  readonly grants: number;
  readonly resets: number;
  readonly lost: number;
  readonly doubled: number;
  /** Of the first kind of clients that complains. */
  readonly history: History;
}

/** So many operations of each kind of client must be answered before the hub is ended again. */
const PROGRESS = { chain: 40, handles: 6, raw: 20 };
const PATIENCE_MS = 90_000;
/** More than any run has time for. */
const ENDLESS = 10_000_000;
const API_KEY = 'chaos=a-key-of-more-than-16-characters';

export async function runFailovers(options: FailoverOptions): Promise<FailoverResult> {
  const { seed, engine, log, path, failovers, progress = () => undefined } = options;
  const random = seeded(seed);
  const began = performance.now();
  const limits = {
    ...unrated,
    ...{ historyEvents: ENDLESS, historyBytes: 1024 ** 3, graceMs: 60_000, graceMaxMs: 120_000 },
    ...{ lockMinMs: 100, lockWaiters: 4 },
  };
  const apiKey = API_KEY.slice(API_KEY.indexOf('=') + 1);
  const nodes = new Nodes({ log, engine, path, random, apiKey: API_KEY, limits, machines: options.machines });
  const done = { chain: 0, handles: 0, raw: 0 };
  let isOver = false;
  const share = (name: keyof typeof done, pauseMs: number): Shared => ({
    ...{ host: nodes, isOver: () => isOver, pauseMs },
    did: () => done[name]++,
  });
  const common = (name: keyof typeof done) => {
    mkdirSync(join(path, name), { recursive: true });
    return { seed, engine, restarts: 0, path: join(path, name) };
  };
  const pausesMs: number[] = [];
  try {
    await nodes.start();
    progress('the nodes are up');
    const all = [
      runChain({
        ...common('chain'),
        ...{ store: 'lmdb', topics: 3, rooms: 1, subscribers: 4, publishers: 4, events: ENDLESS / 4 },
        // One in some 200 deliveries.
        strikes: ENDLESS / 40,
        shared: share('chain', 1_500),
      }),
      runHandles({
        ...common('handles'),
        ...{ operations: ENDLESS, actors: 6, rooms: 2, strikes: ENDLESS / 20 },
        shared: share('handles', 100),
      }),
      runRaw({
        ...common('raw'),
        ...{ clients: 4, topics: 2, apiKey, strikes: 1_000_000 / 25 },
        shared: share('raw', 150),
      }),
    ] as const;
    const running = Promise.all(all);
    let failed: unknown;
    running.catch((error: unknown) => (failed = error));
    const moved = async (): Promise<void> => {
      const from = { ...done };
      const names = Object.keys(PROGRESS) as (keyof typeof done)[];
      const isThere = (): boolean =>
        failed !== undefined || names.every((name) => done[name] - from[name] >= PROGRESS[name]);
      await within(PATIENCE_MS, isThere, `progress after ${pausesMs.length} failovers, ${JSON.stringify(done)}`);
    };
    const order: Ending[] = [];
    try {
      await moved();
      for (let i = 1; i <= failovers && failed === undefined; i++) {
        if (order.length === 0) order.push(...shuffled(options.endings ?? endings, random.below));
        const ending = order.pop() as Ending;
        const ms = await nodes.fail(ending);
        pausesMs.push(ms);
        progress(`failover ${i} of ${failovers}: ${ending}, ${ms.toFixed(0)} ms; answered ${JSON.stringify(done)}`);
        await moved();
      }
    } finally {
      isOver = true;
      await Promise.allSettled(all);
    }
    const [chain, handles, raw] = await running;
    const runs = Object.entries({ chain, handles, raw });
    const sum = (of: (run: RunResult) => number): number => runs.reduce((total, [, run]) => total + of(run), 0);
    const resets = sum((run) => run.resets);
    return {
      ...{ seed, failovers: pausesMs.length, pausesMs, resets, surprises: nodes.surprises },
      history: (runs.find(([, { complaints }]) => complaints.length > 0) ?? ['', chain])[1].history,
      seconds: (performance.now() - began) / 1000,
      complaints: [
        ...nodes.problems,
        ...runs.flatMap(([name, run]) => run.complaints.map((complaint) => `${name}: ${complaint}`)),
        ...(resets === 0 ? [] : [`${resets} resets of topics that keep everything`]),
      ],
      deliveries: sum((run) => run.deliveries),
      acknowledged: sum((run) => run.acknowledged),
      operations: handles.operations,
      grants: sum((run) => run.grants),
      lost: sum((run) => run.lost),
      doubled: sum((run) => run.doubled),
    };
  } finally {
    await nodes.kill();
  }
}

function shuffled<T>(items: readonly T[], below: (n: number) => number): T[] {
  const left = [...items];
  return Array.from(items, () => left.splice(below(left.length), 1)[0] as T);
}
