/** The issuer's key set: rotation, outage, and floods of tokens with unknown keys. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import t from 'tap';
import { Authenticator } from '../../src/server/gate/auth.js';
import { startOpen } from '../support/open-server.js';
import type { Test } from '../support/server.js';

interface Key {
  readonly kid: string;
  readonly jwk: JWK;
  readonly privateKey: CryptoKey;
}

async function newKey(kid: string): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  return { kid, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }, privateKey };
}

const sign = ({ kid, privateKey }: Key, sub = 'ada') =>
  new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid }).setSubject(sub).setExpirationTime('1h').sign(privateKey);

/** An issuer whose set can change, and which can be away. */
async function issuer(t: Test, ...keys: Key[]) {
  const state = { keys, away: false, asked: 0 };
  const server = createServer((_, response) => {
    state.asked++;
    if (state.away) return void response.writeHead(503).end();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ keys: state.keys.map(({ jwk }) => jwk) }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return Object.assign(state, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json` });
}

t.test('tokens of the set come in; a new key is found by its id, a foreign one is refused', async (t) => {
  const [first, second, foreign] = [await newKey('1'), await newKey('2'), await newKey('1')];
  const set = await issuer(t, first);
  const { client } = await startOpen(t, { auth: { jwksUrl: set.url } });
  t.equal((await client({ token: await sign(first) })).welcome.user.id, 'ada');
  await t.rejects(client({ token: await sign(foreign) }), /4100/, 'the right id is not the right key');
  t.equal(set.asked, 1);
  await t.rejects(client({ token: await sign(second) }), /4100/, 'within the cooldown nothing is fetched');
  t.equal(set.asked, 1);
});

t.test('a flood of tokens with unknown keys is no flood of fetches', async (t) => {
  const [known, unknown] = [await newKey('known'), await newKey('unknown')];
  const set = await issuer(t, known);
  const auth = new Authenticator({ jwksUrl: set.url });
  await auth.verify(await sign(known));
  const bad = await sign(unknown);
  const results = await Promise.allSettled(Array.from({ length: 500 }, () => auth.verify(bad)));
  t.ok(results.every((result) => result.status === 'rejected'));
  t.equal(set.asked, 1);
});

t.test('while the issuer is away its keys serve on, and a server that never had them says to come again', async (t) => {
  const key = await newKey('1');
  const set = await issuer(t, key);
  const { client } = await startOpen(t, { auth: { jwksUrl: set.url } });
  await client({ token: await sign(key) });
  set.away = true;
  await t.resolves(client({ token: await sign(key, 'bob') }));
  const started = await startOpen(t, { auth: { jwksUrl: set.url } });
  const late = started.connect();
  await t.rejects(
    late.hello({ token: await sign(key) }),
    /4201/,
    'overloaded: reconnect with backoff, not a bad token',
  );
});

t.test('symmetric and unsigned tokens are refused, whatever the set holds', async (t) => {
  const key = await newKey('1');
  const oct: Key = {
    ...key,
    jwk: { kty: 'oct', k: Buffer.from('a-shared-secret-of-32-bytes-long!').toString('base64url'), kid: 'o' },
  };
  const set = await issuer(t, oct);
  const auth = new Authenticator({ jwksUrl: set.url });
  const hs = await new SignJWT({})
    .setProtectedHeader({ alg: 'HS256', kid: 'o' })
    .setSubject('eve')
    .sign(Buffer.from('a-shared-secret-of-32-bytes-long!'));
  await t.rejects(auth.verify(hs), { code: 300 });
  t.throws(() => new Authenticator({ jwksUrl: set.url, algorithms: ['HS256'] }), /never none/);
  t.throws(() => new Authenticator({ jwksUrl: 'http://keys.example/jwks.json' }), /https/);
});
