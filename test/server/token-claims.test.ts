/** Claims that a good signature does not make good: the server's own name, and times that no client can hold. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { Op } from '../../src/protocol/frames.js';
import { Authenticator } from '../../src/server/gate/auth.js';
import { forged, token } from '../support/jwt.js';
import { roomContract } from '../support/rooms.js';
import { startServer } from '../support/server.js';
import { SECRET } from '../support/tokens.js';

t.test("the probe's name is refused on every way in: HELLO, AUTH, REST, and a program's own mapping", async (t) => {
  const s = await startServer(t, {
    contract: roomContract,
    plugins: [rooms(), http()] as const,
    auth: { secret: SECRET },
  });
  const own = await token('$probe');
  for (const [method, path] of [
    ['GET', '/api/rooms'],
    ['POST', '/api/rooms/x'],
    ['GET', '/api/rooms/x/locks'],
    ['PUT', '/api/default-room'],
    ['GET', '/api/topics'],
  ] as const) {
    const response = await fetch(s.http + path, { method, headers: { authorization: `Bearer ${own}` } });
    t.equal(response.status, 403, `${method} ${path}`);
    t.match(await response.json(), { name: 'forbidden', detail: /server's own/ });
  }
  await t.rejects(s.client({ token: own }), /4006/);
  const ann = await s.client({ token: await token('ann') });
  await t.rejects(ann.request(Op.AUTH, own), { code: 106 });
  const mapped = new Authenticator({ secret: SECRET, user: () => ({ id: '$probe', name: 'x' }) });
  await t.rejects(mapped.verify(await token('ann')), { code: 106 });
});

t.test('whatever exp says, expiresAt is an int that every client can hold, or nil', async (t) => {
  const auth = new Authenticator({ secret: SECRET });
  const soon = Math.floor(Date.now() / 1_000) + 1_000;
  const times: readonly (readonly [exp: number | undefined, expiresAt: number | null])[] = [
    [undefined, null],
    [soon, soon * 1_000],
    [soon + 0.0005, soon * 1_000],
    [soon + 0.1234567, soon * 1_000 + 123],
    [8_640_000_000_000, 8_640_000_000_000_000],
    [8_640_000_000_001, 8_640_000_000_000_000],
    [2 ** 53, 8_640_000_000_000_000],
    [1e300, 8_640_000_000_000_000],
    [Number.MAX_VALUE, 8_640_000_000_000_000],
  ];
  for (const [exp, expiresAt] of times) {
    const claims = { sub: 'ann', ...(exp === undefined ? {} : { exp }) };
    const identity = await auth.verify(forged({ alg: 'HS256' }, claims, SECRET));
    t.equal(identity.expiresAt, expiresAt, String(exp));
  }
  const s = await startServer(t, {
    contract: roomContract,
    plugins: [rooms(), http()] as const,
    auth: { secret: SECRET },
  });
  const client = await s.client({ token: forged({ alg: 'HS256' }, { sub: 'ann', exp: 1e300 }, SECRET) });
  t.equal((client.welcome as unknown as { expiresAt: number }).expiresAt, 8_640_000_000_000_000);
  t.ok(Number.isSafeInteger((client.welcome as unknown as { expiresAt: number }).expiresAt));
  const later = forged({ alg: 'HS256' }, { sub: 'ann', exp: 1e18 }, SECRET);
  t.match(await client.request(Op.AUTH, later), { expiresAt: 8_640_000_000_000_000 });
  for (const exp of [-1, 0, -1e300, '1e9', null, true, [soon]]) {
    const response = await fetch(`${s.http}/api/rooms`, {
      headers: { authorization: `Bearer ${forged({ alg: 'HS256' }, { sub: 'ann', exp }, SECRET)}` },
    });
    t.equal(response.status, 401, JSON.stringify(exp));
  }
});
