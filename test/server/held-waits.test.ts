/** What waits in line, for a lock or for a program, holds what it needs, and nothing once its wait has ended, however. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { defaultLimits } from '../../src/protocol/limits.js';
import type { WireClient } from '../support/wire-client.js';
import { cut, FAT, fat, heap, KB, MANY, start, testFloods, type Started } from './held.js';

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
const answered = (clients: readonly WireClient[]): Promise<unknown> =>
  Promise.all(clients.map((client) => client.answer(101).catch(() => undefined)));

testFloods([
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
]);

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
