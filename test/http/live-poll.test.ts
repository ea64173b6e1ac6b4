/** `?live=poll`: one answer as soon as there is something after a position, which the next request goes on from. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import type { Test } from '../support/server.js';
import { SECRET as secret, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

const apiKey = 'an-api-key-of-the-backend';

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: {
    readonly epoch: string;
    readonly head: number;
    readonly lastEventId: string;
    readonly reset: boolean;
    readonly events: readonly { readonly offset: number; readonly data: unknown }[];
    readonly name?: string;
    readonly code?: number;
    readonly details?: unknown;
    readonly detail?: string;
  };
}

async function start(t: Test, options = {}) {
  const time = new ManualTime();
  const s = await startOpen(t, { plugins: [http()], time, ...options });
  const poll = async (query = '', headers: Record<string, string> = {}, init: RequestInit = {}): Promise<Answer> => {
    const response = await fetch(`${s.http}/api/topics/chat:1/events?live=poll${query}`, { ...init, headers });
    const retryAfter = response.headers.get('retry-after');
    return { status: response.status, retryAfter, body: (await response.json()) as Answer['body'] };
  };
  const after = (lastEventId: string) => poll('', { 'last-event-id': lastEventId });
  const publish = async (...data: unknown[]) => {
    for (const each of data) await s.server.publish('chat:1', 'notice', each);
  };
  const readers = (): number => s.server.stats().readers;
  /** So many are there, and none is being let in. */
  const there = async (count: number) => {
    await until(() => readers() === count, `${count} readers, of ${readers()}`);
    await s.server.transact(() => undefined);
  };
  return { ...s, time, poll, after, publish, readers, there };
}

t.test('a poll without a position is answered at once with one; from there nothing is missed', async (t) => {
  const { poll, after, publish, readers, there } = await start(t);
  await publish('before');
  const first = await poll();
  t.match(first, { status: 200, body: { head: 1, events: [], reset: false } });
  t.equal(first.body.lastEventId, `${first.body.epoch}:1`);
  await publish('a', 'b');
  const second = await after(first.body.lastEventId);
  t.match(second.body, {
    reset: false,
    events: [
      { offset: 2, data: 'a' },
      { offset: 3, data: 'b' },
    ],
  });
  t.equal(second.body.lastEventId, `${first.body.epoch}:3`);
  const waiting = after(second.body.lastEventId);
  await there(1);
  await publish({ bytes: new Uint8Array([1]) });
  t.match((await waiting).body, { events: [{ offset: 4, data: { bytes: { base64: 'AQ==' } } }] });
  t.equal(readers(), 0);
});

t.test('a poll for which nothing comes is answered without events after a ping interval', async (t) => {
  const { poll, after, time, readers, there } = await start(t, { pingEvery: 25_000 });
  const { lastEventId } = (await poll()).body;
  const waiting = after(lastEventId);
  await there(1);
  time.advance(25_020);
  t.match((await waiting).body, { events: [], reset: false, lastEventId });
  t.equal(readers(), 0);
});

t.test('a long history comes in parts, in order and whole', async (t) => {
  const { poll, publish } = await start(t);
  await publish(...Array.from({ length: 30 }, (_, i) => i));
  const seen: unknown[] = [];
  for (let id: string | undefined; seen.length < 30;) {
    const { body } = await poll('&after=0&limit=7', id === undefined ? {} : { 'last-event-id': id });
    seen.push(...body.events.map(({ data }) => data));
    id = body.lastEventId;
  }
  t.strictSame(
    seen,
    Array.from({ length: 30 }, (_, i) => i),
    'Last-Event-ID goes before `after`',
  );
});

t.test('a position that the history no longer has, or never had, is told as a reset', async (t) => {
  const { poll, after, publish } = await start(t, { limits: { historyEvents: 4 } });
  const { epoch } = (await poll()).body;
  await publish(...Array.from({ length: 100 }, (_, i) => i));
  for (const id of [`${epoch}:1`, `${epoch}:5000`, 'another-epoch.0:1']) {
    const { status, body } = await after(id);
    t.match({ status, body }, { status: 200, body: { reset: true, events: [], lastEventId: `${epoch}:100` } }, id);
  }
  const { body } = await after(`${epoch}:98`);
  t.match(body, { reset: false, events: [{ offset: 99 }, { offset: 100 }] });
});

t.test('a topic that is deleted while it is polled is told as a reset, to its next epoch', async (t) => {
  const { poll, after, publish, server, there } = await start(t);
  await publish('old');
  const { lastEventId, epoch } = (await poll()).body;
  const waiting = after(lastEventId);
  await there(1);
  await server.transact((tx) => tx.dropTopic('chat:1', { code: 'room_not_found', reason: 'gone' }));
  const { body } = await waiting;
  t.match(body, { reset: true, events: [], head: 0 });
  t.not(body.epoch, epoch);
});

t.test('a malformed Last-Event-ID: its code, the field, once in the log', async (t) => {
  const refused: object[] = [];
  const info = (fields: object, message: string) => void (message === 'refused' && refused.push(fields));
  const { after } = await start(t, { log: { debug() {}, info, warn() {}, error() {} } });
  const wrong = ['', 'x', 'a:', ':1', 'a:-1', 'a:1.5', 'a:01', 'a b:1', 'a:1:2', `a:${'9'.repeat(16)}`, '[1,2]'];
  for (const id of wrong) {
    const { status, body } = await after(id);
    t.match(
      { status, body },
      { status: 400, body: { name: 'bad_request', code: 100, details: { issues: [{ path: 'last-event-id' }] } } },
      JSON.stringify(id),
    );
  }
  t.match(
    refused,
    wrong.map(() => ({ target: 'GET /api/topics/chat:1/events', code: '400' })),
  );
  t.equal(refused.length, wrong.length);
});

t.test('who may subscribe may poll, and nobody else; the log as such stays with API keys', async (t) => {
  const policy = {
    'chat:{id}': { subscribe: ({ session }: { session: { user: { id: string } } }) => session.user.id === 'ada' },
  };
  const { http: at, server } = await start(t, { auth: { secret, apiKeys: [apiKey] }, policy });
  const [ada, bob] = [await tokenFor('ada'), await tokenFor('bob')];
  await server.publish('kept:1', 'note', 1);
  const ask = async (topic: string, query: string, token?: string) => {
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(`${at}/api/topics/${topic}/events${query}`, { headers });
    return [response.status, ((await response.json()) as { readonly name?: string }).name];
  };
  for (const live of ['?live=poll', '?live=sse']) {
    if (live === '?live=poll') t.strictSame(await ask('chat:1', live, ada), [200, undefined]);
    t.strictSame(await ask('chat:1', live, bob), [403, 'forbidden'], live);
    t.strictSame(await ask('chat:1', live), [401, 'unauthenticated'], live);
    t.strictSame(await ask('kept:1', live, ada), [403, 'join_required'], live);
    t.strictSame(await ask('nowhere', live, ada), [404, 'unknown_topic'], live);
    t.strictSame(await ask('$probe', live, apiKey), [404, 'unknown_topic'], live);
  }
  t.strictSame(await ask('kept:1', '?live=poll&after=0', apiKey), [200, undefined]);
  t.strictSame(await ask('chat:1', '', ada), [403, 'forbidden']);
  t.strictSame(await ask('chat:1', '?live=always', apiKey), [400, undefined]);
  t.equal(server.stats().readers, 0, 'who was refused holds no place');
});

t.test('a poller that leaves frees its place', async (t) => {
  const { poll, publish, readers, there, log } = await start(t);
  const leaving = new AbortController();
  const { lastEventId } = (await poll()).body;
  const asked = poll('', { 'last-event-id': lastEventId }, { signal: leaving.signal });
  await there(1);
  leaving.abort();
  await t.rejects(asked);
  await until(() => readers() === 0);
  await publish('on');
  t.strictSame(log.errors, []);
});

t.test('a server that stops answers those who wait', async (t) => {
  const { poll, after, server, there } = await start(t);
  const { lastEventId } = (await poll()).body;
  const waiting = after(lastEventId);
  await there(1);
  const closing = server.close();
  t.match((await waiting).body, { events: [], reset: false, lastEventId });
  await closing;
});
