/** A flipped bit in the data file: refused with the file's name and what to do, or harmless; never a crash, a hang or growth without end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { createServer } from '../../src/server/server.js';
import { rooms } from '../../src/rooms/rooms.js';
import { damageOf } from '../../src/store/lmdb-check.js';
import { Contents } from '../../src/store/lmdb-contents.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { memoryStore } from '../../src/store/memory.js';
import type { LogChunk, Operation, Store } from '../../src/store/store.js';
import { hashSecret, opens } from '../../src/server/sessions/session.js';
import { encode } from '../../src/protocol/codec.js';
import { Op } from '../../src/protocol/frames.js';
import { random, type Random } from '../random.js';
import { roomContract, startRooms } from '../support/rooms.js';
import { startOpen } from '../support/open-server.js';
import { programArgs } from '../support/program.js';
import { engine } from '../support/server.js';
import { until } from '../support/until.js';
import { put, Writer } from './writer.js';

const CHILDREN = 2;
const TRIES = 110;
/** For one start and its use; a busy machine takes a second. */
const HANG_MS = 60_000;

t.test(
  'hundreds of starts on a file with one flipped bit: no crash, no hang, and each refusal says what to do',
  async (t) => {
    const { seed } = random();
    t.comment(`SEED=${seed}`);
    const program = new URL('damage-child.ts', import.meta.url);
    const results = await Promise.all(
      Array.from({ length: CHILDREN }, async (_, i) => {
        const path = t.testdir({ [`${i}`]: {} });
        const child = spawn(
          process.execPath,
          [...programArgs(program), join(path, `${i}`), `${seed + i}`, `${TRIES}`],
          { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_OPTIONS: '' } },
        );
        t.teardown(() => child.kill('SIGKILL'));
        const lines: string[] = [];
        const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
        let watchdog: NodeJS.Timeout | undefined;
        const wait = (): void => {
          clearTimeout(watchdog);
          watchdog = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
        };
        wait();
        createInterface(child.stdout).on('line', (line) => {
          lines.push(line);
          wait();
        });
        const [code, signal] = await ended;
        clearTimeout(watchdog);
        return { code, signal, lines };
      }),
    );
    let refused = 0;
    for (const { code, signal, lines } of results) {
      t.strictSame({ code, signal, tries: lines.length }, { code: 0, signal: null, tries: TRIES }, lines.at(-1) ?? '');
      for (const line of lines) {
        if (/^\d+ \d+ started$/.test(line)) continue;
        refused++;
        if (!/ refused .*data\.mdb is damaged.*: restore a backup, or move .* away/.test(line)) t.fail(line);
      }
    }
    t.ok(refused > TRIES / 5, `${refused} were refused`);
  },
);

t.test('a healthy file is never taken for a damaged one, whatever was written to it', async (t) => {
  const chance = random();
  t.comment(`SEED=${chance.seed}`);
  const path = t.testdir();
  const found = (): string | undefined => damageOf(join(path, 'data.mdb'), new Contents(() => true));
  for (let run = 0; run < 3; run++) {
    const store = lmdbStore({ path, mapSize: 2 ** 26, bootId: `boot ${chance.below(2)}` });
    const { generation } = await store.open();
    const writer = new Writer(store);
    for (let i = 0; i < 120; i++) {
      await writer.commit(...(await anything(store, generation, chance)));
      if (i % 10 === 0) t.equal(found(), undefined);
    }
    await store.close();
    t.equal(found(), undefined);
  }
});

/** Appends, trims, drops, puts and deletes, with names and values of all lengths. */
async function anything(store: Store, epoch: string, { below, chance }: Random): Promise<Operation[]> {
  const operations: Operation[] = [];
  const topics = new Set<string>();
  for (let left = below(25); left > 0; left--) {
    const topic = `topic ${below(30)}`.repeat(1 + below(20));
    const key = `${below(200)}`.repeat(1 + below(300));
    const kind = below(12);
    if (kind < 5 && !topics.has(topic)) {
      topics.add(topic);
      const record = await store.topic(topic);
      const first = (record?.head ?? 0) + 1;
      const frame = new Uint8Array(below(chance(0.1) ? 50_000 : 600));
      if (kind < 3) operations.push({ type: 'append', topic, epoch, chunk: { first, count: 1 + below(4), frame } });
      else if (kind === 3) operations.push({ type: 'trim', topic, before: Math.max(1, first - below(10)) });
      else if (chance(0.3)) operations.push({ type: 'drop', topic });
    } else if (kind < 10) {
      operations.push(put(`t${below(3)}`, key, 'v'.repeat(below(chance(0.1) ? 30_000 : 300))));
    } else operations.push({ type: 'delete', table: `t${below(3)}`, key });
  }
  return operations;
}

t.test('a document that is no value, or a session that makes no sense, is refused by its name', async (t) => {
  for (const [table, key, value, why] of [
    ['rooms', 'r', Buffer.from([0xc1]), /the document "roomsr" cannot be read/],
    ['sessions', 's', encode({ user: { id: 7 } }), /the session "s" makes no sense/],
    ['rooms', 'r', encode(7), /cannot read what it holds/],
    ['holders', 'r\0lock\0x', encode(null), /cannot read what it holds/],
  ] as const) {
    const path = t.testdir();
    rmSync(join(path, 'data.mdb'), { force: true });
    const store = lmdbStore({ path });
    await store.open();
    await new Writer(store).commit({ type: 'put', table, key, value });
    await store.close();
    const server = createServer({
      contract: roomContract,
      plugins: [rooms()] as const,
      store: lmdbStore({ path }),
      engine,
    });
    const error = await server.listen({ port: 0 }).then(
      () => new Error('it started'),
      (reason: unknown) => reason as Error,
    );
    t.match(error, { kind: 'unusable' }, table);
    t.match(error.message, why);
    t.match(error.message, /data\.mdb is damaged.*restore a backup/);
    // Nothing is held back: the next start may come at once.
    const again = lmdbStore({ path });
    await again.open();
    await again.close();
    t.ok(readFileSync(join(path, 'data.mdb')).length > 0);
  }
});

t.test('a member whose order differs from its key sends nobody round in circles', async (t) => {
  const { client, server } = await startRooms(t);
  const [a, b] = [await client(), await client()];
  await a.call('join:room', { roomId: 'r', create: true });
  await b.call('join:room', { roomId: 'r' });
  for (const order of [0, -5, 1, 2 ** 53 - 1, null, 'x']) {
    for (const { user } of [a.welcome, b.welcome]) {
      await server.transact((tx) => {
        const key = `r\0${user.id}`;
        tx.set('members', key, { ...tx.get<object>('members', key), order });
      });
    }
    const { members } = await server.plugins.rooms.members('r');
    const orders = members.map((member) => member.order);
    t.ok((orders[0] as number) < (orders[1] as number), `order ${order}`);
    const after = await server.plugins.rooms.members('r', orders[1]);
    t.same(after.members, []);
  }
  // Looks at everybody, in order.
  await a.call('leave:room', { roomId: 'r' });
  t.match(await b.event('room:r', 'host:update', 1), { host: { userId: b.welcome.user.id } });
});

t.test('stored events that cannot be read are told as a RESET, and the topic goes on', async (t) => {
  const cut = ({ frame, ...chunk }: LogChunk, frameOf: (frame: Uint8Array) => Uint8Array): LogChunk => ({
    ...chunk,
    frame: frameOf(frame),
  });
  const first = (chunks: readonly LogChunk[], change: (chunk: LogChunk) => LogChunk): LogChunk[] =>
    chunks.map((chunk, i) => (i === 0 ? change(chunk) : chunk));
  const damages: Readonly<Record<string, (chunks: readonly LogChunk[]) => readonly LogChunk[]>> = {
    'another first offset': (all) => first(all, (chunk) => ({ ...chunk, first: chunk.first + 7 })),
    'a chunk that is missing': (all) => all.filter((_, i) => i !== 1),
    'a chunk of none': (all) => first(all, (chunk) => ({ ...chunk, count: 0 })),
    'more events than it says': (all) => first(all, (chunk) => ({ ...chunk, count: chunk.count + 1 })),
    'no MessagePack': (all) => first(all, (chunk) => cut(chunk, (frame) => frame.with(0, 0xc1))),
    'a frame that is cut short': (all) => first(all, (chunk) => cut(chunk, (frame) => frame.subarray(0, -1))),
    'a frame of nothing': (all) => first(all, (chunk) => cut(chunk, () => new Uint8Array())),
    'another kind of frame': (all) => first(all, (chunk) => cut(chunk, () => encode([Op.ACK, 1, null, null, null]))),
    'what was asked for before': (all) => all.slice(0, 1).map((chunk) => ({ ...chunk, first: -5 })),
  };
  let damage = (chunks: readonly LogChunk[]): readonly LogChunk[] => chunks;
  const inner = memoryStore();
  const store: Store = { ...inner, durable: true, read: async (...asked) => damage(await inner.read(...asked)) };
  const s = await startOpen(t, { store, ringBytes: 1 });
  for (let i = 0; i < 5; i++) await s.server.publish('chat:1', 'notice', i);
  const resumed = async (): Promise<readonly unknown[]> => {
    const client = await s.client();
    const { epoch } = await client.subscribe('chat:1', [(await s.server.inspect('chat:1')).epoch ?? '', 0]);
    t.type(epoch, 'string');
    const { offset } = await s.server.publish('chat:1', 'notice', 'later');
    const isOver = (): boolean => client.events('chat:1').some(([at]) => at === offset);
    await until(() => isOver() || client.frames.some(([op]) => op === Op.RESET), 'all events, or a RESET');
    await client.barrier();
    client.cut();
    return client.frames.map(([op]) => op).filter((op) => op === Op.RESET);
  };
  t.same(await resumed(), []);
  for (const [name, each] of Object.entries(damages)) {
    damage = each;
    t.same(await resumed(), [Op.RESET], name);
    t.match(s.log.errors.splice(0), [{ message: /stored events cannot be read/, fields: { topic: 'chat:1' } }], name);
  }
  damage = (chunks) => chunks;
  t.same(await resumed(), []);
});

t.test('a secret that was damaged in the store opens nothing, and does no harm', (t) => {
  for (const secrets of [[], [''], ['short'], [hashSecret('other')], [`${hashSecret('mine')}x`]]) {
    t.equal(opens({ secrets }, hashSecret('mine')), false);
    t.equal(opens({ secrets: [...secrets, hashSecret('mine')] }, hashSecret('mine')), true);
  }
  t.end();
});
