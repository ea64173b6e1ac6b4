/** A client that does not read: it costs nobody anything, and learns all it missed or that it missed some. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { startOpen } from '../support/open-server.js';
import type { WireClient } from '../support/wire-client.js';
import { until } from '../support/until.js';

const LARGE = 'x'.repeat(200_000);

/** Publishes until the kernel takes no more for the paused clients and the server holds bytes back. Returns how many. */
async function fill(publish: (data: string) => Promise<unknown>, count = 60): Promise<number> {
  for (let n = 0; n < count; n++) await publish(LARGE);
  return count;
}

/** Checks that the events are consecutive except where one RESET says so; returns the RESETs. */
function gaps(client: WireClient, topic: string): { resets: number; lastOffset: number; consecutive: boolean } {
  let next = 1;
  let resets = 0;
  let consecutive = true;
  for (const [op, name, third, fourth, ...more] of client.frames) {
    if (name !== topic) continue;
    if (op === Op.RESET) {
      resets++;
      consecutive &&= (fourth as number) >= next;
      next = (fourth as number) + 1;
    }
    if (op === Op.EVENTS) {
      consecutive &&= third === next;
      next = (third as number) + more.length + 1;
    }
  }
  return { resets, lastOffset: next - 1, consecutive };
}

for (const ringBytes of [64 * 1024 * 1024, 1]) {
  const where = ringBytes === 1 ? 'the store' : 'memory';
  t.test(`a stalled subscriber hinders nobody and gets everything once it reads, from ${where}`, async (t) => {
    const { client, server, log } = await startOpen(t, { ringBytes, limits: { historyBytes: 64 * 1024 * 1024 } });
    const [stalled, reading] = [await client(), await client()];
    await stalled.subscribe('chat:1');
    await reading.subscribe('chat:1');
    stalled.socket.pause();
    const count = await fill((data) => server.publish('chat:1', 'notice', data));
    await reading.event('chat:1', 'notice', count);
    t.ok(stalled.events('chat:1').length < count);
    t.equal(await reading.call<number>('echo', 7), 7);
    stalled.socket.resume();
    await stalled.event('chat:1', 'notice', count);
    await server.publish('chat:1', 'notice', 'live again');
    await stalled.event('chat:1', 'notice', count + 1);
    t.strictSame(gaps(stalled, 'chat:1'), { resets: 0, lastOffset: count + 1, consecutive: true });
    t.strictSame(log.errors, []);
  });
}

t.test('rule 2: events that the history no longer has are told by one RESET, and events go on after it', async (t) => {
  const { client, server } = await startOpen(t, { limits: { historyEvents: 8 } });
  const stalled = await client();
  await stalled.subscribe('chat:1');
  stalled.socket.pause();
  const count = await fill((data) => server.publish('chat:1', 'notice', data));
  stalled.socket.resume();
  await stalled.frame(([op]) => op === Op.RESET);
  await server.publish('chat:1', 'notice', 'after');
  await until(() => stalled.events('chat:1').at(-1)?.[2] === 'after');
  t.strictSame(gaps(stalled, 'chat:1'), { resets: 1, lastOffset: count + 1, consecutive: true });
  const [, topic, epoch, , reason] = stalled.frames.find(([op]) => op === Op.RESET)!;
  t.strictSame([topic, reason], ['chat:1', 'overrun']);
  t.equal(epoch, (await stalled.publish('chat:1', 'message', 1)).epoch);
});

t.test(
  'a stalled subscriber that is taken out gets its events up to that point, REMOVED, and none after',
  async (t) => {
    const { client, server } = await startOpen(t, { ringBytes: 1, limits: { historyBytes: 64 * 1024 * 1024 } });
    const stalled = await client();
    await stalled.call('keep', { id: '1' });
    stalled.socket.pause();
    const publish = (data: string) => server.transact((tx) => tx.publish('kept:1', 'note', data));
    const count = (await fill(publish, 50)) + 10;
    // Small ones, so that a read of the store goes past the end.
    for (let n = 0; n < 10; n++) await publish('in time');
    await server.transact((tx) => tx.unsubscribe(server.session(stalled.welcome.session[0])!, 'kept:1'));
    for (let n = 0; n < 20; n++) await publish('too late');
    stalled.socket.resume();
    await stalled.frame(([op]) => op === Op.REMOVED);
    await stalled.barrier();
    t.strictSame(gaps(stalled, 'kept:1'), { resets: 0, lastOffset: count, consecutive: true });
    t.notOk(
      stalled.frames.some((frame) => frame[0] === Op.EVENTS && frame.length < 4),
      'no empty frame',
    );
  },
);

t.test('rule 4: replies that wait for a socket that does not drain are bounded: close 4203', async (t) => {
  const { client, server } = await startOpen(t, {
    limits: { controlBytes: 128 * 1024, straysPerSecond: 0, userStraysPerSecond: 0 },
  });
  const [stalled, other] = [await client(), await client()];
  const [sid] = stalled.welcome.session;
  stalled.socket.pause();
  const stamp = 'x'.repeat(30_000);
  for (let n = 0; server.session(sid)?.connected === true && n < 5_000; n++) {
    stalled.send([Op.PING, stamp]);
    if (n % 16 === 0) await other.barrier();
  }
  t.equal(server.session(sid)?.connected, false);
  stalled.socket.resume();
  t.equal((await stalled.closed).code, 4203);
  t.equal(await other.call<number>('echo', 1), 1);
});

t.test(
  'rule 4: a message of ten thousands of tiny requests is answered, and its answers are bounded too',
  async (t) => {
    const { client } = await startOpen(t, {
      limits: { controlBytes: 128 * 1024, straysPerSecond: 0, userStraysPerSecond: 0 },
    });
    const [greedy, other] = [await client(), await client()];
    greedy.send(...Array.from({ length: 60_000 }, () => [Op.PING, null]));
    let code: number | undefined;
    void greedy.closed.then((closed) => (code = closed.code));
    await until(() => code !== undefined || greedy.frames.length >= 60_001);
    t.ok(code === undefined || code === 4203);
    await other.barrier();
  },
);

t.test('rule 4: stalled subscribers cost no queue of events each', async (t) => {
  const { client, server } = await startOpen(t, { limits: { historyBytes: 4 * 1024 * 1024 } });
  const stalled = await Promise.all(Array.from({ length: 40 }, () => client()));
  for (const each of stalled) {
    await each.subscribe('chat:1');
    each.socket.pause();
  }
  await fill((data) => server.publish('chat:1', 'notice', data), 10);
  const before = process.memoryUsage().rss;
  // 12 MB for each of them, 480 MB in all, had it to be kept.
  await fill((data) => server.publish('chat:1', 'notice', data), 60);
  const grown = process.memoryUsage().rss - before;
  t.ok(grown < 200 * 1024 * 1024, `${Math.round(grown / 1024 / 1024)} MiB`);
});

t.test('volatile values: everyone gets the newest; who was stalled gets only that', async (t) => {
  const { client, server } = await startOpen(t, { limits: { historyEvents: 8 } });
  const [stalled, reading, moving] = [await client(), await client(), await client()];
  for (const each of [stalled, reading, moving]) await each.subscribe('chat:1');
  stalled.socket.pause();
  await fill((data) => server.publish('chat:1', 'notice', data), 40);
  for (let n = 1; n <= 200; n++) {
    moving.send([Op.VOLATILE, 'chat:1', 'message', 'pointer', n], [Op.VOLATILE, 'chat:1', 'message', 'typing', n]);
    if (n % 10 === 0) await moving.barrier();
  }
  const [sid] = moving.welcome.session;
  const newest = [Op.LATEST, 'chat:1', 'message', 'pointer', 200, sid];
  const isNewest = (frame: unknown[]): boolean => JSON.stringify(frame) === JSON.stringify(newest);
  await reading.frame(isNewest);
  await moving.frame(isNewest);
  stalled.socket.resume();
  await stalled.frame(isNewest);
  await stalled.barrier();
  const values = stalled.frames.filter(([op]) => op === Op.LATEST);
  t.strictSame(
    values.map(([, , , slot, data]) => [slot, data]),
    [
      ['pointer', 200],
      ['typing', 200],
    ],
  );
  const late = await client();
  await late.subscribe('chat:1');
  await late.frame(isNewest);
  t.equal(late.frames.filter(([op]) => op === Op.LATEST).length, 2, 'who comes later is sent each value once');
});
