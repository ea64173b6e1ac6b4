/**
 * Half-open connections and slow-loris: who never finishes a request, an upgrade or HELLO is cut after a
 * bounded time by each engine, whatever it keeps dripping; and 10,000 of them cost the others nothing.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { encode } from '../../src/protocol/codec.js';
import { Op } from '../../src/protocol/frames.js';
import { frame, opcodes } from '../transport/raw-client.js';
import { arena, connections, count, each, tcp } from './attack.js';

const upgrade =
  'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: roomwire.v1\r\n\r\n';
const hello = frame(opcodes.binary, encode([Op.HELLO, 1, { instance: 'x', token: 'x'.repeat(500) }]));
const post = 'POST /api/rooms HTTP/1.1\r\nHost: x\r\n';

/** What is sent first, and what is dripped then. */
const kinds: Readonly<Record<string, readonly [first: string, drip: Uint8Array | string]>> = {
  'nothing at all': ['', ''],
  'the first line and no more': ['GET / HTTP/1.1\r\n', ''],
  'headers without end': ['GET / HTTP/1.1\r\nHost: x\r\n', 'x-a: b\r\n'],
  'a header byte by byte': ['GET / HTTP/1.1\r\nHost: x\r\nx-a: ', 'b'],
  'a body byte by byte': [`${post}content-length: 100000\r\n\r\n`, 'x'],
  'a body in chunks of one byte': [`${post}transfer-encoding: chunked\r\n\r\n`, '1\r\nx\r\n'],
  'a body that would never end': [`${post}content-length: 1000000000000\r\n\r\n`, 'x'],
  'an upgrade without an end': [upgrade.slice(0, -2), ''],
  'an upgrade without HELLO': [upgrade, ''],
  'HELLO byte by byte': [upgrade, hello.subarray(0, 1)],
  'pings instead of HELLO': [upgrade, frame(opcodes.ping, 'x')],
  'a request that was answered, and no other': ['GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n', ''],
};
/** 30 s for a body with the portable engine, which looks every 5 s; then 10 s for whoever does not close. */
const CUT_MS = 50_000;

const attack = await arena(t);

t.test('10,000 connections that never finish what they began are cut, however they drip', async (t) => {
  await attack(t, {
    warm: false,
    async strike(target, share) {
      const n = Math.ceil(connections(t, count(10_000)) * share);
      const before = await target.holdings();
      const sockets: [kind: string, socket: Socket][] = [];
      const names = Object.keys(kinds);
      await each(n, 200, async (i) => {
        const kind = names[i % names.length] as string;
        const socket = await tcp(target.port);
        sockets.push([kind, socket]);
        socket.resume();
        socket.write((kinds[kind] as readonly [string, unknown])[0]);
      });
      // The kernel connects them before the server takes them.
      await target.until(`the server has ${n} of them`, 10_000, ({ fds }) => fds >= before.fds + n / 2);
      let at = 0;
      const dripping = setInterval(() => {
        at++;
        for (const [kind, socket] of sockets) {
          const [, drip] = kinds[kind] as readonly [string, Uint8Array | string];
          if (socket.destroyed || drip.length === 0) continue;
          socket.write(kind === 'HELLO byte by byte' ? hello.subarray(at, at + 1) : drip);
        }
      }, 1_000);
      await target.until('all are cut', CUT_MS, ({ fds }) => fds <= before.fds);
      clearInterval(dripping);
      const unaware = () => sockets.filter(([, socket]) => !socket.destroyed).map(([kind]) => kind);
      // Thousands of closes take this process a while to read.
      for (let looks = 0; looks < 600 && unaware().length > 0; looks++) await delay(100);
      const left = new Set(unaware());
      t.strictSame([...left], [], 'and know it');
      for (const [, socket] of sockets) socket.destroy();
    },
  });
});

t.test('who pipelines requests and reads no answer is held within bounds, and cut', async (t) => {
  await attack(t, {
    settleMs: 30_000,
    async strike(target, share) {
      const before = await target.holdings();
      const n = Math.ceil(count(100) * share);
      const sockets: Socket[] = [];
      await each(n, 50, async () => {
        const socket = await tcp(target.port);
        socket.pause();
        socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2_000));
        sockets.push(socket);
      });
      const { rss } = await target.holdings();
      t.ok(rss - before.rss < 200 * 1024 * 1024, `${n} of them made the server grow by ${rss - before.rss} bytes`);
      for (const socket of sockets) socket.destroy();
    },
  });
});

t.test('who says HELLO and then neither reads nor answers a PING is closed, and its session ends', async (t) => {
  const attack = await arena(t, { pingEvery: 1_500, pingTimeout: 1_500, limits: { graceMs: 500 } });
  await attack(t, {
    warm: false,
    settleMs: 30_000,
    async strike(target, share) {
      const n = Math.ceil(connections(t, count(10_000)) * share);
      const token = await target.token('mute');
      const mute = frame(opcodes.binary, encode([Op.HELLO, 1, { instance: 'x', token }]));
      const before = await target.holdings();
      const sockets: Socket[] = [];
      const heads: Promise<unknown>[] = [];
      // As many as one user may have.
      await each(Math.min(n, 1_000), 100, async () => {
        const socket = await tcp(target.port);
        sockets.push(socket);
        const head = new Promise((resolve) => socket.once('data', resolve).once('close', resolve));
        heads.push(head);
        socket.write(upgrade);
        await head;
        socket.pause();
        socket.write(mute);
      });
      await target.until('they are in', 5_000, ({ sessions }) => sessions > before.sessions);
      await target.until(
        'their connections are closed',
        10_000,
        (holdings) => holdings.connections <= before.connections,
      );
      await target.until('their sessions have ended', 10_000, (holdings) => holdings.sessions <= before.sessions);
      for (const socket of sockets) socket.destroy();
    },
  });
});
