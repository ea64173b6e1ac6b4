/** One address, one name: an IPv6 address that only holds an IPv4 address is that address, in limits, trust and logs. */
import fc from 'fast-check';
import t from 'tap';
import { http } from '../../src/http/http.js';
import type { AuditEntry } from '../../src/server/api.js';
import { addressIn, hopAddress, networkOf, Networks, peerAddress } from '../../src/server/transport/addresses.js';
import { Doorkeeper, isLoopback } from '../../src/server/gate/doorkeeper.js';
import { createServer } from '../../src/server/server.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { engine, openContract } from '../support/server.js';
import { SECRET } from '../support/tokens.js';

const hex = (n: number): string => n.toString(16);
/** Every spelling of an IPv6 address that holds `a.b.c.d`. */
function spellings([a, b, c, d]: readonly [number, number, number, number]): string[] {
  const dotted = `${a}.${b}.${c}.${d}`;
  const high = (a << 8) | b;
  const low = (c << 8) | d;
  const padded = `${hex(high).padStart(4, '0')}:${hex(low).padStart(4, '0')}`;
  return [
    '::ffff:',
    '0:0:0:0:0:ffff:',
    '0000:0000:0000:0000:0000:ffff:',
    '::FFFF:',
    '0::ffff:',
    '::ffff:0:',
    '64:ff9b::',
    '64:FF9B::',
    '0064:ff9b:0:0:0:0:',
    '64:ff9b:0::',
  ].flatMap((head) => [
    `${head}${dotted}`,
    `${head}${hex(high)}:${hex(low)}`,
    `${head}${padded}`,
    `${head}${padded.toUpperCase()}`,
  ]);
}
const byte = fc.integer({ min: 0, max: 255 });
const v4 = fc.tuple(byte, byte, byte, byte);

t.test(
  'every spelling of a mapped, translated or NAT64 address is the IPv4 address, with port and brackets, too',
  (t) => {
    fc.assert(
      fc.property(v4, fc.integer({ min: 0, max: 65_535 }), (bytes, port) => {
        const plain = bytes.join('.');
        for (const text of [plain, ...spellings(bytes)]) {
          const ways = [
            text,
            `[${text}]`,
            `[${text}]:${port}`,
            ...(text.includes('.') ? [`${text}:${port}`] : []),
            ...(text.includes(':') ? [`${text}%eth0`, `[${text}%1]:${port}`] : []),
          ];
          for (const way of ways) if (hopAddress(way) !== plain) throw new Error(`${way}: ${String(hopAddress(way))}`);
          if (peerAddress(text) !== plain || addressIn(text) !== plain || networkOf(plain) !== plain) return false;
        }
        return true;
      }),
    );
    t.end();
  },
);

t.test('other IPv6 addresses have one spelling each and stay what they are', (t) => {
  const same: Readonly<Record<string, string>> = {
    '2001:DB8:0:0:0:0:0:7': '2001:db8::7',
    '2001:0db8::0007': '2001:db8::7',
    '[2001:db8::7]:443': '2001:db8::7',
    '0:0:0:0:0:0:0:1': '::1',
    'fe80::1%eth0': 'fe80::1',
    '64:ff9b:1::102:304': '64:ff9b:1::102:304',
    '64:ff9b::1:102:304': '64:ff9b::1:102:304',
    '2002:102:304::': '2002:102:304::',
  };
  for (const [text, plain] of Object.entries(same)) t.equal(hopAddress(text), plain, text);
  for (const text of [
    '',
    'unknown',
    '_hidden',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.4:',
    '1.2.3.4:x',
    '010.1.1.1',
    ':::',
    '[1.2.3.4',
    'x::1',
    '1.2.3.4 ',
    '::ffff:1.2.3.256',
  ]) {
    t.equal(hopAddress(text), undefined, text);
  }
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const once = addressIn(text);
      return once !== undefined && addressIn(once) === once && networkOf(once) === networkOf(once.toUpperCase());
    }),
  );
  t.equal(networkOf('2001:db8:1:2:3:4:5:6'), networkOf('2001:db8:1:2::9'));
  t.not(networkOf('2001:db8:1:2::9'), networkOf('2001:db8:1:3::9'));
  t.end();
});

t.test('trust means the same address in every spelling, of the list and of the hop', (t) => {
  for (const entry of ['10.0.0.0/8', '::ffff:10.0.0.0/104', '::ffff:a00:0/104', '64:ff9b::10.0.0.0/104']) {
    const networks = new Networks('trustedProxies', [entry]);
    fc.assert(
      fc.property(byte, byte, byte, (b, c, d) =>
        spellings([10, b, c, d]).every((text) => networks.has(addressIn(text) as string)),
      ),
      { numRuns: 20 },
    );
    for (const text of spellings([11, 0, 0, 1])) t.notOk(networks.has(addressIn(text) as string), `${entry} ${text}`);
  }
  const door = new Doorkeeper({ trustedProxies: ['10.0.0.0/8', '127.0.0.1'] }, () => 0);
  for (const hop of spellings([10, 1, 2, 3])) {
    t.equal(door.addressOf('127.0.0.1', `203.0.113.9, ${hop}`), '203.0.113.9', hop);
    t.equal(door.addressOf('127.0.0.1', `1.1.1.1, [::ffff:203.0.113.9]:4711, [${hop}]:80`), '203.0.113.9', hop);
  }
  t.equal(door.addressOf('127.0.0.1', '::ffff:203.0.113.9:4711'), '203.0.113.9');
  t.end();
});

t.test('limits count each client of a NAT64 or dual-stack proxy for itself, and one client once', (t) => {
  const time = new ManualTime();
  const door = new Doorkeeper(
    { trustedProxies: ['127.0.0.1'], requestsPerSecondPerAddress: 1, connectionsPerAddress: 1 },
    () => time.monotonic(),
  );
  const of = (text: string): string => door.addressOf('127.0.0.1', text);
  for (const head of ['::ffff:', '64:ff9b::']) {
    time.advance(10_000);
    for (let i = 0; i < 50; i++)
      t.equal(door.refusesRequest(of(`${head}198.51.100.${i}`)), undefined, 'others are others');
    door.refusesRequest(of(`${head}c633:6401`));
    t.ok(door.refusesRequest(of('198.51.100.1')), 'the same is the same');
  }
  t.end();
});

t.test('this machine is this machine in every spelling, and NAT64 of it is not', (t) => {
  for (const host of [
    'localhost',
    '127.0.0.1',
    '127.1.2.3',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
  ]) {
    t.equal(isLoopback(host), true, host);
  }
  for (const host of [
    '',
    '0.0.0.0',
    '::',
    '64:ff9b::127.0.0.1',
    '::ffff:0:127.0.0.1',
    '128.0.0.1',
    '::ffff:1.2.3.4',
    '127.1',
    'localhost.example',
    '::1:1',
  ]) {
    t.equal(isLoopback(host), false, host);
  }
  t.end();
});

t.test('logs and refusals name the IPv4 address, over HTTP and at the upgrade', async (t) => {
  const trail: AuditEntry[] = [];
  const s = await startOpen(t, {
    auth: { secret: SECRET },
    admission: { trustedProxies: ['127.0.0.1'] },
    plugins: [http()] as const,
    audit: (line) => void trail.push(line),
  });
  await fetch(`${s.http}/api/topics`, {
    headers: { authorization: 'Bearer a.b.c', 'x-forwarded-for': '[64:ff9b::cb00:7109]:4711' },
  });
  const client = s.connect(undefined, { 'x-forwarded-for': '::FFFF:203.0.113.9' });
  await t.rejects(client.hello({ token: 'a.b.c' }));
  t.ok(trail.length >= 2);
  t.same([...new Set(trail.map(({ address }) => address))], ['203.0.113.9']);
});

t.test('a peer that comes over a dual-stack socket is known by its IPv4 address', async (t) => {
  const trail: AuditEntry[] = [];
  const server = createServer({
    contract: openContract,
    engine,
    auth: { secret: SECRET },
    plugins: [http()] as const,
    audit: (line) => void trail.push(line),
  });
  const bound = await server.listen({ port: 0, host: '::' }).catch(() => undefined);
  if (bound === undefined) return void t.comment('no IPv6 here');
  t.teardown(() => server.close());
  await fetch(`http://127.0.0.1:${bound.port}/api/topics`, { headers: { authorization: 'Bearer a.b.c' } });
  t.match(trail, [{ address: '127.0.0.1' }]);
});
