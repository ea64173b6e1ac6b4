/** Doors that attacks have found open: each stays shut. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { Doorkeeper } from '../../src/server/gate/doorkeeper.js';
import { http } from '../../src/http/http.js';
import { gatedStore } from '../support/gated-store.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { testStore } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

const auth = { secret: SECRET };

t.test('a burst of HELLOs does not pass connectionsPerUser while the store is at it', async (t) => {
  const store = gatedStore(testStore(t));
  const { connect, server } = await startOpen(t, { auth, store, admission: { connectionsPerUser: 3 } });
  const token = await tokenFor('ada');
  store.hold();
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect().open()));
  const welcomes = Promise.allSettled(clients.map((client, i) => client.hello({ token, instance: `${i}` })));
  await store.held();
  await Promise.all(clients.slice(3).map(({ closed }) => closed));
  store.release();
  const results = await welcomes;
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 3);
  t.equal(server.sessionsOf('ada').length, 3);
});

t.test('of the sessions that wait for their user to come back, the longest waiting ends for one more', async (t) => {
  const { client, server } = await startOpen(t, { auth, admission: { waitingSessionsPerUser: 3 } });
  const token = await tokenFor('ada');
  const stays = await client({ token, instance: 'stays' });
  const sids: string[] = [];
  for (let i = 0; i < 6; i++) {
    const one = await client({ token, instance: `${i}`, grace: 300_000 });
    const [sid] = one.welcome.session;
    sids.push(sid);
    one.cut();
    await until(() => server.session(sid)?.connected !== true);
  }
  await until(() => server.sessionsOf('ada').length === 4);
  t.strictSame(
    server.sessionsOf('ada').map(({ sid }) => sid),
    [stays.welcome.session[0], ...sids.slice(3)],
  );
  t.equal(server.session(stays.welcome.session[0])?.connected, true, 'who is connected is not touched');
});

t.test('there are `sessions` sessions in all; who has one may come back to it', async (t) => {
  const { client, server } = await startOpen(t, { auth, admission: { sessions: 2 } });
  const [ada, bob] = [await tokenFor('ada'), await tokenFor('bob')];
  const first = await client({ token: ada });
  await client({ token: bob });
  await t.rejects(client({ token: await tokenFor('eve') }), /4201/);
  first.cut();
  await until(() => server.session(first.welcome.session[0])?.connected === false);
  t.equal((await client({ token: ada, session: first.welcome.session })).welcome.resumed, true);
});

t.test('an IPv6 address counts as its network of 64 bits, however it is spelled', (t) => {
  const door = new Doorkeeper({ badTokensPerSecondPerAddress: 1 }, () => 1_000);
  for (let i = 0; i < 3; i++) door.badToken(`2001:db8:0:7::${i + 1}`);
  t.ok(door.waitsForBadTokens('2001:db8:0:7:ffff::1') > 0);
  t.ok(door.waitsForBadTokens('2001:0db8::7:1:2:3:4') > 0);
  t.ok(door.waitsForBadTokens('2001:DB8:0:7::9') > 0);
  t.equal(door.waitsForBadTokens('2001:db8:0:8::1'), 0, 'its neighbour is another');
  for (let i = 0; i < 3; i++) door.badToken('198.51.100.1');
  t.equal(door.waitsForBadTokens('198.51.100.2'), 0, 'an IPv4 address is itself');
  t.end();
});

t.test('HTTP requests without an API key have a rate by address: 429 with Retry-After', async (t) => {
  const key = 'backend-key-0123456789';
  const time = new ManualTime();
  const s = await startOpen(t, {
    time,
    auth: { ...auth, apiKeys: [key] },
    plugins: [http()],
    admission: { requestsPerSecondPerAddress: 2 },
  });
  const status = async (headers: Record<string, string> = {}): Promise<number> => {
    const response = await fetch(`${s.http}/health/ready`, { headers });
    if (response.status === 429) t.equal(response.headers.get('retry-after'), '1');
    return response.status;
  };
  for (let i = 0; i < 4; i++) t.equal(await status(), 200);
  t.equal(await status(), 429);
  t.equal(await status({ authorization: 'Bearer no-key' }), 429);
  t.equal(await status({ authorization: `Bearer ${key}` }), 200, 'a backend is let through');
  time.advance(1_000);
  t.equal(await status(), 200);
});

t.test('who says BYE and comes back finds the rates as they were', async (t) => {
  const time = new ManualTime();
  const { client } = await startOpen(t, { time, auth, limits: { userCallsPerSecond: 5 } });
  const token = await tokenFor('ada');
  const first = await client({ token });
  for (let i = 0; i < 10; i++) await first.call('echo', i);
  await t.rejects(first.call('echo', 1), { code: 201 });
  first.send([Op.BYE]);
  await first.closed;
  const again = await client({ token });
  await t.rejects(again.call('echo', 1), { code: 201 });
  time.advance(1_000);
  await t.resolves(again.call('echo', 1));
});

t.test(
  'strays past their measure close with 4201 and say when to come again; a user has one measure for all',
  async (t) => {
    const limits = { straysPerSecond: 10, userStraysPerSecond: 15 };
    const { client } = await startOpen(t, { auth, time: new ManualTime(), limits });
    const token = await tokenFor('ada');
    const first = await client({ token, instance: '1' });
    first.send(...Array.from({ length: 20 }, () => [Op.PING, null]));
    await first.frame(([op]) => op === Op.PONG);
    first.send([Op.PING, null]);
    t.match(await first.closed, { code: 4201 });
    t.match(first.frames.at(-1), [Op.GOAWAY, 4201, String, 1_000]);
    const second = await client({ token, instance: '2' });
    second.send(...Array.from({ length: 11 }, () => [Op.CANCEL, 1]));
    t.match(await second.closed, { code: 4201 });
    const other = await client({ token: await tokenFor('bob') });
    // Two for a refusal.
    for (let i = 0; i < 10; i++) await t.rejects(other.call('no:such', 1), { code: 102 });
    other.send([Op.CALL, 99, 'no:such', 1]);
    t.match(await other.closed, { code: 4201 });
  },
);

t.test('one AUTH is checked at a time', async (t) => {
  const { client } = await startOpen(t, { auth });
  const token = await tokenFor('ada');
  const ada = await client({ token });
  ada.send([Op.AUTH, 10, token], [Op.AUTH, 11, token]);
  await t.rejects(ada.answer(11), { code: 201 });
  await t.resolves(ada.answer(10));
  await t.resolves(ada.request(Op.AUTH, token), 'the next may come');
});

t.test('POSITION over helloBytes is refused undecoded, and an answer nobody waits for is ignored', async (t) => {
  const { client } = await startOpen(t);
  const each = await client();
  const large = Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`k${i}`, ['e', i]]));
  each.send([Op.POSITION, large], [Op.ACK, 7, 'x'.repeat(1_000)], [Op.NACK, 7, 130, 'x']);
  await each.barrier();
  t.strictSame(
    each.frames.filter(([op]) => op === Op.NACK).map(([, id, code]) => [id, code]),
    [[0, 109]],
  );
});
