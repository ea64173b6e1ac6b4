/**
 * Clients that are not who they say: forged and unfit tokens, rights that have ended.
 * Each is told by a code, gets nothing, and disturbs nobody; and nothing secret is logged.
 */
import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import { SignJWT } from 'jose';
import t from 'tap';
import { http } from '../../src/http/http.js';
import { Op, SUBPROTOCOL, TOKEN_ITEM_PREFIX } from '../../src/protocol/frames.js';
import { rooms } from '../../src/rooms/rooms.js';
import type { AuthOptions } from '../../src/server/gate/auth.js';
import { createServer } from '../../src/server/server.js';
import { gatedStore } from '../support/gated-store.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { roomContract } from '../support/rooms.js';
import { openContract, startServer, testStore } from '../support/server.js';
import { forged, privateKey, publicKey, token } from '../support/jwt.js';
import { SECRET as secret } from '../support/tokens.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';
import { bystander } from './bystander.js';
import { otherSecret, refusal } from './refusal.js';

const now = (): number => Math.floor(Date.now() / 1000);

t.test('forged and unfit tokens are refused with 4100, expired ones with 4101, and say no more', async (t) => {
  const s = await startOpen(t, { auth: { secret, issuer: 'us', audience: 'rooms' } });
  const fit = { iss: 'us', aud: 'rooms' };
  const good = await token('ann', { claims: fit, exp: now() + 600 });
  const other = await bystander(t, s, { token: good });
  const [head, body, signature] = good.split('.') as [string, string, string];
  const payload = { sub: 'root', ...fit };
  const evil = Buffer.from(JSON.stringify(payload)).toString('base64url');
  const hmac = { alg: 'HS256' };
  const jwk = { kty: 'oct', k: Buffer.from(otherSecret).toString('base64url') };
  const cases: Readonly<Record<string, string | undefined>> = {
    'no token': undefined,
    'an empty one': '',
    'no JWT': 'let me in',
    'dots alone': '..',
    'more than 8 KiB': `${head}.${body}.${'x'.repeat(9_000)}`,
    'another secret': await token('root', { claims: fit, key: otherSecret }),
    'the same secret, another algorithm': await token('root', { claims: fit, algorithm: 'HS512' }),
    'alg none': forged({ alg: 'none' }, payload),
    'alg nOnE': forged({ alg: 'nOnE' }, payload),
    'alg none with a signature': forged({ alg: 'none' }, payload, secret),
    'no alg': forged({}, payload, secret),
    'alg as a list': forged({ alg: ['HS256'] }, payload, secret),
    'another payload': `${head}.${evil}.${signature}`,
    'no signature': `${head}.${body}.`,
    'a cut signature': `${head}.${body}.${signature.slice(0, -4)}`,
    'its own key in the header': forged({ ...hmac, jwk }, payload, otherSecret),
    'a key to be fetched': forged({ ...hmac, jku: 'http://127.0.0.1:1/keys', kid: '../../dev/null' }, payload, ''),
    'an extension nobody knows': forged({ ...hmac, crit: ['x'], x: 1 }, payload, secret),
    'an RSA signature': await token('root', { claims: fit, key: privateKey, algorithm: 'RS256' }),
    'another issuer': await token('root', { claims: { ...fit, iss: 'them' } }),
    'no issuer': await token('root', { claims: { aud: 'rooms' } }),
    'another audience': await token('root', { claims: { ...fit, aud: ['mail', 'ROOMS'] } }),
    'no audience': await token('root', { claims: { iss: 'us' } }),
    'not yet valid': await token('root', { claims: { ...fit, nbf: now() + 60 } }),
    'nbf as text': forged(hmac, { ...payload, nbf: 'soon' }, secret),
    'exp as text': forged(hmac, { ...payload, exp: '9999999999' }, secret),
    'no sub': await token(undefined, { claims: fit }),
    'an empty sub': await token('', { claims: fit }),
    'a sub of 201 characters': await token('x'.repeat(201), { claims: fit }),
    'a sub that is a number': forged(hmac, { ...payload, sub: 7 }, secret),
    'a payload that is a list': forged(hmac, [payload], secret),
    'expired, and another secret': await token('root', { claims: fit, exp: now() - 60, key: otherSecret }),
  };
  for (const [what, bad] of Object.entries(cases)) {
    const ending = await refusal(s.connect(), { token: bad });
    t.equal(ending.code, 4100, what);
    if (bad) t.notOk(ending.reason.includes(bad), 'the reason does not quote the token');
    if (bad !== undefined) await t.rejects(other.request(Op.AUTH, bad), { code: 300 }, `${what}, by AUTH`);
  }
  for (const exp of [now() - 60, 1, 0, -1]) {
    const expired = await token('ann', { claims: fit, exp });
    t.equal((await refusal(s.connect(), { token: expired })).code, 4101, `exp ${exp}`);
    await t.rejects(other.request(Op.AUTH, expired), { code: 301 });
  }
  t.equal(await s.server.transact((tx) => tx.list('sessions', { limit: 9 }).length), 1, 'no session began');
  await other.undisturbed();
});

t.test('a public key takes signatures of its kind alone: an HS token "signed" with it is refused', async (t) => {
  const s = await startOpen(t, { auth: { publicKey } });
  const rs256 = { key: privateKey, algorithm: 'RS256' };
  const other = await bystander(t, s, { token: await token('ann', rs256) });
  t.equal(other.welcome.user.id, 'ann');
  const payload = { sub: 'root', exp: now() + 600 };
  for (const key of [publicKey, publicKey.trim(), `${publicKey}\n`, publicKey.replaceAll('\n', '\r\n'), '']) {
    for (const alg of ['HS256', 'HS384', 'HS512', 'RS256', 'none']) {
      t.equal((await refusal(s.connect(), { token: forged({ alg }, payload, key) })).code, 4100, alg);
    }
  }
  t.equal((await refusal(s.connect(), { token: forged({ alg: 'none' }, payload) })).code, 4100);
  const { privateKey: anotherKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const strange = await new SignJWT(payload).setProtectedHeader({ alg: 'RS256' }).sign(anotherKey);
  t.equal((await refusal(s.connect(), { token: strange })).code, 4100, 'another pair of keys');
  await other.undisturbed();
});

t.test('the first token found is the one that counts: a bad one is not passed over for a good one', async (t) => {
  const s = await startOpen(t, { auth: { secret } });
  const good = await token('ann');
  const bad = await token('root', { key: otherSecret });
  const other = await bystander(t, s, { token: good });
  /** The places in the order of RW-AUT-1. */
  const open = ([hello, header, item, query]: readonly (string | undefined)[]) => {
    const protocols = item === undefined ? [SUBPROTOCOL] : [TOKEN_ITEM_PREFIX + item, SUBPROTOCOL];
    const headers: Record<string, string> = header === undefined ? {} : { authorization: `Bearer ${header}` };
    const client = new WireClient(query === undefined ? s.url : `${s.url}/?a=b&token=${query}`, protocols, headers);
    t.teardown(() => client.cut());
    return { client, data: hello === undefined ? {} : { token: hello } };
  };
  for (let place = 0; place < 4; place++) {
    const found = (here: string, after: string) =>
      open(Array.from({ length: 4 }, (_, i) => (i < place ? undefined : i === place ? here : after)));
    const welcome = found(good, bad);
    t.equal((await welcome.client.hello(welcome.data)).user.id, 'ann', `a good one in place ${place}`);
    t.equal(welcome.client.socket.protocol, SUBPROTOCOL, 'the token is not echoed');
    const refused = found(bad, good);
    t.equal((await refusal(refused.client, refused.data)).code, 4100, `a bad one in place ${place}`);
  }
  // What is no bearer token is none at all.
  t.equal((await refusal(s.connect(undefined, { authorization: `Basic ${good}` }))).code, 4100);
  t.equal((await s.connect(undefined, { authorization: `bearer   ${good}` }).hello()).user.id, 'ann');
  await other.undisturbed();
});

t.test('guests come in on loopback without keys only; elsewhere listening is refused with what to set', async (t) => {
  for (const host of ['0.0.0.0', '::', '', '192.0.2.1', 'localhost.example.org', '127.0.0.1.example.org']) {
    const server = createServer({ contract: openContract });
    const wanted = { message: /auth\.secret.*auth\.publicKey.*ROOMWIRE_JWT_SECRET.*127\.0\.0\.1/ };
    await t.rejects(server.listen({ host, port: 0 }), wanted, host);
    await server.close();
  }
  // With keys of any kind there are no guests, not even here.
  for (const auth of [{ secret }, { publicKey }, { apiKeys: ['backend-key-0123456789'] }]) {
    const s = await startOpen(t, { auth });
    t.equal((await refusal(s.connect())).code, 4100);
    t.equal((await refusal(s.connect(), { token: 'backend-key-0123456789' })).code, 4100, 'an API key is no token');
  }
  const s = await startOpen(t);
  const other = await bystander(t, s);
  t.match(other.welcome, { user: { id: /^guest:/ }, expiresAt: null });
  const pretender = await s.client({ token: await token('ann'), instance: 'x' });
  t.match(pretender.welcome.user.id, /^guest:/, 'a token that nobody can check makes nobody of it');
  await t.rejects(pretender.request(Op.AUTH, await token('ann')), { code: 300 });
  await other.undisturbed();
});

t.test(
  'a token that another clock sees expired already is good for what the difference leaves, not for nothing',
  async (t) => {
    const time = new ManualTime();
    const s = await startOpen(t, { time, auth: { secret } });
    const exp = Math.floor(time.wall() / 1_000) - 2;
    const client = s.connect();
    await client.hello({ token: await token('ann', { exp }) });
    time.advance(1_000);
    t.equal(await client.call<number>('echo', 1), 1);
    time.advance(5_000);
    t.equal((await client.closed).code, 4101);
  },
);

t.test(
  'rule 9: a token that expires while connected closes with 4101, at its time; AUTH before that renews',
  async (t) => {
    const s = await startOpen(t, { auth: { secret } });
    const other = await bystander(t, s, { token: await token('bob') });
    const exp = now() + 2;
    const [ends, renews] = [
      await s.client({ token: await token('ann', { exp }) }),
      await s.client({ token: await token('ann', { exp }) }),
    ];
    t.strictSame(await renews.request(Op.AUTH, await token('ann', { exp: exp + 600 })), {
      expiresAt: (exp + 600) * 1000,
    });
    t.equal((await ends.closed).code, 4101);
    t.ok(Date.now() >= exp * 1000 - 1, 'not before');
    await renews.barrier();
    t.strictSame(await renews.request(Op.AUTH, await token('ann')), { expiresAt: null }, 'it may be for ever');
    await renews.barrier();
    const back = await s.client({ session: ends.welcome.session, token: await token('ann') });
    t.equal(back.welcome.resumed, true, 'a new token resumes the session');
    await other.undisturbed();
  },
);

t.test('AUTH that is refused changes nothing: not the user, not the end of the rights', async (t) => {
  const time = new ManualTime();
  const s = await startOpen(t, { auth: { secret }, time, pingEvery: 1e9 });
  const other = await bystander(t, s, { token: await token('bob') });
  const exp = Math.floor(time.wall() / 1000) + 60;
  const ann = await s.client({ token: await token('ann', { exp }) });
  const later = exp + 600;
  await t.rejects(ann.request(Op.AUTH, await token('bob', { exp: later })), { code: 106 }, "another's token");
  await t.rejects(ann.request(Op.AUTH, await token('ANN', { exp: later })), { code: 106 });
  await t.rejects(ann.request(Op.AUTH, await token('ann', { exp: later, key: otherSecret })), { code: 300 });
  await t.rejects(ann.request(Op.AUTH, await token('ann', { exp: exp - 600 })), { code: 301 });
  await t.rejects(ann.request(Op.AUTH, secret), { code: 300 });
  t.strictSame(s.server.session(ann.welcome.session[0])?.user, ann.welcome.user);
  time.advance(59_000);
  await ann.barrier();
  time.advance(2_000);
  t.equal((await ann.closed).code, 4101);
  await other.undisturbed();
});

t.test('no token, secret or API key is in any log line, however things end', async (t) => {
  const lines: string[] = [];
  const note =
    (level: string) =>
    (fields: object, message: string): void =>
      void lines.push(
        `${level} ${message} ${inspect(fields, { depth: Infinity, showHidden: true, maxStringLength: null })}`,
      );
  const log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
  const apiKey = 'backend-key-0123456789';
  const wrongKey = 'backend-key-9876543210';
  const store = gatedStore(testStore(t));
  const plugins = [rooms(), http()] as const;
  const s = await startServer(t, { contract: roomContract, plugins, store, log, auth: { secret, apiKeys: [apiKey] } });
  const jwt = await token('ann', { claims: { name: 'Ann', private: 'a claim of hers' } });
  const hidden = [secret, otherSecret, apiKey, wrongKey, jwt, 'a claim of hers'];
  const bad = await token('root', { key: otherSecret });
  const expired = await token('ann', { exp: 1 });
  hidden.push(bad, expired);

  const ann = await s.client({ token: jwt });
  await ann.call('join:room', { roomId: 'demo', create: true });
  const lease = await ann.call<{ token: number }>('lock:acquire', { roomId: 'demo' });
  hidden.push(String(lease.token));
  for (const each of [bad, expired]) {
    await refusal(s.connect(), { token: each });
    await refusal(s.connect([TOKEN_ITEM_PREFIX + each, SUBPROTOCOL]));
    await refusal(s.connect([TOKEN_ITEM_PREFIX + each, 'other.v1']));
    await refusal(s.connect(undefined, { authorization: `Bearer ${each}` }));
    const byQuery = new WireClient(`${s.url}/?token=${each}`);
    await refusal(byQuery);
    await t.rejects(ann.request(Op.AUTH, each));
  }
  await refusal(s.connect(), { token: jwt, grace: -1 });
  store.fail('refused');
  t.equal((await refusal(s.connect(), { token: jwt })).code, 4201);
  const back = await s.client({ token: jwt, session: ann.welcome.session });
  t.equal(back.welcome.resumed, true);
  const wrong = await s.client({ token: jwt, session: [ann.welcome.session[0], 'a wrong secret'] });
  hidden.push('a wrong secret', ...[ann, back, wrong].map(({ welcome }) => welcome.session[1]));
  const ask = (key: string, path: string, body: object) =>
    fetch(s.http + path, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'lock-token': String(lease.token),
      },
      body: JSON.stringify(body),
    });
  const publish = { topic: 'room:demo', event: 'frame_update', data: { frame: 1 } };
  t.equal((await ask(apiKey, '/api/publish', publish)).status, 200);
  t.equal((await ask(wrongKey, '/api/publish', publish)).status, 401);
  t.equal((await ask(jwt, '/api/publish', publish)).status, 403);
  back.send([Op.BYE]);
  await back.closed;
  wrong.cut();
  await until(() => lines.filter((line) => line.includes('disconnected')).length >= 15);

  t.ok(
    lines.some((line) => line.startsWith('info connected')),
    'the log is at its most talkative',
  );
  const all = lines.join('\n');
  for (const each of hidden) t.notOk(all.includes(each), each.slice(0, 20));
});

t.test('keys that cannot be safe are refused when the server is made, by a TypeError that says what to set', (t) => {
  const make = (auth: AuthOptions) => () => createServer({ contract: openContract, auth });
  const wrong: readonly (readonly [auth: AuthOptions, message: RegExp])[] = [
    [{ secret: '' }, /auth\.secret: use at least 32 bytes/],
    [{ secret: 'x'.repeat(31) }, /auth\.secret: use at least 32 bytes/],
    [{ secret, publicKey }, /one of secret, publicKey and jwksUrl/],
    [{ publicKey: '' }, /auth\.publicKey/],
    [{ publicKey: secret }, /auth\.publicKey/],
    ...['HS256', 'HS384', 'HS512', 'hs256', 'none', 'None'].map(
      (name) => [{ publicKey, algorithms: ['RS256', name] }, /auth\.algorithms/] as const,
    ),
    ...['RS256', 'ES256', 'none', 'HS1', 'hs256', ''].map(
      (name) => [{ secret, algorithms: ['HS256', name] }, /auth\.algorithms/] as const,
    ),
    [{ apiKeys: ['x'.repeat(15)] }, /auth\.apiKeys: use at least 16/],
    [{ apiKeys: [''] }, /auth\.apiKeys/],
  ];
  for (const [auth, message] of wrong) t.throws(make(auth), { name: 'TypeError', message }, inspect(auth));
  // Bytes, not characters.
  t.doesNotThrow(make({ secret: 'ä'.repeat(16) }));
  t.end();
});

t.test('where guests are let in, a page from elsewhere is not: neither its socket nor its requests', async (t) => {
  const s = await startServer(t, { contract: roomContract, plugins: [rooms(), http()] as const });
  const foreign = s.connect(undefined, { origin: 'https://evil.example' });
  t.equal((await foreign.closed).code, 4006);
  const local = s.connect(undefined, { origin: 'http://localhost:5173' });
  t.match(await local.hello(), { resumed: false });
  const post = (origin: string): Promise<Response> =>
    fetch(`${s.http}/api/rooms/made-elsewhere`, { method: 'POST', headers: { origin } });
  t.equal((await post('https://evil.example')).status, 403);
  t.equal((await post('null')).status, 403);
  t.equal((await post('http://127.0.0.1:3000')).status, 201);
});
