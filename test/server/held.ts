/**
 * Rule 4, in bytes: whatever waits or is remembered holds what it needs and no more, and once everybody has gone the
 * heap is where it was. Each flood is run once to fill what is bounded by itself (rings, journals, caches), and
 * twice more to be measured.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import * as v from 'valibot';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { rooms } from '../../src/rooms/rooms.js';
import type { Plugin } from '../../src/server/api.js';
import { ManualTime } from '../support/manual-time.js';
import { startServer, storeName, type Test } from '../support/server.js';
import { unrated } from '../support/unrated.js';
import { WireClient } from '../support/wire-client.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

// A busy machine must not decide.
t.setTimeout(600_000);

export const KB = 1024;
/** Bytes that each of a flood's frames brings, and how many there are: 12 MiB. */
export const FAT = 96 * KB;
export const MANY = 128;
export const fat = (n: number): string => String(n).padStart(FAT, 'x');

const contract = defineContract({
  use: [roomsContract()],
  topics: {
    'chat:{id}': {
      events: {
        said: { schema: v.unknown(), publish: 'subscribers' },
        judged: { schema: v.unknown(), publish: 'subscribers' },
      },
    },
    'closed:{id}': { events: { said: v.unknown() } },
  },
  calls: {
    stuck: { input: v.unknown() },
    inLine: { input: v.unknown() },
    judged: { input: v.unknown() },
    echo: { input: v.unknown() },
  },
});

/** Answers that nobody has been given yet: what a policy or handler that hangs keeps is only this. */
class Hanging {
  readonly #resolvers: ((yes: boolean) => void)[] = [];
  get asked(): number {
    return this.#resolvers.length;
  }
  readonly ask = (): Promise<boolean> => new Promise((resolve) => this.#resolvers.push(resolve));
  answer(): void {
    for (const resolve of this.#resolvers.splice(0)) resolve(true);
  }
}

export async function start(t: Test) {
  const time = new ManualTime();
  const policy = new Hanging();
  const arrivals = new Hanging();
  const arriving: Plugin = {
    name: 'arriving',
    setup: (host) => {
      host.onArrival(async ({ via }) => {
        if (via === 'connect' && state.slowly) await arrivals.ask();
      });
      host.onRequest(async ({ path }) => {
        if (path !== '/stuck') return undefined;
        await arrivals.ask();
        return { status: 200, headers: {}, body: 'late' };
      });
    },
  };
  const state = { slowly: false };
  const s = await startServer(t, {
    contract,
    plugins: [rooms(), arriving] as const,
    time,
    policy: {
      'chat:{id}': { publish: { judged: policy.ask } },
      'closed:{id}': { subscribe: policy.ask },
    },
    callPolicy: { judged: policy.ask },
    limits: {
      ...unrated,
      memberInline: 4,
      historyEvents: 20,
      historyBytes: 256 * KB,
      keyTtlMs: 30_000,
      graceMs: 1_000,
      pendingCalls: 2 * MANY,
      lockWaiters: 2 * MANY,
      helloMs: 1e9,
    },
    pingEvery: 1e9,
    setup: (server) => {
      server.handle('stuck', async () => policy.ask());
      server.handle('judged', () => null);
      server.handleAtomic('inLine', (_, { later }) => later());
      server.handle('echo', ({ input }: { input: unknown }) => input);
    },
  });
  const come = async (): Promise<WireClient> => {
    const client = new WireClient(s.url);
    await client.hello();
    return client;
  };
  /** Time goes on until whatever has an end has ended. */
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 30; i++) {
      time.advance(i < 10 ? 1_000 : 30_000);
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      await s.server.transact((tx) => tx.now);
    }
  };
  return { ...s, time, policy, arrivals, state, come, settle };
}
export type Started = Awaited<ReturnType<typeof start>>;

/** Bytes in use, once collecting frees no more: what is queued for later turns lives a little longer. */
export async function heap(): Promise<number> {
  for (let least = Infinity, same = 0; ;) {
    await delay(1);
    gc();
    const { heapUsed, external } = process.memoryUsage();
    same = heapUsed + external < least - 64 * KB ? 0 : same + 1;
    least = Math.min(least, heapUsed + external);
    if (same === 5) return least;
  }
}

export const cut = (clients: readonly WireClient[]): Promise<unknown> =>
  Promise.all(
    clients.map((client) => {
      client.cut();
      return client.closed;
    }),
  );

export interface Flood {
  readonly name: string;
  /** Leaves everybody gone, and the hanging policy unanswered. */
  readonly run: (s: Started, n: number) => Promise<void>;
}

/** The log of `replicated` is in this process, with the snapshots of what was there meanwhile. */
const skip = storeName === 'replicated' && 'the heap holds the log, too';

/** Registers a test of each. */
export function testFloods(floods: readonly Flood[]): void {
  for (const { name, run } of floods) {
    t.test(`${name}: the heap is at its baseline afterwards`, { skip, timeout: 600_000 }, async (t) => {
      const s = await start(t);
      await run(s, 0);
      await s.settle();
      const baseline = await heap();
      for (let n = 1; n <= 2; n++) {
        await run(s, n);
        await s.settle();
      }
      const grown = (await heap()) - baseline;
      t.ok(grown < (FAT * MANY) / 2, `grown by ${Math.round(grown / KB)} KiB, of ${(2 * FAT * MANY) / KB} that came`);
      t.match(s.server.stats(), { connections: 0, sessions: 0, users: 0 });
      t.strictSame(
        await s.server.transact((tx) =>
          ['keys', 'key-counts', 'lock-waiters'].map((table) => tx.list(table, { limit: 5 }).length),
        ),
        [0, 0, 0],
      );
    });
  }
}
