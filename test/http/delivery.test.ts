/** /health/delivery: green while a real event reaches a real client, red when it does not, whatever the port says. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { Op } from '../../src/protocol/frames.js';
import type { Delivery, Stats } from '../../src/server/api.js';
import { memoryStore } from '../../src/store/memory.js';
import type { LogChunk, Store } from '../../src/store/store.js';
import { gatedStore } from '../support/gated-store.js';
import { ManualTime } from '../support/manual-time.js';
import { collectingLog, startServer, testStore, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';
import { engines } from '../transport/start.js';

const API_KEY = 'backend-key-0123456789';

type Answer = Delivery & { readonly counts: Stats };

async function ask(base: string, headers: Record<string, string> = {}): Promise<{ status: number; body: Answer }> {
  const response = await fetch(`${base}/health/delivery`, { headers });
  return { status: response.status, body: (await response.json()) as Answer };
}

for (const { name: engine } of engines) {
  const start = (t: Test, options: object = {}) => startServer(t, { plugins: [http()] as const, engine, ...options });

  t.test(`${engine}: while events arrive it is green, with the time they took and the store's state`, async (t) => {
    const store = testStore(t);
    const s = await start(t, { store });
    const { status, body } = await ask(s.http);
    t.equal(status, 200);
    t.match(body, {
      status: 'ok',
      ms: Number,
      commitMs: Number,
      lastOk: String,
      store: { name: store.name, healthy: true },
    });
    t.ok(body.ms > 0 && body.ms >= (body.commitMs as number));
    t.same(s.log.errors, []);
  });

  t.test(`${engine}: a store that confirms no commit turns it red within 5 s, though the port is open`, async (t) => {
    const time = new ManualTime();
    const store = gatedStore(memoryStore());
    const s = await start(t, { store, time });
    t.equal((await ask(s.http)).status, 200);
    store.hold();
    t.equal((await ask(s.http)).status, 200, 'what was found a moment ago still counts');
    time.advance(1_000);
    const waiting = ask(s.http);
    await store.held();
    time.advance(3_020);
    const { status, body } = await waiting;
    t.equal(status, 503);
    t.match(body, { status: 'failing', stage: 'commit', store: { committingMs: Number }, lastOk: String });
    t.ok(Date.parse(body.since as string) > Date.parse(body.lastOk as string));
    t.equal((await fetch(`${s.http}/health/live`)).status, 200, 'the port is open');
    const tries = store.tries.length;
    const again = await ask(s.http);
    t.equal(again.status, 503, 'at once: it waits already');
    t.equal(again.body.since, body.since, 'it stands since then');
    t.equal(store.tries.length, tries, 'and nothing piles up');
    store.release();
    await until(() => s.server.ready);
    for (;;) {
      const { status: later } = await ask(s.http);
      if (later === 200) break;
    }
  });

  t.test(`${engine}: red when commits are done but nothing is delivered any more`, async (t) => {
    const time = new ManualTime();
    const gated = gatedStore(memoryStore());
    let stuck = false;
    // A catch-up that never comes: what follows it cannot be delivered, and waits.
    const never = new Promise<readonly LogChunk[]>(() => undefined);
    const store: Store = {
      ...gated,
      read: (topic, from, most) => (stuck ? never : gated.read(topic, from, most)),
    };
    // No rings: what is not sent in its own tick is read from the store.
    const s = await start(t, { store, time, ringBytes: 1 });
    t.equal((await ask(s.http)).status, 200);
    stuck = true;
    time.advance(1_000);
    gated.hold();
    const other = s.server.publish('news:1' as never, 'headline' as never, { text: 'x' } as never);
    await gated.held();
    const waiting = ask(s.http);
    const third = s.server.publish('news:2' as never, 'headline' as never, { text: 'x' } as never);
    // The probe's event is in one batch with another topic's, so it is not sent straight from the tick.
    await fetch(`${s.http}/health/live`);
    gated.release();
    await Promise.all([other, third]);
    time.advance(3_020);
    const { status, body } = await waiting;
    t.equal(status, 503);
    t.match(body, { status: 'failing', stage: 'delivery', store: { healthy: true, committingMs: null } });
    t.equal(s.server.ready, true, 'which looks at the store alone');
    stuck = false;
    time.advance(10_000);
    t.match(await ask(s.http), { status: 200, body: { status: 'ok' } }, 'a new client finds it well again');
  });

  t.test(`${engine}: the probe is in no number and under no limit`, async (t) => {
    const s = await start(t, {
      auth: { secret: SECRET, apiKeys: [API_KEY] },
      admission: { connections: 1, connectionsPerAddress: 1, upgradesPerSecond: 1, connectionsPerUser: 1 },
    });
    const key = { authorization: `Bearer ${API_KEY}` };
    await s.client({ token: await tokenFor('ann') });
    const before = s.server.stats();
    t.match(before, { connections: 1, sessions: 1, users: 1, topics: 0 });
    const { status, body } = await ask(s.http, key);
    t.equal(status, 200, 'though the server takes no more connections');
    // A few bytes of history apart.
    const counted = (stats: Stats): Stats => ({ ...stats, ringBytes: 0 });
    t.same(counted(s.server.stats()), before);
    t.same(counted(body.counts), before);
    const metrics = await (await fetch(`${s.http}/metrics`, { headers: key })).text();
    t.match(metrics, /^roomwire_connects_total 1$/m);
  });
}

t.test('it takes an API key, and is asked of the server once a second however often it is asked for', async (t) => {
  const published: string[] = [];
  const inner = memoryStore();
  const store: Store = {
    ...inner,
    commit(batch) {
      for (const operation of batch.operations) if (operation.type === 'append') published.push(operation.topic);
      return inner.commit(batch);
    },
  };
  const s = await startServer(t, { plugins: [http()] as const, store, auth: { secret: SECRET, apiKeys: [API_KEY] } });
  t.equal((await ask(s.http)).status, 401);
  t.equal((await ask(s.http, { authorization: `Bearer ${await tokenFor('ann')}` })).status, 403);
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => ask(s.http, { authorization: `Bearer ${API_KEY}` })),
  );
  t.same(
    answers.map(({ status }) => status),
    answers.map(() => 200),
  );
  t.same(published, ['$probe']);
});

t.test('nobody else gets at its topic or its name', async (t) => {
  const s = await startServer(t, { plugins: [http()] as const, auth: { secret: SECRET, apiKeys: [API_KEY] } });
  await ask(s.http, { authorization: `Bearer ${API_KEY}` });
  const ann = await s.client({ token: await tokenFor('ann') });
  await t.rejects(ann.subscribe('$probe'), { code: 103 });
  await t.rejects(ann.publish('$probe', 'probe', 1), { code: 103 });
  const impostor = await s.connect().open();
  impostor.send([Op.HELLO, 1, { instance: 'x', token: await tokenFor('$probe') }]);
  t.match(await impostor.closed, { code: 4006 });
});

t.test('its connection is there while somebody asks, and says so in the log at debug only', async (t) => {
  const time = new ManualTime();
  const lines: string[] = [];
  const log = {
    ...collectingLog(),
    debug: (_: object, line: string) => void lines.push(line),
    info: (_: object, line: string) => void lines.push(`info ${line}`),
  };
  const s = await startServer(t, { plugins: [http()] as const, log, time });
  await ask(s.http);
  time.advance(30_000);
  await ask(s.http);
  t.equal(lines.filter((line) => line === 'connected').length, 1, 'one connection for all');
  time.advance(61_000);
  await until(() => lines.includes('disconnected'));
  t.notOk(lines.some((line) => line.startsWith('info ') && line.includes('connected')));
  t.equal((await ask(s.http)).status, 200, 'and again when it is asked');
});

t.test('a server that stops does not wait for its probe', async (t) => {
  const s = await startServer(t, { plugins: [http()] as const });
  t.equal((await ask(s.http)).status, 200);
  await s.server.close();
  t.equal(s.server.stats().connections, 0);
  await t.rejects(ask(s.http));
});
