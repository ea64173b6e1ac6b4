/** `?live=sse`: an answer that goes on with a topic's events, through either engine and through edges. */
import * as v from 'valibot';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { defineContract } from '../../src/protocol/contract.js';
import { http } from '../../src/http/http.js';
import type { LiveFormat, Plugin, PluginHost } from '../../src/server/api.js';
import { edgeCount } from '../support/edge.js';
import { readEvents, type EventReader } from '../support/event-reader.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { createServer } from '../../src/server/server.js';
import { openContract, type Test } from '../support/server.js';
import { SECRET as secret, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

const apiKey = 'an-api-key-of-the-backend';
const anyContract = defineContract({ topics: { 'any:{id}': { events: { '*': v.unknown() } } } });
const LARGE = 'x'.repeat(200_000);

async function start(t: Test, options = {}) {
  const time = new ManualTime();
  const s = await startOpen(t, { plugins: [http()], time, ...options });
  const url = (topic: string, query = ''): string =>
    `${s.http}/api/topics/${encodeURIComponent(topic)}/events?live=sse${query}`;
  const follow = (topic = 'chat:1', headers: Record<string, string> = {}, query = ''): Promise<EventReader> =>
    readEvents(t, url(topic, query), headers);
  const as = (token: string, topic = 'chat:1') => follow(topic, { authorization: `Bearer ${token}` });
  const publish = async (...data: unknown[]) => {
    for (const each of data) await s.server.publish('chat:1', 'notice', each);
  };
  const readers = (): number => s.server.stats().readers;
  /** So many are there, and none is being let in. */
  const there = async (count: number) => {
    await until(() => readers() === count, `${count} readers, of ${readers()}`);
    await s.server.transact(() => undefined);
  };
  return { ...s, time, url, follow, as, publish, readers, there };
}

const upTo = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);

t.test(
  'events come as they are published, with their position, sender and bytes, and nobody counts who reads',
  async (t) => {
    const { follow, publish, server, client } = await start(t);
    await publish('before');
    const reader = await follow();
    t.match(reader.response.headers, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    });
    await until(() => reader.lastEventId !== '');
    t.ok(reader.retry > 0);
    const { matched, epoch } = await server.publish('chat:1', 'notice', {
      bytes: new Uint8Array([1, 2]),
      text: 'é\n\u2028',
    });
    t.equal(matched, 0);
    const ann = await client();
    await ann.subscribe('chat:1');
    await ann.publish('chat:1', 'message', 'hi');
    await reader.count(2);
    t.match(reader.blocks, [
      {
        id: `${epoch}:2`,
        event: 'notice',
        data: { offset: 2, event: 'notice', data: { bytes: { base64: 'AQI=' }, text: 'é\n\u2028' }, from: null },
      },
      { id: `${epoch}:3`, event: 'message', data: { offset: 3, data: 'hi', from: ann.welcome.session[0] } },
    ]);
    t.equal(server.stats().readers, 1);
  },
);

t.test('nothing is lost and nothing comes twice over a reconnect with Last-Event-ID', async (t) => {
  const { follow, publish, readers } = await start(t, { ringBytes: 1 });
  const first = await follow();
  await publish(1, 2, 3);
  await first.count(3);
  first.cut();
  await until(() => readers() === 0);
  await publish(4, 5);
  const second = await follow('chat:1', { 'last-event-id': first.lastEventId });
  await publish(6);
  await second.count(3);
  t.strictSame([...first.offsets, ...second.offsets], upTo(1, 6));
  t.strictSame(second.own('$reset'), []);
  // One that was cut off before its first event.
  const third = await follow();
  await until(() => third.lastEventId !== '');
  third.cut();
  await publish(7);
  t.strictSame((await (await follow('chat:1', { 'last-event-id': third.lastEventId })).count(1)).offsets, [7]);
});

t.test('a busy topic comes in order and whole to readers who begin anywhere', async (t) => {
  const { follow, server } = await start(t, { limits: { historyEvents: 100_000 } });
  const readers: EventReader[] = [];
  const published: Promise<unknown>[] = [];
  for (let n = 1; n <= 3_000; n++) {
    published.push(server.publish('chat:1', 'notice', n));
    if (n % 500 === 0) readers.push(await follow('chat:1', {}, `&after=${n - 400}`));
  }
  await Promise.all(published);
  for (const [i, reader] of readers.entries()) {
    await until(() => reader.offsets.at(-1) === 3_000);
    t.strictSame(reader.offsets, upTo((i + 1) * 500 - 399, 3_000));
  }
});

t.test('what the history no longer has, or never had, is told by one $reset, and events go on after it', async (t) => {
  const { follow, publish, server } = await start(t, { limits: { historyEvents: 4 } });
  await publish(...upTo(1, 50));
  const epoch = (await server.inspect('chat:1')).epoch ?? '';
  for (const id of [`${epoch}:1`, `${epoch}:900`, 'another.0:3']) {
    const reader = await follow('chat:1', { 'last-event-id': id });
    await until(() => reader.own('$reset').length > 0);
    const { offset } = reader.own('$reset')[0]?.data as { readonly offset: number };
    t.equal(reader.lastEventId, `${epoch}:${offset}`, id);
    await publish('after');
    await reader.count(1);
    t.strictSame(reader.offsets, [offset + 1]);
    t.equal(reader.own('$reset').length, 1);
  }
  t.equal(server.stats().resets, 3);
});

t.test('one who reads nothing holds no event, hinders nobody, and is told that it missed some', async (t) => {
  const { follow, publish, server, log } = await start(t, { limits: { historyEvents: 8 } });
  const [slow, quick] = [await follow(), await follow()];
  slow.response.pause();
  const count = 150;
  for (let n = 0; n < count; n++) {
    await publish(LARGE);
    // As a reader that keeps up, whatever the machine does beside it.
    await until(() => quick.offsets.length > n - 4);
  }
  await quick.count(count);
  t.strictSame(quick.own('$reset'), []);
  // As engines hold what they were given, the server's own count is looked at.
  const sent = (server as unknown as PluginHost).counts.liveBytes;
  t.ok(sent < 2 * count * LARGE.length * 0.9, `${sent} bytes were written for two readers`);
  slow.response.resume();
  await until(() => slow.own('$reset').length > 0 || slow.ended !== undefined);
  // Where the machine was busy for long, the engine has cut it: it comes back to where it was.
  const last = slow.ended === undefined ? slow : await follow('chat:1', { 'last-event-id': slow.lastEventId });
  await until(() => last.own('$reset').length > 0);
  await publish('after');
  await until(() => last.events.at(-1)?.data === 'after');
  let next = 1;
  for (const { event, data } of last === slow ? slow.blocks : [...slow.blocks, ...last.blocks]) {
    const { offset } = data as { readonly offset: number };
    if (event === '$reset') next = offset;
    else t.equal(offset, next);
    next++;
  }
  t.equal(next, count + 2);
  t.strictSame(log.errors, []);
});

t.test('who has taken nothing for a whole ping interval is cut; who is quiet hears a comment', async (t) => {
  const { follow, publish, time, there } = await start(t, { pingEvery: 1_000 });
  const [stalled, quiet] = [await follow('chat:1'), await follow('chat:2')];
  // What it was told first is a sign of life for the first interval.
  time.advance(2_040);
  await until(() => quiet.comments > 0);
  stalled.response.pause();
  // More than any buffer on the way takes.
  for (let n = 0; n < 100; n++) await publish(LARGE);
  time.advance(1_020);
  time.advance(1_020);
  time.advance(1_020);
  await there(1);
  t.equal(quiet.ended, undefined);
});

t.test('readers that leave free their places, and what is published then reaches nobody', async (t) => {
  const { follow, publish, readers, log } = await start(t);
  const all = await Promise.all(upTo(1, 100).map((n) => follow(`chat:${n % 10}`)));
  t.equal(readers(), 100);
  await publish('to some');
  for (const reader of all) reader.cut();
  await until(() => readers() === 0);
  await publish('to nobody');
  t.strictSame(log.errors, []);
});

t.test('1,000 readers of one topic: each event is encoded once', async (t) => {
  const encoded: number[] = [];
  const text = (line: string): Uint8Array => Buffer.from(`${line}\n\n`);
  const format: LiveFormat = {
    begin: (position) => text(`id: ${position?.join(':')}`),
    events(epoch, events) {
      encoded.push(...events.map(({ offset }) => offset));
      return text(
        events.map(({ offset }) => `id: ${epoch}:${offset}\ndata: ${JSON.stringify({ offset })}`).join('\n\n'),
      );
    },
    reset: () => text('event: $reset\ndata: 0'),
    end: () => text('event: $end\ndata: 0'),
    idle: text(':'),
  };
  const counting: Plugin = {
    name: 'counting',
    setup(host) {
      host.onRequest(async ({ path, address }, gone) => {
        if (path !== '/counted') return undefined;
        const caller = { kind: 'key', user: { id: 'backend', name: 'backend' } } as const;
        const body = await host.follow('chat:1', { caller, address, from: undefined, gone, format });
        return { status: 200, headers: {}, body };
      });
    },
  };
  const { http: at, publish, readers } = await start(t, { plugins: [counting] });
  const count = edgeCount > 0 ? 300 : 1_000;
  const all: EventReader[] = [];
  for (let n = 0; n < count; n += 50) {
    all.push(...(await Promise.all(upTo(1, 50).map(() => readEvents(t, `${at}/counted`)))));
  }
  t.equal(readers(), count);
  await publish('a', 'b', 'c');
  for (const reader of all) await reader.count(3);
  t.strictSame(encoded, [1, 2, 3]);
  t.ok(all.every(({ offsets }) => offsets.join() === '1,2,3'));
});

t.test('a token that expires ends what its owner follows, with the reason', async (t) => {
  const auth = { secret, apiKeys: [apiKey] };
  const { as, publish, time, readers } = await start(t, { auth, live: { maxMs: 86_400_000 } });
  const [user, backend] = [await as(await tokenFor('ada')), await as(apiKey)];
  time.advance(3_000_000);
  await publish('to both');
  await user.count(1);
  time.advance(700_000);
  await user.end();
  t.match(user.own('$end'), [{ data: { name: 'token_expired', code: 301 } }]);
  t.equal(user.ended, 'whole');
  t.equal(readers(), 1);
  await publish('to one');
  await backend.count(2);
  t.equal(user.events.length, 1);
});

t.test('an answer ends after a while, so that its reader is asked for their rights again', async (t) => {
  let isAllowed = true;
  const { as, follow, publish, time, readers } = await start(t, {
    auth: { secret, apiKeys: [apiKey] },
    policy: { 'chat:{id}': { subscribe: () => isAllowed } },
    live: { maxMs: 60_000 },
  });
  const token = await tokenFor('ada');
  const first = await as(token);
  await publish(1);
  await first.count(1);
  time.advance(60_020);
  await first.end();
  t.strictSame([first.ended, first.own('$end')], ['whole', []]);
  t.equal(readers(), 0);
  await publish(2);
  const headers = { authorization: `Bearer ${token}`, 'last-event-id': first.lastEventId };
  t.strictSame((await (await follow('chat:1', headers)).count(1)).offsets, [2]);
  isAllowed = false;
  t.equal((await follow('chat:1', headers)).status, 403);
});

t.test('a user who is kicked is told so, and follows nothing any more', async (t) => {
  const { as, publish, readers, http: at } = await start(t, { auth: { secret, apiKeys: [apiKey] } });
  const [ada, bob] = [await as(await tokenFor('ada')), await as(await tokenFor('bob'))];
  const response = await fetch(`${at}/api/users/ada/kick`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: '{"reason":"the end"}',
  });
  t.strictSame(await response.json(), { kicked: 1 });
  await ada.end();
  t.match(ada.own('$end'), [{ data: { name: 'forbidden', detail: 'the end' } }]);
  await publish('on');
  await bob.count(1);
  t.strictSame(ada.events, []);
  t.equal(readers(), 1);
});

t.test('a topic that is deleted ends what follows it, after its last event', async (t) => {
  const { follow, server, readers, publish } = await start(t);
  const reader = await follow();
  await publish('first');
  await server.transact((tx) => {
    tx.publish('chat:1', 'notice', 'last');
    tx.dropTopic('chat:1', { code: 'room_not_found', reason: 'gone' });
  });
  await reader.end();
  t.strictSame(
    reader.events.map(({ data }) => data),
    ['first', 'last'],
  );
  t.match(reader.own('$end'), [{ data: { name: 'position_unknown' } }]);
  t.equal(readers(), 0);
  await publish('of another epoch');
  const next = await follow('chat:1', { 'last-event-id': reader.lastEventId });
  await until(() => next.own('$reset').length === 1);
});

t.test('limits: of one user, from one address, in all; who is over is told when to come again', async (t) => {
  const live = { readers: 6, readersPerUser: 2, readersPerAddress: 4 };
  const { as, readers } = await start(t, { auth: { secret, apiKeys: [apiKey] }, live });
  const tokens = await Promise.all(['ada', 'bob', 'cyd'].map((name) => tokenFor(name)));
  const [ada, bob, cyd] = tokens as [string, string, string];
  const first = await as(ada);
  await as(ada);
  const refused = await as(ada);
  t.match([refused.status, refused.response.headers['retry-after']], [429, '1']);
  await as(bob);
  await as(bob);
  t.equal((await as(cyd)).status, 429, 'the fifth from this address');
  for (const status of [200, 200, 429]) t.equal((await as(apiKey)).status, status, 'six in all');
  t.equal(readers(), 6);
  first.cut();
  await until(() => readers() === 5);
  t.equal((await as(ada)).status, 200);
});

t.test('a limit that is none is refused', (t) => {
  for (const live of [{ readers: -1 }, { maxMs: 0 }, { readersPerUser: 1.5 }, { many: 1 }]) {
    t.throws(() => createServer({ contract: openContract, live }), TypeError, JSON.stringify(live));
  }
  t.end();
});

t.test('a server that stops sends readers away, to come again at moments of their own', async (t) => {
  const { follow, publish, server } = await start(t);
  const all = await Promise.all(upTo(1, 20).map(() => follow()));
  await publish('last');
  for (const reader of all) await reader.count(1);
  await server.close({ spreadMs: 60_000 });
  for (const reader of all) {
    await reader.end();
    t.match(reader.own('$end'), [{ data: { name: 'draining', code: 206 } }]);
    t.equal(reader.ended, 'whole');
  }
  t.ok(new Set(all.map(({ retry }) => retry)).size > 10);
});

t.test('names that a browser or the format would take for its own come without one', async (t) => {
  const { follow, server } = await start(t, {
    contract: anyContract,
    without: ['echo', 'strict', 'fail', 'hang', 'keep', 'drop'],
  });
  const reader = await follow('any:1');
  const names = ['plain:name', '$reset', '$end', 'error', 'open', 'message', 'a\nb', 'a\rb', 'a\0b', ' lead', 'ü'];
  for (const name of names) await server.publish('any:1' as never, name as never, 1 as never);
  await until(() => reader.blocks.length === names.length);
  t.strictSame(
    reader.blocks.map(({ data }) => (data as { readonly event: string }).event),
    names,
  );
  t.strictSame(
    reader.blocks.flatMap(({ event }) => event ?? []),
    ['plain:name', 'message', ' lead', 'ü'],
  );
});

t.test('what docs/http.md prints for a browser with a token follows a topic over answers that end', async (t) => {
  const docs = await readFile(new URL('../../docs/http.md', import.meta.url), 'utf8');
  const code = /^async function follow[^]*?^}/m.exec(docs)?.[0] ?? '';
  type Handle = (event: string | undefined, shown: { readonly offset: number }) => void;
  type Follow = (url: string, token: string, handle: Handle) => Promise<Response>;
  // It comes again at once.
  const module = `const setTimeout = (fn) => setImmediate(fn);\nexport ${code}`;
  const { follow } = (await import(`data:text/javascript,${encodeURIComponent(module)}`)) as {
    readonly follow: Follow;
  };
  let isAllowed = true;
  const { url, publish, time, there } = await start(t, {
    auth: { secret, apiKeys: [apiKey] },
    policy: { 'chat:{id}': { subscribe: () => isAllowed } },
    live: { maxMs: 60_000 },
  });
  const offsets: number[] = [];
  const ended = follow(url('chat:1'), await tokenFor('ada'), (event, { offset }) => {
    if (event === 'notice') offsets.push(offset);
  });
  for (const n of [1, 2, 3]) {
    await there(1);
    await publish(n);
    await until(() => offsets.length === n);
    isAllowed = n < 3;
    time.advance(60_020);
  }
  t.equal((await ended).status, 403);
  t.strictSame(offsets, [1, 2, 3]);
});

t.test('HEAD is answered as GET would be, and follows nothing', async (t) => {
  const { url, readers } = await start(t);
  const response = await fetch(url('chat:1'), { method: 'HEAD' });
  t.match([response.status, response.headers.get('content-type')], [200, 'text/event-stream']);
  t.equal(readers(), 0);
});
