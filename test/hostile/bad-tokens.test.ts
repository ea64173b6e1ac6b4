/** 100,000 upgrades with bad tokens from one address: it is told to wait, the others come in as before. */
import { once } from 'node:events';
import t from 'tap';
import { WebSocket } from 'ws';
import { encode } from '../../src/protocol/codec.js';
import { Op, SUBPROTOCOL } from '../../src/protocol/frames.js';
import { arena, count, each } from './attack.js';

const PARALLEL = 200;

t.test('100,000 upgrades with bad tokens: 4100, then 429 with Retry-After for that address alone', async (t) => {
  // A bucket that a slow machine empties too.
  const attack = await arena(t, { admission: { badTokensPerSecondPerAddress: 1 } });
  await attack(t, {
    async strike(target, share) {
      const good = await target.token('root');
      const bad = encode([Op.HELLO, 1, { instance: 'x', token: `${good.slice(0, -4)}AAAA` }]);
      // Each strike from an address of its own: what the one before spent is not missing here.
      const headers = { 'x-forwarded-for': share === 1 ? '198.51.100.1' : '198.51.100.2' };
      const ends: Record<string, number> = {};
      let retryAfter: string | undefined;
      await each(Math.ceil(count(100_000) * share), PARALLEL, async () => {
        const socket = new WebSocket(target.url, [SUBPROTOCOL], { headers, perMessageDeflate: false });
        let end: string | undefined;
        socket.on('open', () => socket.send(bad));
        socket.on('unexpected-response', (_, response) => {
          end = String(response.statusCode);
          retryAfter = response.headers['retry-after'];
          socket.terminate();
        });
        socket.on('error', (error) => (end ??= error.message));
        const [code] = (await once(socket, 'close').catch(() => [1006])) as [number];
        end ??= String(code);
        ends[end] = (ends[end] ?? 0) + 1;
      });
      t.comment(`ends: ${JSON.stringify(ends)}`);
      t.ok((ends['4100'] ?? 0) > 0, 'the first are told 4100');
      t.ok((ends['429'] ?? 0) > 0, 'then the address is told to wait, before anything is spent on it');
      t.match(retryAfter, /^\d+$/, 'and how long');
      // 4201: who was in already when the address had to wait.
      t.strictSame(
        Object.keys(ends).filter((end) => !['4100', '4201', '429'].includes(end)),
        [],
      );
    },
  });
});
