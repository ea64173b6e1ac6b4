/** Oversized everything, and requests that are made to be misread: refused or cut, and never kept. */
import t from 'tap';
import { encode } from '../../src/protocol/codec.js';
import { Op } from '../../src/protocol/frames.js';
import { frame, opcodes, RawClient } from '../transport/raw-client.js';
import { arena, attacker, count, each, tcp } from './attack.js';

const attack = await arena(t);
const upgrade =
  'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: roomwire.v1\r\n';
const line = (i: number): string => `x-${i}: y\r\n`;
const many = (n: number): string => Array.from({ length: n }, (_, i) => line(i)).join('');

/** The portable engine answers; uWebSockets.js may cut instead. */
const requests: Readonly<Record<string, readonly [request: string, status: RegExp]>> = {
  '10,000 headers': [`GET /health/live HTTP/1.1\r\nHost: x\r\n${many(10_000)}\r\n`, /^$|431/],
  'a header of 1 MB': [`GET /health/live HTTP/1.1\r\nHost: x\r\nx: ${'y'.repeat(1e6)}\r\n\r\n`, /^$|431/],
  'a header name without an end': [`GET /health/live HTTP/1.1\r\nHost: x\r\n${'y'.repeat(1e6)}`, /^$|431/],
  'a query of 1 MB': [`GET /health/live?${'q'.repeat(1e6)} HTTP/1.1\r\nHost: x\r\n\r\n`, /^$|431/],
  'a path of 1 MB': [`GET /${'p'.repeat(1e6)} HTTP/1.1\r\nHost: x\r\n\r\n`, /^$|431/],
  'an upgrade with 10,000 headers': [`${upgrade}${many(10_000)}\r\n`, /^$|431/],
  'a body over bodyBytes': [
    `POST /api/publish HTTP/1.1\r\nHost: x\r\ncontent-length: 2000000\r\n\r\n${'x'.repeat(2e6)}`,
    /^$|401|413/,
  ],
  'a length and chunks (request smuggling)': [
    'POST /api/publish HTTP/1.1\r\nHost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n',
    /^$|400/,
  ],
  'a body that says it is compressed': [
    'POST /api/publish HTTP/1.1\r\nHost: x\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd',
    /401/,
  ],
};

/** The first status line, or nothing when the connection was cut without one. */
async function statusOf(port: number, request: string): Promise<string> {
  const socket = await tcp(port);
  let text = '';
  const over = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.includes('\r\n')) resolve();
    });
    socket.once('close', resolve);
  });
  socket.write(request);
  await over;
  socket.destroy();
  return /^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? '';
}

t.test('requests that are too large or ambiguous are refused or cut at once', async (t) => {
  await attack(t, {
    async strike(target, share) {
      for (const [what, [request, status]] of Object.entries(requests)) {
        const found = new Set<string>();
        await each(Math.ceil(count(400) * share), 20, async () => found.add(await statusOf(target.port, request)));
        t.match([...found].join(' '), status, what);
      }
    },
  });
});

t.test('a message over messageBytes is cut when its header comes, before it is there', async (t) => {
  await attack(t, {
    async strike(target, share) {
      const token = await target.token('large');
      const before = await target.holdings();
      await each(Math.ceil(count(1_000) * share), 50, async () => {
        const client = await attacker(target.url, { token, grace: 0 });
        const { _socket: raw } = client.socket as unknown as { readonly _socket: import('node:net').Socket };
        raw.write(frame(opcodes.binary, 'x'.repeat(1_000), { length: 2 ** 40 }));
        const { code } = await client.closed;
        if (code !== 1009 && code !== 1006) t.fail(`closed with ${code}`);
      });
      const { rss } = await target.holdings();
      t.ok(rss - before.rss < 100 * 1024 * 1024);
    },
  });
});

t.test('compression is not taken when offered, and a compressed message ends its connection: no bombs', async (t) => {
  await attack(t, {
    async strike(target, share) {
      const token = await target.token('bomber');
      await each(Math.ceil(count(1_000) * share), 50, async () => {
        const socket = await tcp(target.port);
        const raw = new RawClient(socket);
        raw.write(`${upgrade}Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n`);
        const head = await raw.readHead();
        if (!head.startsWith('HTTP/1.1 101') || /sec-websocket-extensions/i.test(head)) t.fail(head);
        raw.write(frame(opcodes.binary, encode([Op.HELLO, 1, { instance: 'x', token, grace: 0 }])));
        await raw.next();
        raw.send(opcodes.binary, Buffer.alloc(1_000), { rsv: 4 });
        await raw.gone;
      });
    },
  });
});

t.test('who does not answer the close is cut', async (t) => {
  await attack(t, {
    settleMs: 30_000,
    warm: false,
    async strike(target, share) {
      const before = await target.holdings();
      const sockets = await Promise.all(
        Array.from({ length: Math.ceil(count(1_000) * share) }, async () => {
          const raw = await RawClient.open(target.port);
          // No subprotocol: the server closes with 4002, and nobody answers.
          raw.stall();
          return raw;
        }),
      );
      await target.until('all are cut', 30_000, ({ fds }) => fds <= before.fds);
      for (const raw of sockets) raw.destroy();
    },
  });
});
