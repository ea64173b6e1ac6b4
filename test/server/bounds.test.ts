/** Every queue, map and wait that outsiders can fill has an end. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { memoryStore } from '../../src/store/memory.js';
import { Rings, type Ring } from '../../src/server/hub/ring.js';
import { Topic, Cursor } from '../../src/server/hub/topic.js';
import { TopicTable } from '../../src/server/hub/topics.js';
import type { Plugin } from '../../src/server/api.js';
import { ownerOf } from '../../src/server/gate/budget.js';
import { SessionRegistry } from '../../src/server/sessions/registry.js';
import { hashSecret } from '../../src/server/sessions/session.js';
import { gatedStore } from '../support/gated-store.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { http as httpPlugin } from '../../src/http/http.js';
import { openContract, startServer, testStore } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';
import type { WireClient } from '../support/wire-client.js';

t.test(
  'rule 4: a session is in at most `topics` topics, also when it asks for them in one message or through calls',
  async (t) => {
    const { client, server } = await startOpen(t, { limits: { topics: 5 } });
    const each = await client();
    each.send(...Array.from({ length: 9 }, (_, n) => [Op.SUBSCRIBE, 100 + n, `chat:${n}`, null]));
    const answers = await Promise.allSettled(Array.from({ length: 9 }, (_, n) => each.answer(100 + n)));
    t.equal(answers.filter(({ status }) => status === 'fulfilled').length, 5);
    for (const answer of answers.slice(5)) t.match(answer, { status: 'rejected', reason: { code: 202 } });
    await t.rejects(each.call('keep', { id: '1' }), { code: 202 });
    await each.subscribe('chat:0');
    await each.request(Op.UNSUBSCRIBE, 'chat:0');
    await each.call('keep', { id: '1' });
    t.equal(server.session(each.welcome.session[0])!.topics.size, 5);
    const { epoch } = await server.publish('chat:9', 'notice', 1);
    each.cut();
    const back = await client({ session: each.welcome.session, resume: { 'chat:9': [epoch, 0] } });
    t.equal(back.welcome.topics['chat:9']?.code, 202);
    t.equal(back.welcome.topics['kept:1']?.code, undefined);
  },
);

t.test('rule 4: at most pendingFrames frames of a connection wait for the store or a policy', async (t) => {
  const store = gatedStore(testStore(t));
  const { client } = await startOpen(t, {
    store,
    limits: { pendingFrames: 20 },
    policy: { 'chat:{id}': { publish: { notice: () => new Promise<boolean>(() => undefined) } } },
  });
  const [each, other] = [await client(), await client()];
  await each.subscribe('chat:1');
  store.hold();
  each.send([Op.PUBLISH, 0, 'chat:1', 'message', null, 0]);
  await store.held();
  each.send(
    ...Array.from(
      { length: 60 },
      (_, n) =>
        [
          [Op.PUBLISH, 100 + n, 'chat:1', 'message', null, n],
          [Op.SUBSCRIBE, 100 + n, `chat:${n}`, null],
          [Op.UNSUBSCRIBE, 100 + n, 'chat:1'],
        ][n % 3] as unknown[],
    ),
  );
  await t.rejects(each.answer(120), { code: 201 });
  await t.rejects(each.answer(159), { code: 201 });
  t.equal(each.frames.filter(([op, , code]) => op === Op.NACK && code === 201).length, 60 - 19);
  await other.barrier();
  store.release();
  await each.answer(101);
  await each.answer(118).catch(() => undefined);
  await each.subscribe('chat:1');
  each.send(...Array.from({ length: 30 }, (_, n) => [Op.VOLATILE, 'chat:1', 'notice', `${n}`, n]));
  await each.barrier();
  t.equal(each.frames.filter(([op, id, code]) => op === Op.NACK && id === 0 && code === 201).length, 10);
});

t.test('rule 4: what waits of one user is bounded in bytes, also what was cancelled or left behind', async (t) => {
  const answers: ((yes: boolean) => void)[] = [];
  const ask = (): Promise<boolean> => new Promise((resolve) => answers.push(resolve));
  const { client, server } = await startOpen(t, {
    limits: { pendingBytes: 100_000 },
    policy: { 'chat:{id}': { publish: { message: ask } }, 'news:{id}': { subscribe: ask } },
    callPolicy: { strict: ask },
    auth: { secret: SECRET },
    without: ['hang'],
    setup: (server) => server.handle('hang', ask),
  });
  const [token, others] = [await tokenFor('greedy'), await tokenFor('other')];
  const come = async () => {
    const each = await client({ token });
    await each.subscribe('chat:1');
    return each;
  };
  const ways = {
    'a call to a handler': [Op.CALL, 10, 'hang', 'x'.repeat(15_000)],
    'a call of many small maps': [Op.CALL, 10, 'hang', Array.from({ length: 400 }, () => ({}))],
    'a call behind a policy': [Op.CALL, 10, 'strict', { n: 1, pad: 'x'.repeat(15_000) }],
    'a publish behind a policy': [Op.PUBLISH, 10, 'chat:1', 'message', null, 'x'.repeat(40_000)],
    'a volatile value behind a policy': [Op.VOLATILE, 'chat:1', 'message', 's', 'x'.repeat(20_000)],
    'a subscription behind a policy': [Op.SUBSCRIBE, 10, 'news:1', null],
  } as const;
  for (const [name, frame] of Object.entries(ways)) {
    const refused = (each: WireClient) => each.frames.filter(([op, , code]) => op === Op.NACK && code === 201).length;
    const kept: WireClient[] = [];
    for (let i = 0; i < 200; i++) {
      const each = kept[i % 2] ?? (kept[i % 2] = await come());
      each.send(frame.map((part, k) => (k === 1 && typeof part === 'number' ? 100 + i : part)));
      await each.barrier();
      if (refused(each) > 0) break;
      // Neither takes anything back: the work goes on.
      if (name.startsWith('a call')) each.send([Op.CANCEL, 100 + i]);
    }
    t.ok(
      kept.some((each) => refused(each) > 0),
      `${name} is refused`,
    );
    const other = await client({ token: others });
    await other.call('echo', 1);
    for (const answer of answers.splice(0)) answer(false);
    for (const each of [...kept, other]) {
      await each.barrier();
      await each.close();
    }
    const again = await come();
    await again.call('echo', 'x'.repeat(20_000));
    await again.close();
  }
  t.equal(server.stats().connections, 0);
});

t.test('rule 4: HELLOs that wait for a hook are bounded in bytes, also those whose clients have gone', async (t) => {
  const answers: (() => void)[] = [];
  const slow: Plugin = {
    name: 'slow',
    setup: (host) => host.onArrival(() => new Promise<undefined>((resolve) => answers.push(() => resolve(undefined)))),
  };
  const s = await startOpen(t, { limits: { pendingBytes: 20_000 }, plugins: [slow] });
  for (let round = 1; round <= 2; round++) {
    const taken: WireClient[] = [];
    let refused: number | undefined;
    while (refused === undefined && taken.length < 100) {
      const each = await s.connect().open();
      void each.closed.then(({ code }) => (refused ??= code));
      each.send([Op.HELLO, 1, { instance: 'x', pad: 'z'.repeat(10_000) }]);
      await until(() => refused !== undefined || answers.length > taken.length);
      if (refused === undefined) taken.push(each);
    }
    t.equal(refused, 4201);
    // Gives nothing back: the hook has not answered.
    for (const each of taken) each.cut();
    const late = await s.connect().open();
    late.send([Op.HELLO, 1, { instance: 'x', pad: 'z'.repeat(10_000) }]);
    t.match(await late.closed, { code: 4201 });
    t.equal(taken.length, 5, `round ${round}: five of 14 KB fit into four times 20`);
    for (const answer of answers.splice(0)) answer();
    await until(() => s.server.stats().connections === 0);
  }
});

t.test('rule 4: of sessions that were kicked, the last 10,000 are remembered', (t) => {
  const registry = new SessionRegistry({ pendingBytes: 1, slotBytes: 1 });
  const secrets = [hashSecret('secret')];
  for (let n = 0; n <= 10_000; n++) registry.rememberKicked(`s${n}`, secrets);
  t.strictSame(
    ['s0', 's1', 's10000'].map((sid) => registry.wasKicked(sid, hashSecret('secret'))),
    [false, true, true],
  );
  t.end();
});

t.test('rule 4: volatile values of one user are bounded in bytes, and free again when they go', async (t) => {
  const { client } = await startOpen(t, { limits: { slotBytes: 10_000 } });
  const each = await client();
  for (const topic of ['chat:1', 'chat:2']) await each.subscribe(topic);
  const refusals = (): number => each.frames.filter(([op, , code]) => op === Op.NACK && code === 202).length;
  const set = async (topic: string, slot: string, bytes: number): Promise<number> => {
    const before = refusals();
    each.send([Op.VOLATILE, topic, 'message', slot, 'x'.repeat(bytes)]);
    await each.barrier();
    return refusals() - before;
  };
  t.equal(await set('chat:1', 'a', 8_000), 0);
  t.equal(await set('chat:2', 'a', 8_000), 1, 'in all topics together');
  t.equal(await set('chat:1', 'a', 9_000), 0, 'another value for the same');
  t.equal(await set('chat:1', 'a', 11_000), 1);
  const other = await client();
  await other.subscribe('chat:1');
  await other.barrier();
  await each.request(Op.UNSUBSCRIBE, 'chat:1');
  t.equal(await set('chat:2', 'a', 8_000), 0, 'it left the other');
});

t.test('rule 4: guests of one address share one bound of idempotency keys, however many guests they are', async (t) => {
  const { client, server, http } = await startServer(t, {
    limits: { keys: 30 },
    contract: openContract,
    plugins: [httpPlugin({ page: false })],
    setup: (server) => {
      server.handle('echo', ({ input }: { input: unknown }) => input);
      server.handleAtomic('strict', () => null);
    },
  });
  const codes = new Map<number, number>();
  const note = async (asked: Promise<unknown>): Promise<void> => {
    const code = await asked.then(
      () => 0,
      (error: unknown) => (error as { code: number }).code,
    );
    codes.set(code, (codes.get(code) ?? 0) + 1);
  };
  const publish = async (key: string): Promise<void> => {
    const body = JSON.stringify({ topic: 'chat:1', event: 'notice', data: 1 });
    const headers = { 'content-type': 'application/json', 'idempotency-key': key };
    const answer = await fetch(`${http}/api/publish`, { method: 'POST', body, headers });
    if (!answer.ok) throw Object.assign(new Error(), (await answer.json()) as object);
  };
  for (let i = 0; i < 15; i++) {
    const each = await client();
    await each.subscribe('chat:1');
    await note(each.publish('chat:1', 'message', i, `p${i}`));
    await note(each.call('echo', i, { key: `e${i}` }));
    await note(each.call('strict', { n: i }, { key: `s${i}` }));
    await note(publish(`h${i}`));
    each.send([Op.BYE]);
    await each.closed;
  }
  t.strictSame(
    [...codes],
    [
      [0, 30],
      [202, 30],
    ],
  );
  t.strictSame(await server.transact((tx) => tx.list('key-counts', { limit: 10 }).length), 1);
  const mine = await server.publish('chat:1', 'notice', 1, { key: 'own' });
  t.type(mine.offset, 'number', 'the program has any number');
});

t.test('rule 4: whose bound a key is out of: a user’s own, and that of the network for guests', (t) => {
  const owner = (address: string, isGuest = true): string => ownerOf({ id: 'u' }, isGuest, address);
  for (const [one, other, same] of [
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.1', '10.0.0.2', false],
    ['2001:db8::1', '2001:db8::ffff:2', true],
    ['2001:db8::1', '2001:db8:0:1::1', false],
  ] as const) {
    t.equal(owner(one) === owner(other), same, `${one} and ${other}`);
    t.equal(owner(one, false), owner(other, false), 'whoever has a token has it everywhere');
  }
  t.not(owner('10.0.0.1'), owner('10.0.0.1', false));
  t.end();
});

t.test('rule 4: an idempotency key with a large result counts as many, until it expires', async (t) => {
  const time = new ManualTime();
  const { client } = await startOpen(t, { time, limits: { keys: 20, keyTtlMs: 1_000 }, pingEvery: 1e9 });
  const each = await client();
  await each.call('echo', 'x'.repeat(10_000), { key: 'large' });
  // Kept past the bound, for it was done; others wait for it.
  await t.rejects(each.call('echo', 1, { key: 'small' }), { code: 202 });
  t.same(await each.call('echo', 'x'.repeat(10_000), { key: 'large' }), 'x'.repeat(10_000));
  time.advance(15_000);
  await each.call('echo', 1, { key: 'small' });
});

t.test(
  'topics that were never written are forgotten when the last one leaves, by UNSUBSCRIBE, a cut or an end',
  async (t) => {
    const { client, server } = await startOpen(t);
    const { epoch } = await (await client()).subscribe('chat:0');
    t.match(epoch, /\.\d+$/);
    const core = (): number => server.stats().topics;
    const before = core();
    const [leaving, cut, bye] = [await client(), await client(), await client()];
    for (let n = 1; n <= 30; n++) {
      for (const each of [leaving, cut, bye]) each.send([Op.SUBSCRIBE, 500 + n, `chat:${n}`, null]);
    }
    for (const each of [leaving, cut, bye]) await each.answer(530);
    t.equal(core(), before + 30);
    for (let n = 1; n <= 30; n++) leaving.send([Op.UNSUBSCRIBE, 600 + n, `chat:${n}`]);
    await leaving.answer(630);
    cut.cut();
    bye.send([Op.BYE]);
    await bye.closed;
    while (core() > before) await new Promise((resolve) => setImmediate(resolve));
    t.equal(core(), before);
  },
);

t.test(
  'idle topics beyond a number are forgotten, the longest idle first, and load again from the store',
  async (t) => {
    const store = memoryStore();
    await store.open();
    const rings = new Rings(1024 * 1024, 64 * 1024);
    const table = new TopicTable({ store, rings, epochOf: () => undefined });
    table.generation = 'g';
    const topics = Array.from({ length: 10_050 }, (_, n) => {
      const topic = table.load(`t${n}`, 0) as Topic;
      topic.head = 1;
      table.keep(topic);
      return topic;
    });
    const subscriber = { clear: true, sendLive: () => undefined, lag: () => undefined };
    const cursor = new Cursor(topics[0]!, subscriber, { start: 1, since: 0, via: 'subscribed' });
    topics[0]!.add(cursor);
    for (const topic of topics) table.settle(topic);
    t.equal(table.size, 10_001);
    t.equal(table.get('t0'), topics[0], 'somebody is there');
    t.equal(table.get('t1'), undefined);
    t.equal(table.get('t49'), undefined);
    t.equal(table.get('t50'), topics[50]);
    table.during(() => {
      topics[0]!.remove(cursor);
      table.settle(topics[0]!);
      t.equal(table.get('t0'), topics[0], 'not while a batch is applied');
      topics[0]!.add(cursor);
    });
    t.equal(table.get('t0'), topics[0]);
  },
);

t.test('all rings share one budget: the coldest goes first, the newest chunk of the warmest stays', (t) => {
  const rings = new Rings(10_000, 4_000);
  const chunk = (first: number, size: number) => ({ first, count: 1, frame: new Uint8Array(size) });
  const made: Ring[] = Array.from({ length: 5 }, (_, n) => new Topic(`t${n}`, 'e', 0, 1, 0).ring);
  for (let first = 1; first <= 10; first++) {
    for (const ring of made) rings.append(ring, [chunk(first, 500)]);
    t.ok(rings.bytes <= 10_000);
    for (const ring of made) t.ok(ring.bytes <= 4_000);
  }
  rings.append(made[0]!, [chunk(11, 50_000)]);
  t.strictSame(
    made[0]!.chunks.map(({ first }) => first),
    [11],
  );
  t.equal(made[0]!.find(11)?.first, 11);
  t.equal(made[0]!.find(10), undefined);
  for (const ring of made.slice(1)) t.equal(ring.bytes, 0);
  t.end();
});

t.test('frames of one topic share slabs, never bytes, and what is held beside them is bounded', (t) => {
  const { ring } = new Topic('t', 'e', 0, 1, 0);
  const frames = [100, 1, 4096, 4097, 60, 0, 16_000, ...Array.from({ length: 2_000 }, (_, n) => (n * 37) % 300)].map(
    (length, n) => ring.take(length).fill(n % 251),
  );
  frames.forEach((frame, n) => t.ok(frame.every((byte) => byte === n % 251)));
  const slabs = new Set(frames.map(({ buffer }) => buffer));
  const used = frames.reduce((sum, { length }) => sum + length, 0);
  const held = [...slabs].reduce((sum, { byteLength }) => sum + byteLength, 0);
  t.ok(slabs.size < frames.length / 20, `${slabs.size} slabs`);
  t.ok(held < used * 1.1, `${held} bytes for ${used}`);
  t.equal(new Topic('of one event', 'e', 0, 1, 0).ring.take(90).buffer.byteLength, 90);
  t.end();
});

t.test('expired idempotency keys are removed from the store', async (t) => {
  const time = new ManualTime();
  const { server } = await startOpen(t, { time, limits: { keyTtlMs: 60_000 } });
  const first = await server.publish('chat:1', 'notice', 1, { key: 'a' });
  for (let n = 0; n < 1_500; n++) void server.publish('chat:1', 'notice', n, { key: `k${n}` });
  const rows = (): Promise<number[]> =>
    server.transact((tx) => ['keys', 'keys-by-time'].map((table) => tx.list(table, { limit: 5_000 }).length));
  t.strictSame(await rows(), [1_501, 1_501]);
  time.advance(59_000);
  t.strictSame(await server.publish('chat:1', 'notice', 1, { key: 'a' }), first);
  time.advance(2_000);
  t.not((await server.publish('chat:1', 'notice', 1, { key: 'a' })).offset, first.offset, 'its time is over');
  let left = await rows();
  // Each look is a commit behind those that remove them; the new key has its time still.
  for (let i = 0; i < 500 && left[0] !== 1; i++) {
    time.advance(100);
    left = await rows();
  }
  t.strictSame(left, [1, 1]);
});

t.test('history is kept up to its limits and not much beyond', async (t) => {
  const { client, server } = await startOpen(t, { limits: { historyEvents: 100, historyBytes: 20_000 } });
  let last = await server.publish('chat:1', 'notice', 0);
  for (let n = 1; n < 1_000; n++) last = await server.publish('chat:1', 'notice', n);
  for (let n = 1; n < 100; n++) await server.publish('chat:2', 'notice', 'x'.repeat(1_000));
  const kept = async (topic: string, offset: number): Promise<boolean> =>
    (await client({ resume: { [topic]: [last.epoch, offset] } })).welcome.topics[topic]!.recovered;
  t.equal(await kept('chat:1', 900), true);
  t.equal(await kept('chat:1', 870), false);
  t.equal(await kept('chat:2', 90), true);
  t.equal(await kept('chat:2', 60), false);
});
