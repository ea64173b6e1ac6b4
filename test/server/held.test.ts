/**
 * Rule 4, in bytes: whatever waits or is remembered holds what it needs and no more, and once everybody has gone the
 * heap is where it was. Each flood is run twice: first to fill what is bounded by itself (rings, journals, caches).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import * as v from 'valibot';
import { defineContract } from '../../src/protocol/contract.js';
import { Op } from '../../src/protocol/frames.js';
import { defaultLimits } from '../../src/protocol/limits.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { rooms } from '../../src/rooms/rooms.js';
import type { Plugin } from '../../src/server/api.js';
import { ManualTime } from '../support/manual-time.js';
import { startServer, type Test } from '../support/server.js';
import { unrated } from '../support/unrated.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

// A busy machine must not decide.
t.setTimeout(600_000);

const KB = 1024;
/** Bytes that each of a flood's frames brings, and how many there are: 12 MiB. */
const FAT = 96 * KB;
const MANY = 128;
const fat = (n: number): string => String(n).padStart(FAT, 'x');

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

async function start(t: Test) {
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
type Started = Awaited<ReturnType<typeof start>>;

/** Bytes in use, once collecting frees no more: what is queued for later turns lives a little longer. */
async function heap(): Promise<number> {
  for (let least = Infinity, same = 0; ;) {
    await delay(1);
    gc();
    const { heapUsed, external } = process.memoryUsage();
    same = heapUsed + external < least - 64 * KB ? 0 : same + 1;
    least = Math.min(least, heapUsed + external);
    if (same === 5) return least;
  }
}

/** A held lock, and `MANY` who may wait for it. */
async function lockOf({ come }: Started, n: number) {
  const holder = await come();
  await holder.call('join:room', { roomId: `r${n}`, create: true });
  await holder.call('lock:acquire', { roomId: `r${n}`, target: 'x', ttl: 600_000 });
  const waiting: WireClient[] = [];
  for (let i = 0; i < MANY; i++) {
    const client = await come();
    await client.call('join:room', { roomId: `r${n}` });
    waiting.push(client);
  }
  return { holder, waiting };
}
async function wait(waiting: readonly WireClient[], n: number, input: object, options: object): Promise<void> {
  for (const [i, client] of waiting.entries()) {
    const asked = { roomId: `r${n}`, target: 'x', wait: 9e15, pad: fat(i), ...input };
    client.send([Op.CALL, 101, 'lock:acquire', asked, options]);
  }
  await Promise.all(waiting.map((client) => client.barrier()));
}
async function line(s: Started, n: number, input: object = {}, options: object = {}) {
  const { holder, waiting } = await lockOf(s, n);
  await wait(waiting, n, input, options);
  return { holder, waiting };
}
const cut = (clients: readonly WireClient[]): Promise<unknown> =>
  Promise.all(
    clients.map((client) => {
      client.cut();
      return client.closed;
    }),
  );
const answered = (clients: readonly WireClient[]): Promise<unknown> =>
  Promise.all(clients.map((client) => client.answer(101).catch(() => undefined)));

interface Flood {
  readonly name: string;
  /** Leaves everybody gone, and the hanging policy unanswered. */
  readonly run: (s: Started, n: number) => Promise<void>;
}

const floods: readonly Flood[] = [
  {
    name: 'waits for a lock that are cancelled',
    async run(s, n) {
      const { holder, waiting } = await line(s, n, {}, { timeoutMs: 1e9 });
      for (const client of waiting) client.send([Op.CANCEL, 101]);
      await answered(waiting);
      await cut([holder, ...waiting]);
    },
  },
  {
    name: 'waits for a lock whose clients vanish',
    async run(s, n) {
      const { holder, waiting } = await line(s, n, {}, { timeoutMs: 1e9, key: 'k' });
      await cut([holder, ...waiting]);
    },
  },
  {
    name: 'waits for a lock that run out of time',
    async run(s, n) {
      const { holder, waiting } = await line(s, n, { wait: 5_000 });
      s.time.advance(30_000);
      await answered(waiting);
      await cut([holder, ...waiting]);
    },
  },
  {
    name: 'waits for a lock that are granted',
    async run(s, n) {
      const { holder, waiting } = await line(s, n, {}, { timeoutMs: 1e9 });
      // In whatever order they came in.
      const leaves = async (client: WireClient): Promise<unknown> => client.call('leave:room', { roomId: `r${n}` });
      const taking = waiting.map(async (client) => {
        await client.answer(101);
        await leaves(client);
      });
      await leaves(holder);
      await Promise.all(taking);
      await cut([holder, ...waiting]);
    },
  },
  {
    name: 'waits for a lock whose room goes',
    async run(s, n) {
      const { holder, waiting } = await line(s, n, {}, { timeoutMs: 1e9 });
      await s.server.plugins.rooms.delete(`r${n}`);
      await answered(waiting);
      await cut([holder, ...waiting]);
    },
  },
  {
    name: 'calls behind a policy that never answers, cancelled or left behind',
    async run({ come, policy }) {
      const clients = [await come(), await come()] as const;
      const before = policy.asked;
      clients.forEach((client, k) => {
        for (let i = 0; i < MANY / 2; i++) client.send([Op.CALL, 100 + i, 'judged', fat(i), { key: `${k} ${i}` }]);
      });
      await until(() => policy.asked === before + MANY);
      for (let i = 0; i < MANY / 2; i++) clients[0].send([Op.CANCEL, 100 + i]);
      await clients[0].barrier();
      await cut(clients);
    },
  },
  {
    name: 'publishes and volatile values behind a policy that never answers',
    async run({ come, policy }) {
      const client = await come();
      await client.subscribe('chat:1');
      const before = policy.asked;
      for (let i = 0; i < MANY / 2; i++) {
        client.send([Op.PUBLISH, 100 + i, 'chat:1', 'judged', null, fat(i)]);
        client.send([Op.VOLATILE, 'chat:1', 'judged', `${i}`, fat(i)]);
      }
      await until(() => policy.asked === before + MANY);
      await cut([client]);
    },
  },
  {
    name: 'calls to a handler that hangs, until it answers',
    async run({ come, policy }) {
      const client = await come();
      for (let i = 0; i < MANY; i++) client.send([Op.CALL, 100 + i, 'stuck', fat(i), { key: `k${i}` }]);
      await until(() => policy.asked >= MANY);
      await cut([client]);
      policy.answer();
    },
  },
  {
    name: 'idempotency keys with their results',
    async run({ come }, n) {
      const client = await come();
      await client.subscribe('chat:1');
      for (let i = 0; i < MANY; i++) {
        await client.call('echo', fat(i), { key: `${n} ${i}` }).catch(() => undefined);
        await client.publish('chat:1', 'said', i, `${n} ${i}`).catch(() => undefined);
      }
      await cut([client]);
    },
  },
  {
    name: 'volatile values',
    async run({ come }) {
      const clients = [await come(), await come(), await come()];
      for (const [i, client] of clients.entries()) {
        await client.subscribe('chat:1');
        for (let slot = 0; slot < MANY / 4; slot++) client.send([Op.VOLATILE, 'chat:1', 'said', `${slot}`, fat(i)]);
        await client.barrier();
        client.frames.length = 0;
      }
      await cut(clients);
    },
  },
  {
    name: 'subscriptions to topics that nobody wrote, and those whose policy answers when the client has gone',
    async run({ come, policy }) {
      for (let i = 0; i < 4; i++) {
        const client = await come();
        for (let k = 0; k < 500; k++) {
          client.send(
            [Op.SUBSCRIBE, 2 * k + 100, `chat:${i} ${k}`, null],
            [Op.SUBSCRIBE, 2 * k + 101, `closed:${i} ${k}`, null],
          );
        }
        await client.answer(1_098);
        await cut([client]);
      }
      policy.answer();
    },
  },
  {
    name: 'sessions that are kicked, and users that come and go',
    async run({ come, server }) {
      for (let i = 0; i < MANY; i++) {
        const client = await come();
        const sid = client.frames[0]?.[2] as unknown as { session: [string, string] };
        if (i % 2 === 0) await server.kick(server.session(sid.session[0])!);
        else client.send([Op.BYE]);
        await client.closed;
      }
    },
  },
  {
    name: 'HELLOs that wait for a hook while their clients have gone',
    async run({ url, state, arrivals }) {
      state.slowly = true;
      const clients: WireClient[] = [];
      for (let i = 0; i < MANY; i++) {
        const client = await new WireClient(url).open();
        client.send([Op.HELLO, 1, { instance: 'x', agent: 'y'.repeat(100), resume: {}, pad: 'z'.repeat(12 * KB) }]);
        clients.push(client);
      }
      await until(() => arrivals.asked === MANY);
      await cut(clients);
      state.slowly = false;
      arrivals.answer();
    },
  },
  {
    name: 'HTTP requests that wait, and whose clients have gone',
    async run({ http, arrivals }) {
      const stop = new AbortController();
      const asked = Array.from({ length: MANY / 2 }, (_, i) =>
        fetch(`${http}/stuck`, { method: 'POST', body: fat(i), signal: stop.signal }).catch(() => undefined),
      );
      await until(() => arrivals.asked === MANY / 2);
      stop.abort();
      await Promise.all(asked);
      arrivals.answer();
    },
  },
  {
    name: 'questions of diagnosis about names without end',
    async run({ server }, n) {
      for (let i = 0; i < 2_000; i++) {
        const topic = `chat:${n} ${i} ${'n'.repeat(150)}`;
        await server.inspect(topic);
        await server.why(topic, 1, `user ${n} ${i}`).catch(() => undefined);
      }
    },
  },
];

for (const { name, run } of floods) {
  t.test(`${name}: the heap is at its baseline afterwards`, { timeout: 600_000 }, async (t) => {
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

t.test('a call that waits in line holds what it needs, and not the data it came with', async (t) => {
  const s = await start(t);
  const { holder, waiting } = await lockOf(s, 1);
  const options = { timeoutMs: defaultLimits.callMaxMs, key: 'k' };
  const ways: Readonly<Record<string, () => Promise<void>>> = {
    'for a lock, whose contract drops what it does not know': () => wait(waiting, 1, {}, options),
    'for a program, whose contract takes all': async () => {
      for (const [i, client] of waiting.entries()) client.send([Op.CALL, 102, 'inLine', fat(i), options]);
      await Promise.all(waiting.map((client) => client.barrier()));
    },
  };
  for (const [name, waits] of Object.entries(ways)) {
    const before = await heap();
    await waits();
    await s.server.transact((tx) => tx.now);
    const grown = (await heap()) - before;
    t.ok(
      grown < (FAT * MANY) / 3,
      `${name}: grown by ${Math.round(grown / KB)} KiB, of ${(FAT * MANY) / KB} that came`,
    );
  }
  t.equal(s.server.plugins.rooms.holders().waiting, MANY);
  await cut([holder, ...waiting]);
});
