/**
 * Requests to others: whatever the other side does, each ends in time, reads no more than it may, and leaves no
 * connection behind. Hooks, proxied calls, notices, key sets and the command line are all made with this.
 */
import { once } from 'node:events';
import { Agent } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import t from 'tap';
import { CommandError } from '../../src/cli/args.js';
import { request } from '../../src/cli/remote.js';
import { Poster } from '../../src/hooks/post.js';
import { exchange, type ExchangeOptions } from '../../src/server/transport/exchange.js';
import { Wheel } from '../../src/server/time/wheel.js';
import { ManualTime } from '../support/manual-time.js';
import type { Test } from '../support/server.js';
import { until } from '../support/until.js';

/** What a server may do with a request, whose bytes it has: by name. */
type Doing = (socket: Socket, times: number) => void;

async function other(t: Test, doing: Doing) {
  const state = { doing, asked: 0, open: new Set<Socket>(), url: new URL('http://127.0.0.1/') };
  const server = createServer((socket) => {
    state.open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => state.open.delete(socket));
    socket.on('data', () => state.doing(socket, ++state.asked));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of state.open) socket.destroy();
    server.close();
  });
  state.url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return state;
}

function clock(t: Test) {
  const time = new ManualTime();
  const wheel = new Wheel(time, (error) => {
    throw error as Error;
  });
  t.teardown(() => wheel.stop());
  return { time, after: (ms: number, fn: () => void) => wheel.after(ms, fn) };
}

const endless = (socket: Socket, chunk: Buffer): void => {
  const more = (): void => {
    while (!socket.destroyed && socket.write(chunk));
    socket.once('drain', more);
  };
  more();
};
const MAX_BYTES = 100_000;

/** How an exchange failed. */
const troubleOf = (exchanging: Promise<unknown>): Promise<unknown> =>
  exchanging.then(
    () => 'none',
    (error: unknown) => (error as { readonly trouble?: string }).trouble,
  );

const doings: Readonly<Record<string, { readonly doing: Doing; readonly ends: string }>> = {
  'says nothing': { doing: () => undefined, ends: 'late' },
  'says the head and stalls': {
    doing: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab'),
    ends: 'late',
  },
  'stalls in the head': { doing: (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-'), ends: 'late' },
  'says only that it goes on': {
    doing: (socket) => void socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100)),
    ends: 'late',
  },
  'sends without end': {
    doing: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      endless(socket, Buffer.alloc(16_384, 0x20));
    },
    ends: 'too_large',
  },
  'sends chunks without end': {
    doing: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      endless(socket, Buffer.from(`1000\r\n${'x'.repeat(4_096)}\r\n`));
    },
    ends: 'too_large',
  },
  'sends headers without end': {
    doing: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      endless(socket, Buffer.from(`x-more: ${'x'.repeat(1_000)}\r\n`));
    },
    ends: 'unreachable',
  },
  'cuts in the middle': {
    doing: (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab'),
    ends: 'unreachable',
  },
  'hangs up': { doing: (socket) => void socket.end(), ends: 'unreachable' },
  'breaks off': { doing: (socket) => void socket.resetAndDestroy(), ends: 'unreachable' },
  'speaks another protocol': { doing: (socket) => void socket.write('SSH-2.0-x\r\n'), ends: 'unreachable' },
  'switches protocols': {
    doing: (socket) =>
      void socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    ends: 'unreachable',
  },
};

t.test('whatever the other side does, a request ends, in time and within its bytes, and leaves nothing', async (t) => {
  for (const isKept of [false, true]) {
    for (const [name, { doing, ends }] of Object.entries(doings)) {
      const { time, after } = clock(t);
      const there = await other(t, doing);
      const agent = isKept ? new Agent({ keepAlive: true }) : undefined;
      const state: { trouble?: string } = {};
      const options: ExchangeOptions = {
        url: there.url,
        method: 'POST',
        headers: { 'content-length': 2 },
        body: '{}',
        timeoutMs: 2_000,
        maxBytes: MAX_BYTES,
        after,
        ...(agent === undefined ? {} : { agent }),
      };
      void exchange(options).catch((error: { trouble: string }) => (state.trouble = error.trouble));
      await until(() => there.asked > 0);
      if (ends === 'late') time.advance(1_980);
      t.equal(state.trouble === undefined || ends !== 'late', true, `${name}: not before its time`);
      if (ends === 'late') time.advance(60);
      await until(() => state.trouble !== undefined);
      t.equal(state.trouble, ends, name);
      await until(() => there.open.size === 0);
      agent?.destroy();
    }
  }
});

t.test(
  'an address nobody listens at, a header that cannot be sent and an end from outside are refusals, too',
  async (t) => {
    const { after } = clock(t);
    const base = { method: 'GET', headers: {}, timeoutMs: 2_000, maxBytes: 10, after };
    t.equal(await troubleOf(exchange({ ...base, url: new URL('http://127.0.0.1:1/') })), 'unreachable');
    t.equal(await troubleOf(exchange({ ...base, url: new URL('ftp://127.0.0.1/') })), 'unreachable');
    const there = await other(t, () => undefined);
    t.equal(await troubleOf(exchange({ ...base, url: there.url, headers: { authorization: 'a\nb' } })), 'unreachable');
    const stop = new AbortController();
    const ended = exchange({ ...base, url: there.url, signal: stop.signal });
    await until(() => there.asked === 1);
    stop.abort();
    t.equal(await troubleOf(ended), 'unreachable');
    await until(() => there.open.size === 0);
  },
);

t.test('a kept connection that the other side closed meanwhile costs no try', async (t) => {
  const { after } = clock(t);
  const there = await other(t, (socket, times) => {
    if (times === 2) socket.resetAndDestroy();
    else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}');
  });
  const poster = new Poster(there.url, 'secret', 1, after);
  t.teardown(() => poster.close());
  for (let i = 0; i < 2; i++) t.equal((await poster.post({ id: `${i}`, body: '{}', timeoutMs: 1_000 })).status, 200);
  t.equal(there.asked, 3);
});

t.test('the command line says in a line what is wrong with an answer', async (t) => {
  const answers: Readonly<Record<string, RegExp>> = {
    'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>': /not JSON: is it roomwire's address/,
    'HTTP/1.1 301 Moved\r\nlocation: https://x.example/\r\ncontent-length: 0\r\n\r\n':
      /sends to https:\/\/x\.example\//,
    'HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>': /answered 502/,
    'HTTP/1.1 404 Not Found\r\ncontent-length: 17\r\n\r\n{"detail":"none"}': /none/,
    'nonsense\r\n\r\n': /cannot reach http/,
  };
  for (const [answer, message] of Object.entries(answers)) {
    const there = await other(t, (socket) => void socket.end(answer));
    const flags = { url: there.url.href, token: undefined };
    await t.rejects(request(flags, '/api/publish', { method: 'POST', body: {} }), message);
    await t.rejects(request(flags, '/api/publish'), CommandError);
  }
  const there = await other(t, (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{"at":1}'));
  t.same(await request({ url: there.url.href, token: 't' }, '/api/publish'), { at: 1 });
});
