/** examples/election-updates as its clients meet it: greeted, told of every change, live, and refused with a reason. */
import t from 'tap';
import { says, skipBrowser, startBrowser } from '../support/browser.js';
import { token as anyToken } from '../support/jwt.js';
import { tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';
import { BEN, CLEO, MALLORY, skip, start } from './election-updates.js';

t.test(
  'everyone who connects is greeted and hears of every guarantee, attendance and vote, and of the dashboard',
  { skip },
  async (t) => {
    const { member, rest, tokens } = await start(t);
    const [ada, ben] = [await member(tokens.ada), await member(tokens.ben)];
    t.match(ben.greetings, [
      { user: { id: BEN, name: 'Ben', committee_id: 3 }, groups: ['election_updates', `user:${BEN}`] },
    ]);
    for (const [table, event, fields, change] of [
      ['guarantees', 'guarantee_update', { voter: 'V. Oter', status: 'pending' }, { status: 'confirmed' }],
      ['attendance', 'attendance_update', { voter: 'V. Oter', present: false }, { present: true }],
      ['voting', 'voting_update', { election_id: 9, candidate: 'Xu', votes: 10 }, { votes: 12 }],
    ] as const) {
      const row = { committee_id: 3, ...fields };
      const created = await rest(`/api/${table}/`, { body: row });
      t.equal(created.status, 201);
      const path = `/api/${table}/${String(created.body['id'])}/`;
      t.match(await rest(path, { method: 'PATCH', body: change }), { status: 200, body: change });
      t.match(await rest(path, { method: 'DELETE' }), { status: 204 });
      for (const { told } of [ada, ben]) {
        await until(() => told.length === 6);
        const [create, first, update, , gone] = told.splice(0);
        t.match(create, [event, 'create', { ...row, ...created.body }]);
        t.match(first, ['dashboard_update', 'create', { version: created.body['version'] }]);
        t.match(update, [event, 'update', { ...row, ...change }]);
        // All of the row also when it is gone: who follows one election, or one committee, needs its ids.
        t.match(gone, [event, 'delete', { ...row, ...change, id: created.body['id'] }]);
      }
    }
  },
);

t.test('ping is answered by pong and subscribe by subscribed, as replies and by name', { skip }, async (t) => {
  const { member, tokens } = await start(t);
  const { client } = await member(tokens.ben);
  const named: unknown[] = [];
  client.handle('pong', (pong) => void named.push(pong));
  client.handle('subscribed', (subscribed) => void named.push(subscribed));
  const pong = await client.call('ping', {});
  t.match(pong, { type: 'pong', timestamp: /^\d{4}-\d\d-\d\dT/ });
  const subscribed = await client.call('subscribe', { groups: ['committee:3'] });
  t.same(subscribed, { type: 'subscribed', groups: ['committee:3'] });
  await until(() => named.length === 2);
  t.same(named, [pong, subscribed]);
});

t.test('the token comes in HELLO, by query, or in a header', { skip }, async (t) => {
  const { url, tokens } = await start(t);
  const ws = url.replace('http', 'ws');
  for (const client of [
    new WireClient(`${ws}/?token=${tokens.ben}`),
    new WireClient(ws, undefined, { authorization: `Bearer ${tokens.ben}` }),
  ]) {
    t.match(await client.hello(), { user: { id: BEN, name: 'Ben' } });
    client.cut();
  }
  const client = new WireClient(ws);
  t.match(await client.hello({ token: tokens.cleo }), { user: { id: CLEO } });
  client.cut();
});

t.test('who may not connect is refused with a code that says what to do', { skip }, async (t) => {
  const { url, sdk } = await start(t);
  const ws = url.replace('http', 'ws');
  const past = Math.floor(Date.now() / 1_000) - 3_600;
  for (const [what, token, code, reason] of [
    ['no token', undefined, 4100, /a token is needed/],
    ['not a token', 'rubbish', 4100, /./],
    ['signed by another', await anyToken(BEN, { key: 'another-secret-of-32-bytes-length!!' }), 4100, /./],
    ['expired', await anyToken(BEN, { exp: past }), 4101, /./],
    ['a disabled account', await tokenFor(MALLORY), 4006, /^User account is disabled$/],
    ['a user that there is not', await tokenFor('nobody'), 4006, /^User account is disabled$/],
  ] as const) {
    for (const [by, client, hello] of [
      ['in HELLO', new WireClient(ws), { token }],
      ['by query', new WireClient(token === undefined ? ws : `${ws}/?token=${token}`), {}],
    ] as const) {
      await t.rejects(client.hello(hello), what);
      t.match(await client.closed, { code, reason }, `${what}, ${by}`);
    }
  }
  const mallory = sdk(await tokenFor(MALLORY));
  await until(() => mallory.state.get().status === 'refused');
  t.match(mallory.state.get().reason, { code: 4006, name: 'forbidden', message: 'User account is disabled' });
});

t.test('a committee hears its own, and only its members and admins may listen', { skip }, async (t) => {
  const { member, rest, tokens, errors } = await start(t);
  const [ada, ben] = [(await member(tokens.ada)).client, await member(tokens.ben)];
  const heard: unknown[] = [];
  ben.client.listen('committee:3').on('*', (data, { event }) => void heard.push([event, data]));
  await ben.client.call('subscribe', { groups: ['committee:3'] });
  await ben.client.call('unsubscribe', { groups: ['election_updates'] });
  await ada.subscribe('committee:5').ready;
  for (const committee_id of [5, 3]) {
    await rest('/api/attendance/', { body: { committee_id, voter: `of ${committee_id}`, present: true } });
  }
  await until(() => heard.length === 1);
  t.match(heard, [['attendance_update', { action: 'create', data: { committee_id: 3, voter: 'of 3' } }]]);
  t.same(ben.told, [], 'and no more than that');

  const refused = (groups: string[], wanted: { name: string; message?: string }) =>
    t.rejects(ben.client.call('subscribe', { groups }), wanted);
  await refused(['committee:3', 'committee:5'], { name: 'forbidden', message: 'You are not in committee:5' });
  await refused([`user:${CLEO}`], { name: 'forbidden' });
  await refused(['comittee:3'], { name: 'unknown_topic' });
  await refused([], { name: 'invalid_data' });
  await t.rejects(ben.client.call('subscribe', {} as never), { name: 'invalid_data', message: /groups/ });
  await t.rejects(ben.client.subscribe('committee:5').ready, { name: 'forbidden' }, 'nor by SUBSCRIBE');
  const update = { action: 'create', data: {} } as never;
  await t.rejects(ben.client.publish('committee:3', 'voting_update', update), { name: 'forbidden' });
  await t.rejects(ben.client.call('vote' as never, {} as never), { name: 'unknown_call' });
  t.ok(
    errors.some((line) => line.includes('connected')),
    'who comes is in the log',
  );
});

t.test('send_to_user reaches all devices of one user and nobody else, and says how many', { skip }, async (t) => {
  const { member, rest, tokens } = await start(t);
  const [phone, laptop, cleo] = [await member(tokens.ben), await member(tokens.ben), await member(tokens.cleo)];
  const got: string[] = [];
  for (const [name, { client }, id] of [
    ['phone', phone, BEN],
    ['laptop', laptop, BEN],
    ['cleo', cleo, CLEO],
  ] as const) {
    client.listen(`user:${id}`).on('notification', (data) => void got.push(`${name}: ${JSON.stringify(data)}`));
  }
  const notify = (id: string, body: unknown, token?: string) =>
    rest(`/api/users/${id}/notify/`, { body, ...(token === undefined ? {} : { token }) });
  t.match(await notify(BEN, { message: 'Recount' }), { status: 200, body: { sent: true, matched: 2 } });
  await until(() => got.length === 2);
  t.same(
    got.sort(),
    ['laptop', 'phone'].map((name) => `${name}: {"message":"Recount","from":"Ada"}`),
  );
  t.match(
    await notify(MALLORY, { message: 'hello?' }),
    { status: 200, body: { sent: false, matched: 0 } },
    'nobody was there',
  );
  t.match(await notify(BEN, {}), { status: 400, body: { detail: 'Missing parameters: message' } });
  t.match(await notify(CLEO, { message: 'hi' }, tokens.ben), { status: 403 });
});

t.test('too many pings are refused with the time to wait', { skip }, async (t) => {
  const { member, tokens } = await start(t);
  const { client } = await member(tokens.ben);
  const answers = await Promise.allSettled(Array.from({ length: 20 }, () => client.call('ping', {})));
  const refused = answers.filter((answer) => answer.status === 'rejected').map(({ reason }) => reason as unknown);
  t.ok(refused.length >= 5 && refused.length <= 15, `${refused.length} of 20`);
  t.match(refused[0], { name: 'too_many', details: { retryAfterMs: Number } });
  t.equal(client.state.get().status, 'live');
});

t.test(
  'the dashboard page follows every change over one WebSocket, and asks for nothing again',
  { skip: skip === false ? skipBrowser : skip },
  async (t) => {
    const { backend, rest, tokens } = await start(t);
    const browser = await startBrowser(t);
    const vote = (candidate: string, votes: number) =>
      rest('/api/voting/', { body: { committee_id: 3, election_id: 1, candidate, votes } });
    await vote('Xu', 40);
    const { page, problems, requests, sockets } = await browser.open(`${backend}/#${tokens.ben}`);
    await says(page, '#state', 'live');
    await says(page, '#user', 'Ben');
    await says(page, '#votes', '40');
    const before = requests.length;
    await vote('<b>Young</b>', 1_960);
    await says(page, '#votes', '2,000');
    await says(page, '#results .bar', /<b>Young<\/b>.*1,960/s);
    t.match(await page.locator('#results .bar').allInnerTexts(), [/Young/, /Xu/], 'the first is on top');
    const rows = ['A', 'B', 'C'].map((voter) => ({ committee_id: 3, voter, status: 'confirmed' }));
    await rest('/api/guarantees/import/', { body: rows });
    await says(page, '#feed li', /create\s*3 guarantees imported/);
    await says(page, '#confirmed', '3');
    t.same(requests.slice(before), [], 'no request for any of it');
    t.match(
      requests.filter((request) => request.includes('/api/')),
      ['GET /api/dashboard/'],
    );
    t.equal(sockets.length, 1);
    t.same(problems, []);
  },
);
