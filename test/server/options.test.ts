/** Options that would say one thing and do another, or can never work: createServer and listen() refuse them by name. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import t from 'tap';
import { hooks } from '../../src/hooks/hooks.js';
import { http } from '../../src/http/http.js';
import { defaultLimits } from '../../src/protocol/limits.js';
import { rooms } from '../../src/rooms/rooms.js';
import { createServer, type ServerOptions } from '../../src/server/server.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { engine, openContract } from '../support/server.js';
import { SECRET } from '../support/tokens.js';

type Options = Partial<Record<keyof ServerOptions<typeof openContract, never, []>, unknown>>;
const make = (options: Options) => () =>
  createServer({ contract: openContract, engine, ...options } as unknown as ServerOptions<
    typeof openContract,
    never,
    []
  >);

const pem = (type: 'ec' | 'rsa' | 'ed25519' | 'ed448' | 'x25519' | 'rsa-pss' | 'dsa', options: object = {}) => {
  const { publicKey, privateKey } = generateKeyPairSync(type as 'ec', options as { namedCurve: string });
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
};
const p256 = pem('ec', { namedCurve: 'P-256' });
const rsa = pem('rsa', { modulusLength: 2048 });

t.test('a limit is a whole number that lets somebody do something, and none that another one hides', (t) => {
  const wrong: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    ...[0, 1, -1, 1.5, NaN, Infinity, '1000', null, 2 ** 31, true].map(
      (messageBytes) => [{ messageBytes }, /limits\.messageBytes: takes a whole number/] as const,
    ),
    ...Object.keys(defaultLimits).flatMap((name) =>
      [-1, 0.5, NaN, '7', 1e300].map((value) => [{ [name]: value }, new RegExp(`limits\\.${name}: `)] as const),
    ),
    [{ helloMs: 0 }, /helloMs/],
    [{ pendingCalls: 0 }, /pendingCalls/],
    [{ callMaxMs: 2 ** 31 }, /callMaxMs/],
    [{ dataBytes: 2 * 1024 * 1024 }, /dataBytes: 2097152 is more than limits\.messageBytes \(1048576\)/],
    [{ helloBytes: 4_096, messageBytes: 2_048 }, /helloBytes/],
    [{ graceMs: 400_000 }, /graceMs.*graceMaxMs/],
    [{ lockMinMs: 700_000 }, /lockMinMs.*lockMaxMs/],
    [{ mesageBytes: 5 }, /limits\.mesageBytes: there is no such setting/],
  ];
  for (const [limits, message] of wrong) t.throws(make({ limits }), { name: 'TypeError', message }, inspect(limits));
  const right: readonly Partial<typeof defaultLimits>[] = [
    {},
    { messageBytes: 1_000 },
    { graceMaxMs: 1_000 },
    { topics: 0, slots: 0, locks: 0, historyEvents: 0, callsPerSecond: 0 },
    { graceMs: 600_000, graceMaxMs: 600_000 },
  ];
  for (const limits of right) t.doesNotThrow(make({ limits }), inspect(limits));
  const { limits } = make({ limits: { messageBytes: 1_000, topics: undefined } })() as unknown as {
    limits: typeof defaultLimits;
  };
  t.match(limits, { messageBytes: 1_000, dataBytes: 1_000, helloBytes: 1_000, topics: 1_000 }, 'defaults give way');
  t.end();
});

t.test('an origin has the one spelling that browsers send', (t) => {
  const wrong: Readonly<Record<string, RegExp>> = {
    'https://app.example/': /write https:\/\/app\.example$/,
    'https://app.example/path': /write https:\/\/app\.example$/,
    'https://app.example?x': /write/,
    'https://app.example#x': /write/,
    'https://app.example:443': /write https:\/\/app\.example$/,
    'http://app.example:80': /write http:\/\/app\.example$/,
    'https://App.example': /write https:\/\/app\.example$/,
    'HTTPS://app.example': /write https:\/\/app\.example$/,
    'https://user@app.example': /write https:\/\/app\.example$/,
    'https://bücher.example': /write https:\/\/xn--bcher-kva\.example$/,
    ' https://app.example': /origin/,
    'https://*.app.example': /wildcards/,
    '*': /wildcards/,
    'app.example': /such as/,
    'localhost:5173': /scheme and a host/,
    null: /such as/,
    '': /such as/,
    'wss://app.example': /pages have/,
    'file:///home': /pages have/,
    'data:text/html,x': /scheme and a host/,
  };
  for (const [origin, message] of Object.entries(wrong)) {
    t.throws(make({ admission: { origins: [origin] } }), { name: 'TypeError', message }, origin);
    t.throws(() => http({ origins: [origin] }), { name: 'TypeError', message }, origin);
  }
  for (const origin of ['https://app.example', 'http://localhost:5173', 'http://[::1]:3000', 'capacitor://localhost']) {
    t.doesNotThrow(make({ admission: { origins: [origin] }, plugins: [http({ origins: [origin] })] }), origin);
  }
  t.end();
});

t.test('only algorithms that the key has, and one public key of a kind that tokens are signed with', (t) => {
  const k1 = pem('ec', { namedCurve: 'secp256k1' });
  const certificate = selfSigned();
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ secret: SECRET, algorithms: ['RS999'] }, /auth\.algorithms/],
    [{ secret: SECRET, algorithms: [] }, /auth\.algorithms/],
    [{ secret: SECRET, algorithms: ['RS256'] }, /auth\.algorithms/],
    [{ publicKey: rsa.publicKey, algorithms: ['RS999'] }, /auth\.algorithms/],
    [{ publicKey: rsa.publicKey, algorithms: ['ES256'] }, /an RSA key takes RS256/],
    [{ publicKey: p256.publicKey, algorithms: ['ES384'] }, /prime256v1 takes ES256/],
    [{ publicKey: p256.publicKey, algorithms: ['RS256', 'ES256'] }, /not "RS256"/],
    [{ publicKey: k1.publicKey }, /the curve secp256k1 is not supported/],
    [{ publicKey: pem('ed448').publicKey }, /type ed448/],
    [{ publicKey: pem('x25519').publicKey }, /type x25519/],
    [{ publicKey: pem('rsa', { modulusLength: 1024 }).publicKey }, /2,048 bits/],
    [{ publicKey: p256.publicKey + rsa.publicKey }, /takes one key/],
    [{ publicKey: p256.privateKey }, /private key/],
    [{ publicKey: p256.publicKey + p256.privateKey }, /private key/],
    [{ publicKey: 'nonsense' }, /not a public key/],
    [{ jwksUrl: 'https://issuer.example/jwks', algorithms: ['RS999'] }, /auth\.algorithms/],
    [{ jwksUrl: 'https://issuer.example/jwks', algorithms: ['none'] }, /never none/],
    [{ jwksUrl: 'ftp://issuer.example/jwks' }, /https/],
    [{ jwksUrl: 'http://issuer.example/jwks' }, /https/],
    [{ issuer: 'https://issuer.example' }, /auth\.issuer: means nothing without a key/],
    [{ audience: 'rooms' }, /auth\.audience: means nothing/],
    [{ algorithms: ['HS256'] }, /auth\.algorithms: means nothing/],
    [{ secret: SECRET, issuer: '' }, /auth\.issuer: is empty/],
    [{ secret: SECRET, clockTolerance: NaN }, /auth\.clockTolerance/],
    [{ secret: SECRET, clockTolerance: -1 }, /auth\.clockTolerance/],
    ...[
      'a key with blanks in it',
      '0123456789abcdef ',
      '\t0123456789abcdef',
      '0123456789abcdef\n',
      'schlüssel-mit-umlaut',
    ].map((key) => [{ apiKeys: [key] }, /auth\.apiKeys: no blanks/] as const),
    [{ apiKeys: ['backend=a key with blanks in it'] }, /auth\.apiKeys: no blanks/],
  ];
  for (const [auth, message] of wrong) t.throws(make({ auth }), { name: 'TypeError', message }, inspect(auth));
  const right: readonly object[] = [
    { publicKey: rsa.publicKey, algorithms: ['RS512', 'PS384'] },
    { publicKey: p256.publicKey },
    { publicKey: pem('ed25519').publicKey, algorithms: ['Ed25519'] },
    { publicKey: `\n# the issuer's\n${pem('ec', { namedCurve: 'P-521' }).publicKey}\n` },
    ...(certificate === undefined ? [] : [{ publicKey: certificate }]),
    { jwksUrl: 'http://[::1]:3000/jwks', algorithms: ['ES256'], audience: 'rooms' },
    { apiKeys: ['backend=0123456789abcdef', 'c29tZSBrZXkgb2YgYnl0ZXM=='] },
  ];
  for (const auth of right) t.doesNotThrow(make({ auth }), inspect(auth));
  t.end();
});

/** Undefined where there is no openssl. */
function selfSigned(): string | undefined {
  try {
    const args = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      '/dev/null',
    ];
    return execFileSync('openssl', [...args, '-subj', '/CN=x', '-days', '1'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
  } catch {
    return undefined;
  }
}

t.test('networks of trusted proxies are written in full, or refused: none means everybody by mistake', (t) => {
  const wrong = [
    ...['10.0.0.0/', '10.0.0.0/0x8', '10.0.0.0/8/9', '10.0.0.0/1e1', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08'],
    ...['10.0.0.0/ 8', ' 10.0.0.0/8', '10.0.0.0/8 ', '10.0.0/8', '010.0.0.0/8', '/8', '', 'localhost', '10.0.0.1-9'],
    ...['::/129', '::1/', 'fe80::1%eth0', '::ffff:10.0.0.0/90', '[::1]', '*', 'fd00::/1e1', '10.0.0.0\\8'],
  ];
  for (const entry of wrong) {
    t.throws(make({ admission: { trustedProxies: [entry] } }), { name: 'TypeError', message: /trustedProxies/ }, entry);
  }
  for (const entry of ['10.0.0.0/8', '0.0.0.0/0', '::1', 'fd00::/8', '::ffff:10.0.0.0/104']) {
    t.doesNotThrow(make({ admission: { trustedProxies: [entry] } }), entry);
  }
  t.end();
});

t.test('all other options: numbers that are none, choices that are none, rules for what is not there', async (t) => {
  const secret = 'a-secret-for-hooks-of-32-characters!';
  const wrong: readonly (readonly [() => unknown, RegExp])[] = [
    ...['connections', 'sessions', 'upgradesPerSecond', 'tokenChecks', 'requestsPerSecondPerAddress'].flatMap((name) =>
      [-1, NaN, '5', Infinity].map(
        (value) => [make({ admission: { [name]: value } }), new RegExp(`admission\\.${name}`)] as const,
      ),
    ),
    [make({ admission: { tokenChecks: 0 } }), /admission\.tokenChecks/],
    [make({ admission: { conections: 1 } }), /admission\.conections: there is no such/],
    [make({ engine: 'steam' }), /engine: takes auto, uws, ws, not 'steam'/],
    ...['pingEvery', 'pingTimeout', 'bodyBytes'].flatMap((name) =>
      [0, -1, NaN, '5', 2 ** 31].map(
        (value) => [make({ [name]: value }), new RegExp(`${name}: takes a whole`)] as const,
      ),
    ),
    [make({ rates: { calls: { ekko: 1 } } }), /rates\.calls: the contract has no call 'ekko'/],
    [make({ rates: { calls: { 'lock:*': 1 } } }), /rates\.calls/],
    [make({ rates: { joins: { 'nws:{id}': 1 } } }), /rates\.joins: the contract has no topics like/],
    [make({ rates: { publishes: { 'nws:{id}': 1 } } }), /rates\.publishes/],
    [make({ callPolicy: { ekko: () => true } }), /callPolicy/],
    [() => rooms({ membership: 'lots' as 'many' }), /rooms\.membership/],
    [() => rooms({ memberTtl: NaN }), /rooms\.memberTtl/],
    [() => rooms({ hostGrace: -1 }), /rooms\.hostGrace/],
    [() => http({ metrics: 'opne' as 'open' }), /metrics: takes key, open, off/],
    [() => hooks({ url: 'https://b.example', secret, timeoutMs: 0 }), /hooks\.timeoutMs/],
    [() => hooks({ url: 'https://b.example', secret, retries: 0.5 }), /hooks\.retries/],
    [() => hooks({ url: 'https://b.example', secret, whenDown: 'alow' as 'allow' }), /hooks\.whenDown/],
    [() => hooks({ url: 'https://b.example', secret, events: ['conect' as 'connect'] }), /hooks\.events/],
    [() => lmdbStore({ path: 'x', durability: 'pwer' as 'power' }), /durability/],
  ];
  for (const [making, message] of wrong) t.throws(making, { name: 'TypeError', message }, String(message));
  t.doesNotThrow(make({ rates: { calls: { 'str*': 1, echo: 0.5 }, joins: { 'news:{id}': 1, 'chat:7': 2 } } }));
  t.doesNotThrow(make({ admission: { upgradesPerSecond: 0.5 } }));
});

t.test('check() says what listen() would, and opens nothing', async (t) => {
  const wrong: readonly (readonly [{ port?: unknown; host?: unknown }, RegExp])[] = [
    ...['8420', 'tcp://10.0.0.1:8420', -1, 65_536, 1.5, NaN, null].map((port) => [{ port }, /port: takes/] as const),
    ...['', ' ', '127.0.0.1 ', '[::1]', 'http://x', 7].map((host) => [{ host }, /host: takes/] as const),
    ...['0.0.0.0', '::', '64:ff9b::7f00:1', '128.0.0.1', 'example.org'].map(
      (host) => [{ host }, /refusing to listen on .* without keys/] as const,
    ),
  ];
  for (const [options, message] of wrong) {
    const hasKeys = /takes/.test(String(message));
    const server = make(hasKeys ? { auth: { secret: SECRET } } : {})();
    t.throws(() => server.check(options as object), { message }, inspect(options));
    await t.rejects(server.listen(options as object), { message }, inspect(options));
  }
  for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1']) {
    t.doesNotThrow(() => make({})().check({ port: 0, host }), host);
  }
  t.doesNotThrow(() => make({ auth: { secret: SECRET } })().check({ host: '0.0.0.0' }));
});
