/** What /metrics says in incidents that somebody is woken up for. */
import t from 'tap';
import { http, type HttpOptions } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { memoryStore } from '../../src/store/memory.js';
import { gatedStore } from '../support/gated-store.js';
import { registerHandlers, type OpenServer } from '../support/open-server.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

const API_KEY = 'backend-key-0123456789';
const KEYS = { auth: { secret: SECRET, apiKeys: [API_KEY] } };

/** A server for the open contract, with its metrics. */
function startOpen(t: Test, options: object = {}, metrics: HttpOptions['metrics'] = 'open') {
  return startServer(t, {
    plugins: [http({ metrics })] as const,
    setup: (server) => registerHandlers(server as unknown as OpenServer),
    ...options,
  });
}

/** The numbers by name and labels, as Prometheus would read them. */
async function scrape(base: string): Promise<Map<string, number>> {
  const response = await fetch(`${base}/metrics`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(text);
  const numbers = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const at = line.lastIndexOf(' ');
    numbers.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return numbers;
}

t.test('a client that stalls shows in the cursors behind, and its RESET counts', async (t) => {
  const s = await startOpen(t, { limits: { historyEvents: 20 } });
  const [stalled, writer] = [await s.client(), await s.client()];
  await stalled.subscribe('chat:1');
  await writer.subscribe('chat:1');
  t.match(Object.fromEntries(await scrape(s.http)), { roomwire_cursors_behind: 0, roomwire_resets_total: 0 });
  stalled.socket.pause();
  const text = 'x'.repeat(100_000);
  const behind = async (): Promise<number> => (await scrape(s.http)).get('roomwire_cursors_behind') as number;
  while ((await behind()) === 0) for (let i = 0; i < 20; i++) await writer.publish('chat:1', 'message', text);
  const numbers = await scrape(s.http);
  t.equal(numbers.get('roomwire_cursors_behind'), 1);
  t.equal(numbers.get('roomwire_connections_stalled'), 1);
  for (let i = 0; i < 200; i++) await writer.publish('chat:1', 'message', text);
  stalled.socket.resume();
  await until(() => s.server.stats().resets > 0);
  await until(() => s.server.stats().behind === 0);
  const after = await scrape(s.http);
  t.equal(after.get('roomwire_resets_total'), 1);
  t.equal(after.get('roomwire_connections_stalled'), 0);
});

t.test('events, deliveries and bytes add up', async (t) => {
  const s = await startOpen(t);
  const clients = [await s.client(), await s.client(), await s.client()];
  for (const client of clients) await client.subscribe('chat:1');
  for (let i = 0; i < 5; i++) await clients[0]?.publish('chat:1', 'message', { i });
  const numbers = await scrape(s.http);
  t.equal(numbers.get('roomwire_events_total'), 5);
  t.equal(numbers.get('roomwire_deliveries_total'), 15);
  t.ok((numbers.get('roomwire_delivery_bytes_total') as number) >= 15 * 20);
  // HELLO and SUBSCRIBE of each, and the publishes.
  t.equal(numbers.get('roomwire_messages_received_total'), 11);
  t.equal(numbers.get('roomwire_connects_total'), 3);
  t.equal(numbers.get('roomwire_connections'), 3);
  t.equal(numbers.get('roomwire_sessions'), 3);
  t.equal(numbers.get('roomwire_topics'), 1);
  await clients[2]?.close();
  await until(() => s.server.stats().connections === 2);
  t.equal((await scrape(s.http)).get('roomwire_disconnects_total{code="1005"}'), 1);
});

t.test('a refused login and a hit limit count under their codes, and no name of theirs becomes a label', async (t) => {
  const s = await startOpen(t, { ...KEYS, limits: { dataBytes: 100 } });
  const stranger = await s.connect().open();
  stranger.send([1, 1, { instance: 'x', token: 'nonsense' }]);
  t.match(await stranger.closed, { code: 4100 });
  const ann = await s.client({ token: await tokenFor('ann') });
  await t.rejects(ann.publish('chat:1', 'message', 'x'.repeat(101)), { code: 109 });
  await t.rejects(ann.call('no-such-call', {}));
  await fetch(`${s.http}/api/publish`, { method: 'POST', headers: { authorization: 'Bearer nonsense' } });
  const numbers = await scrape(s.http);
  t.equal(numbers.get('roomwire_refusals_total{event="login_refused",code="unauthenticated"}'), 1);
  t.equal(numbers.get('roomwire_refusals_total{event="login_refused",code="401"}'), 1);
  t.equal(numbers.get('roomwire_refusals_total{event="limit",code="too_large"}'), 1);
  t.equal(numbers.get('roomwire_disconnects_total{code="unauthenticated"}'), 1);
  t.equal(numbers.get('roomwire_calls_total{call="",result="unknown_call"}'), 1);
  for (const name of numbers.keys()) t.notMatch(name, /nonsense|no-such|ann|chat:/);
});

t.test('a call counts by name and result, with its time', async (t) => {
  const s = await startOpen(t);
  const client = await s.client();
  await client.call('echo', 1);
  await client.call('echo', 2);
  await t.rejects(client.call('fail', {}));
  await t.rejects(client.call('strict', { n: 'no number' }), { code: 105 });
  await t.rejects(client.call('hang', {}, { timeoutMs: 40 }), { code: 200 });
  const numbers = await scrape(s.http);
  t.equal(numbers.get('roomwire_calls_total{call="echo",result="ok"}'), 2);
  t.equal(numbers.get('roomwire_calls_total{call="fail",result="handler_failed"}'), 1);
  t.equal(numbers.get('roomwire_calls_total{call="strict",result="invalid_data"}'), 1);
  t.equal(numbers.get('roomwire_calls_total{call="hang",result="deadline"}'), 1);
  t.equal(numbers.get('roomwire_call_duration_seconds_count{call="echo"}'), 2);
  t.ok((numbers.get('roomwire_call_duration_seconds_sum{call="hang"}') as number) >= 0.03);
  t.equal(numbers.get('roomwire_call_duration_seconds_bucket{call="hang",le="0.025"}'), 0);
  t.equal(numbers.get('roomwire_call_duration_seconds_bucket{call="hang",le="+Inf"}'), 1);
});

t.test('commits and flushes have times, and what the store refuses counts', async (t) => {
  const store = gatedStore(memoryStore());
  const s = await startOpen(t, { store });
  const client = await s.client();
  await client.subscribe('chat:1');
  const before = await scrape(s.http);
  await client.publish('chat:1', 'message', 1);
  store.fail('refused');
  await t.rejects(client.publish('chat:1', 'message', 2), { code: 203 });
  t.equal((await scrape(s.http)).get('roomwire_ready'), 0);
  await client.publish('chat:1', 'message', 3);
  const numbers = await scrape(s.http);
  const grown = (name: string): number => (numbers.get(name) as number) - (before.get(name) as number);
  t.equal(grown('roomwire_commit_duration_seconds_count'), 2);
  t.equal(grown('roomwire_flush_duration_seconds_count'), 2);
  t.equal(grown('roomwire_commits_refused_total'), 1);
  t.equal(numbers.get('roomwire_ready'), 1);
  t.ok((numbers.get('roomwire_commit_duration_seconds_sum') as number) > 0);
});

t.test('locks, waiters and presenters are counted while there are any', async (t) => {
  const s = await startServer(t, {
    contract: roomContract,
    plugins: [rooms(), http({ metrics: 'open' })] as const,
  });
  const [a, b] = [await s.client(), await s.client()];
  await a.call('join:room', { roomId: 'demo', create: true });
  await b.call('join:room', { roomId: 'demo' });
  const held = await a.call('lock:acquire', { roomId: 'demo', target: 'x' });
  await a.call('presenter:take', { roomId: 'demo' });
  const waiting = b.call('lock:acquire', { roomId: 'demo', target: 'x', wait: 60_000 });
  const holders = async () => {
    const numbers = await scrape(s.http);
    return ['lock', 'waiting', 'presenter'].map((kind) => numbers.get(`roomwire_holders{kind="${kind}"}`));
  };
  while ((await holders())[1] !== 1);
  t.same(await holders(), [1, 1, 1]);
  await a.call('lock:release', { roomId: 'demo', target: 'x', token: held['token'] });
  await waiting;
  t.same(await holders(), [1, 0, 1]);
  await fetch(`${s.http}/api/rooms/demo/locks/x?force=true`, { method: 'DELETE' });
  await fetch(`${s.http}/api/rooms/demo`, { method: 'DELETE' });
  t.same(await holders(), [0, 0, 0]);
});

t.test('a deleted room leaves no lock behind in the count', async (t) => {
  const s = await startServer(t, { contract: roomContract, plugins: [rooms(), http({ metrics: 'open' })] as const });
  const a = await s.client();
  await a.call('join:room', { roomId: 'demo', create: true });
  await a.call('lock:acquire', { roomId: 'demo', target: 'x' });
  await s.server.plugins.rooms.delete('demo');
  t.equal((await scrape(s.http)).get('roomwire_holders{kind="lock"}'), 0);
});

t.test('metrics take an API key unless they are open to all, and can be off', async (t) => {
  const status = async (metrics: HttpOptions['metrics'], authorization?: string): Promise<number> => {
    const { http: base } = await startOpen(t, KEYS, metrics);
    return (await fetch(`${base}/metrics`, { headers: authorization === undefined ? {} : { authorization } })).status;
  };
  t.equal(await status('key'), 401);
  t.equal(await status('key', `Bearer ${await tokenFor('ann')}`), 403);
  t.equal(await status('key', `Bearer ${API_KEY}`), 200);
  t.equal(await status('open'), 200);
  t.equal(await status('off', `Bearer ${API_KEY}`), 404);
});

t.test('two servers of one process have numbers of their own', async (t) => {
  const [one, other] = [await startOpen(t), await startOpen(t)];
  await one.client();
  t.equal((await scrape(one.http)).get('roomwire_connects_total'), 1);
  t.equal((await scrape(other.http)).get('roomwire_connects_total'), 0);
});

t.test('the loop, CPU and memory of the process are there under their usual names', async (t) => {
  const { http: base } = await startOpen(t);
  const numbers = await scrape(base);
  t.ok((numbers.get('process_resident_memory_bytes') as number) > 1e6);
  t.ok((numbers.get('process_cpu_seconds_total') as number) > 0);
  t.ok((numbers.get('process_start_time_seconds') as number) * 1000 <= Date.now() + 1000);
  // A loop that stands still shows; not at once, for what is measured is from one of its rounds to the next.
  const worst = async () => (await scrape(base)).get('roomwire_event_loop_delay_seconds{quantile="1"}') as number;
  do {
    await new Promise((resolve) => setTimeout(resolve, 30));
    const end = performance.now() + 200;
    while (performance.now() < end);
    await new Promise((resolve) => setImmediate(resolve));
  } while ((await worst()) < 0.1);
});
