/**
 * A key-set endpoint that stalls, streams without end, answers nonsense or publishes no key: logins whose key is known
 * go on, the others are told to come again, and the log says why. Time is the test's own.
 */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import t from 'tap';
import { http } from '../../src/http/http.js';
import type { Log } from '../../src/server/api.js';
import { Authenticator } from '../../src/server/gate/auth.js';
import { Wheel } from '../../src/server/time/wheel.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import type { Test } from '../support/server.js';
import { until } from '../support/until.js';

interface Key {
  readonly jwk: JWK;
  readonly privateKey: CryptoKey;
}

async function newKey(kid: string): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  return { jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }, privateKey };
}

const sign = ({ jwk, privateKey }: Key, sub = 'ada') =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid: jwk.kid })
    .setSubject(sub)
    .setExpirationTime('9h')
    .sign(privateKey);

type Answering = (response: ServerResponse) => void;
const answer =
  (body: unknown, status = 200): Answering =>
  (response) =>
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
const set = (...keys: Key[]): Answering => answer({ keys: keys.map(({ jwk }) => jwk) });
const stall: Answering = () => undefined;

async function issuer(t: Test, first: Answering) {
  const state = { answering: first, asked: 0, open: 0, url: '' };
  const server = createServer((_, response) => {
    state.asked++;
    state.open++;
    response.on('close', () => state.open--);
    state.answering(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(state, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json` });
}

function authenticator(t: Test, jwksUrl: string) {
  const time = new ManualTime();
  const wheel = new Wheel(time, (error) => {
    throw error as Error;
  });
  const lines: [level: string, fields: Record<string, unknown>, message: string][] = [];
  const note =
    (level: string): Log['info'] =>
    (fields, message) =>
      void lines.push([level, fields as Record<string, unknown>, message]);
  const log: Log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
  const auth = new Authenticator(
    { jwksUrl },
    { wall: () => time.wall(), monotonic: () => time.monotonic(), after: (ms, fn) => wheel.after(ms, fn), log },
  );
  t.teardown(() => {
    wheel.stop();
    auth.close();
  });
  return { auth, time, lines };
}

/** How it ended, once it has. */
function outcome(promise: Promise<unknown>): { code: number | 'ok' | undefined } {
  const state: { code: number | 'ok' | undefined } = { code: undefined };
  promise.then(
    () => (state.code = 'ok'),
    (error: unknown) => (state.code = (error as { code: number }).code),
  );
  return state;
}

const LATER = 201;

t.test('while the endpoint stalls, tokens with a known key never wait behind any number of others', async (t) => {
  const [known, unknown] = [await newKey('known'), await newKey('unknown')];
  const set1 = await issuer(t, set(known));
  const { auth, time } = authenticator(t, set1.url);
  await auth.verify(await sign(known));
  set1.answering = stall;
  time.advance(31_000);
  const bad = await sign(unknown);
  const waiting = Array.from({ length: 1_500 }, () => outcome(auth.verify(bad)));
  await until(() => set1.asked === 2);
  t.equal((await auth.verify(await sign(known))).user.id, 'ada', 'at once, though the fetch is still under way');
  time.advance(11 * 60_000 - 600_000);
  await until(() => waiting.every(({ code }) => code !== undefined));
  t.ok(
    waiting.every(({ code }) => code === LATER),
    'nobody knows yet whether they are good: come again',
  );
  t.equal(set1.asked, 2, 'one fetch for all of them');
});

t.test('the time-out of a fetch outlives a garbage collection, and ends the request', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const set1 = await issuer(t, stall);
  const { auth, time, lines } = authenticator(t, set1.url);
  const late = outcome(auth.verify(await sign(await newKey('1'))));
  await until(() => set1.open === 1);
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  time.advance(2_600);
  await until(() => late.code === LATER);
  t.equal(set1.open, 1, 'the wait of a token is shorter than the fetch');
  time.advance(2_500);
  await until(() => set1.open === 0);
  await until(() => lines.length > 0);
  t.match(lines, [['warn', { reason: /no answer within 5000 ms/ }, 'the key set cannot be had']]);
});

t.test('an answer without end is cut off where it is too long, and headers without a body by the clock', async (t) => {
  let written = 0;
  const endless: Answering = (response) => {
    const chunk = Buffer.alloc(64 * 1024, 0x20);
    const more = (): void => {
      while (!response.destroyed && response.write(chunk)) written += chunk.length;
      response.once('drain', more);
    };
    more();
  };
  const set1 = await issuer(t, endless);
  const key = await newKey('1');
  const { auth, time, lines } = authenticator(t, set1.url);
  await t.rejects(auth.verify(await sign(key)), { code: LATER });
  await until(() => set1.open === 0);
  t.match(lines, [['warn', { reason: /more than 1048576 bytes/ }]]);
  t.ok(written < 64 * 1024 * 1024, `bounded, not ${written}`);
  set1.answering = (response) => response.writeHead(200).write('{"keys":');
  time.advance(1_001);
  const late = outcome(auth.verify(await sign(key)));
  await until(() => set1.open === 1);
  time.advance(5_100);
  await until(() => late.code === LATER && set1.open === 0);
  set1.answering = set(key);
  time.advance(1_001);
  t.equal((await auth.verify(await sign(key))).user.id, 'ada', 'and then it is well again');
});

t.test('what is no set, or one without a key for signatures, is "come again" and never a bad token', async (t) => {
  const key = await newKey('1');
  const { jwk } = key;
  const octets = { kty: 'oct', k: 'c2VjcmV0', kid: '1' };
  const cut: Answering = (response) => {
    response.writeHead(200, { 'content-length': 1_000 }).write('{"keys":[');
    setImmediate(() => response.destroy());
  };
  const answers: Readonly<Record<string, Answering>> = {
    'no keys': answer({ keys: [] }),
    'an empty object': answer({}),
    'a list': answer([]),
    null: answer('null'),
    'a null for a key': answer({ keys: [null] }),
    'keys of another kind': answer({ keys: 'none' }),
    'a shared secret': answer({ keys: [octets] }),
    'a key to encrypt with': answer({ keys: [{ ...jwk, use: 'enc' }] }),
    'a key that only signs': answer({ keys: [{ ...jwk, use: undefined, key_ops: ['sign'] }] }),
    'a key that is none': answer({ keys: [{ ...jwk, x: '!' }] }),
    'not JSON': answer('<html>'),
    nothing: answer(''),
    'a redirect': (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
    204: answer('', 204),
    404: answer({ keys: [jwk] }, 404),
    500: answer('', 500),
    'a part': cut,
    'a closed door': (response) => response.destroy(),
  };
  const token = await sign(key);
  for (const [name, answering] of Object.entries(answers)) {
    const set1 = await issuer(t, answering);
    const { auth, time, lines } = authenticator(t, set1.url);
    await t.rejects(auth.verify(token), { code: LATER }, name);
    t.notMatch(JSON.stringify(lines), token.split('.')[2]);
    set1.answering = set(key);
    time.advance(1_001);
    t.equal((await auth.verify(token)).user.id, 'ada', `${name}: and then a good one`);
    set1.answering = answering;
    time.advance(601_000);
    t.equal((await auth.verify(token)).user.id, 'ada', `${name}: keys that were there serve on`);
    await until(() => set1.open === 0);
  }
});

t.test('an unknown key is a bad token while the issuer answers, and "come again" while it does not', async (t) => {
  const [first, second] = [await newKey('1'), await newKey('2')];
  const set1 = await issuer(t, set(first));
  const { auth, time, lines } = authenticator(t, set1.url);
  await auth.verify(await sign(first));
  await t.rejects(auth.verify(await sign(second)), { code: 300 });
  set1.answering = answer('', 503);
  time.advance(31_000);
  await t.rejects(auth.verify(await sign(second)), { code: LATER });
  await t.rejects(auth.verify(await sign(second)), { code: LATER }, 'also without asking again');
  t.equal(set1.asked, 2);
  set1.answering = set(first, second);
  time.advance(1_001);
  t.equal((await auth.verify(await sign(second))).user.id, 'ada', 'a second later, not half a minute');
  t.match(
    lines.map(([level, , message]) => [level, message]),
    [
      ['warn', 'the key set cannot be had'],
      ['info', 'the key set is there again'],
    ],
  );
});

t.test('a fetch that goes on failing is in the log once a minute, with why', async (t) => {
  const set1 = await issuer(t, answer('', 500));
  const { auth, time, lines } = authenticator(t, set1.url);
  const token = await sign(await newKey('1'));
  for (let i = 0; i < 90; i++) {
    await t.rejects(auth.verify(token), { code: LATER });
    time.advance(1_001);
  }
  t.equal(set1.asked, 90);
  t.match(lines, [
    ['warn', { reason: 'answered 500', hasKeys: false }],
    ['warn', { reason: 'answered 500' }],
  ]);
  t.equal(lines.length, 2);
});

t.test('why a token was refused is in the log, sampled, and the token is not', async (t) => {
  const key = await newKey('1');
  const set1 = await issuer(t, set(key));
  const time = new ManualTime();
  const lines: [fields: Record<string, unknown>, message: string][] = [];
  const note: Log['info'] = (fields, message) => void lines.push([fields as Record<string, unknown>, message]);
  const s = await startOpen(t, {
    time,
    log: { debug: note, info: note, warn: note, error: note },
    auth: { jwksUrl: set1.url, issuer: 'https://issuer.example' },
    admission: { badTokensPerSecondPerAddress: 0 },
    plugins: [http()] as const,
  });
  const of = (text: string) => lines.filter(([, message]) => message === text).map(([fields]) => fields);
  const ask = (token: string) =>
    fetch(`${s.http}/api/topics`, { headers: { authorization: `Bearer ${token}` } }).then(({ status }) => status);
  const foreign = await sign(await newKey('1'));
  const tokens = [await sign(key), foreign, await sign(await newKey('2')), `${foreign}x`, 'a.b.c', 'x'.repeat(9_000)];
  for (const token of tokens) {
    t.equal(await ask(token), 401);
    await t.rejects(s.client({ token }), /4100/);
  }
  const told = of('token refused');
  t.equal(told.length, 12);
  t.match(
    [0, 2, 4].map((i) => told[i]),
    [
      { address: '127.0.0.1', code: 'unauthenticated', reason: /"iss"/ },
      { reason: /signature/ },
      { reason: /no key of the set fits.*kid "2"/ },
    ],
  );
  for (const token of tokens) {
    const text = JSON.stringify(lines);
    for (const part of token.split('.')) if (part.length > 20) t.notOk(text.includes(part), 'no part of a token');
  }
  for (let i = 0; i < 30; i++) await ask('nonsense');
  t.equal(of('token refused').length, 20);
  time.advance(1_020);
  t.match(of('refused more tokens than are logged'), [{ count: 22 }]);
});
