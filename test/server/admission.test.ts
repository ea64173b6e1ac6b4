/** The door: how many connections, from where, and behind which proxies. */
import { request } from 'node:http';
import t from 'tap';
import { Doorkeeper } from '../../src/server/gate/doorkeeper.js';
import type { AuditEntry } from '../../src/server/api.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

const door = (options: ConstructorParameters<typeof Doorkeeper>[0], time = new ManualTime()) =>
  new Doorkeeper(options, () => time.monotonic());

t.test(
  'X-Forwarded-For is believed from trusted proxies alone, from the right, up to the first stranger',
  async (t) => {
    const { addressOf } = { addressOf: door({ trustedProxies: ['10.0.0.0/8', '127.0.0.1', 'fd00::/8'] }) };
    const of = (peer: string, header?: string) => addressOf.addressOf(peer, header);
    t.equal(of('203.0.113.9', '1.2.3.4'), '203.0.113.9', 'a stranger can write what it likes');
    t.equal(of('127.0.0.1', '1.2.3.4'), '1.2.3.4');
    t.equal(of('127.0.0.1', '6.6.6.6, 1.2.3.4, 10.1.2.3'), '1.2.3.4', 'what the client itself wrote is not reached');
    t.equal(of('fd00::1', '[2001:db8::7]:443'), '2001:db8::7');
    t.equal(of('127.0.0.1', '1.2.3.4:5678'), '1.2.3.4');
    t.equal(of('127.0.0.1', 'unknown, 10.0.0.1'), '10.0.0.1', 'the last that can be known');
    t.equal(of('127.0.0.1'), '127.0.0.1');
    t.equal(door({}).addressOf('127.0.0.1', '1.2.3.4'), '127.0.0.1', 'nobody is trusted unless said');
    t.throws(() => door({ trustedProxies: ['proxy.local'] }), /no address or network/);
  },
);

t.test('addresses are counted and rated one by one, and forgotten when they are idle', async (t) => {
  const time = new ManualTime();
  const keeper = door({ connectionsPerAddress: 2, upgradesPerSecondPerAddress: 5, connections: 4 }, time);
  for (let i = 0; i < 2; i++) {
    t.equal(keeper.refuses('a'), undefined);
    keeper.opened('a');
  }
  t.match(keeper.refuses('a'), { status: 429, limit: 'connectionsPerAddress' });
  t.equal(keeper.refuses('b'), undefined);
  keeper.closed('a');
  t.equal(keeper.refuses('a'), undefined);
  for (let i = 0; i < 3; i++) keeper.opened('c');
  t.match(keeper.refuses('d'), { status: 503, limit: 'connections' });
  for (let i = 0; i < 3; i++) keeper.closed('c');
  for (let i = 0; i < 10; i++) keeper.refuses('e');
  t.match(keeper.refuses('e'), { status: 429, limit: 'upgradesPerSecondPerAddress', retryAfterMs: 200 });
  time.advance(200);
  t.equal(keeper.refuses('e'), undefined);
});

t.test('an address that keeps presenting bad tokens has to wait; the others do not', async (t) => {
  const time = new ManualTime();
  const audit: AuditEntry[] = [];
  const { client, server, url, port } = await startOpen(t, {
    time,
    auth: { secret: SECRET },
    admission: { badTokensPerSecondPerAddress: 2, trustedProxies: ['127.0.0.1'] },
    audit: (line) => audit.push(line),
  });
  const status = (from: string) =>
    new Promise<number>((resolve, reject) => {
      const headers = {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-protocol': 'roomwire.v1',
        'x-forwarded-for': from,
      };
      const asked = request({ port, headers });
      asked.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve(response.statusCode ?? 0);
      });
      asked.on('response', (response) => resolve(response.statusCode ?? 0));
      asked.on('error', reject);
      asked.end();
    });
  for (let i = 0; i < 4; i++) await t.rejects(client({ token: `bad.${i}.token` }));
  t.match(url, 'ws:');
  t.equal(await status('127.0.0.1'), 429);
  t.equal(await status('198.51.100.7'), 101);
  time.advance(1_000);
  t.equal(await status('127.0.0.1'), 101);
  await t.resolves(client({ token: await tokenFor('ada') }));
  await until(() => server.stats().connections === 1);
  t.match(audit[0], { event: 'login_refused', address: '127.0.0.1', code: 'unauthenticated' });
  t.ok(audit.some(({ event, target }) => event === 'limit' && target === 'badTokensPerSecondPerAddress'));
});

t.test('one user has so many connections and no more, but a resume is no new one', async (t) => {
  const { client } = await startOpen(t, { auth: { secret: SECRET }, admission: { connectionsPerUser: 2 } });
  const token = await tokenFor('ada');
  const first = await client({ token });
  await client({ token, instance: 'other' });
  const closed = client({ token, instance: 'third' });
  await t.rejects(closed, /4201 you have 2 connections/);
  await t.resolves(client({ token, session: first.welcome.session }));
  await t.resolves(client({ token: await tokenFor('bob') }));
});

t.test('pages of other origins are refused when origins are named; programs and own pages are not', async (t) => {
  const { connect, port } = await startOpen(t, {
    auth: { secret: SECRET },
    admission: { origins: ['https://app.example'] },
  });
  const token = await tokenFor('ada');
  const from = (origin?: string) => connect(undefined, origin === undefined ? {} : { origin }).hello({ token });
  await t.resolves(from());
  await t.resolves(from('https://app.example'));
  await t.resolves(from(`http://127.0.0.1:${port}`));
  for (const origin of ['https://evil.example', 'null', 'https://app.example.evil']) {
    await t.rejects(from(origin), /4006/, origin);
  }
});
