/** examples/election-updates as its clients meet it: the Python backend's changes, live, and everything that is refused. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import type { Contract, Dashboard } from '../../examples/election-updates/contract.js';
import { says, skipBrowser, startBrowser } from '../support/browser.js';
import { startExample, type Asked } from '../support/example.js';
import { token as anyToken } from '../support/jwt.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';

const python = spawnSync('python3', ['--version']).status === 0 || process.env['ROOMWIRE_REQUIRE_PYTHON'] === '1';
const skip = python ? false : 'python3 is not here';
const API_KEY = 'the-key-of-the-election-backend';
const HEALTH = '/api/utils/websocket/health/';
/** Users of backend/models.py. */
const [ADA, BEN, CLEO, MALLORY] = ['1', '2', '3', '4'];
const run = promisify(execFile);

type Told = [event: string, action: string, data: Record<string, unknown>];

async function start(t: Parameters<typeof startExample>[0], args: string[] = []) {
  const program = await startExample<Contract>(t, 'election-updates', {
    args: ['--backend-port', '0', ...args],
    // The backend of this program talks to this program, whatever the shell says.
    env: { JWT_SECRET: SECRET, ROOMWIRE_API_KEY: API_KEY, ROOMWIRE_URL: 'http://127.0.0.1:9' },
  });
  const backend = /backend on (\S+)/.exec(program.line)?.[1] ?? '';
  const [ada, ben, cleo] = [await tokenFor(ADA), await tokenFor(BEN), await tokenFor(CLEO)];
  return {
    ...program,
    backend,
    tokens: { ada, ben, cleo },
    /** The backend's endpoints; as Ada, who is an admin. */
    async rest(path: string, { method, token = ada, body, text }: Asked = {}) {
      const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(backend + path, {
        method: method ?? (sent === undefined ? 'GET' : 'POST'),
        headers: token === '' ? {} : { authorization: `Bearer ${token}` },
        ...(sent === undefined ? {} : { body: sent }),
      });
      const answer = (await response.json().catch(() => ({}))) as Record<string, unknown>;
      return { status: response.status, body: answer };
    },
    /** Connected, with all that it was told. */
    async member(token: string) {
      // What is refused is looked at where it is awaited.
      const client = program.sdk(token, { onError: () => undefined });
      const told: Told[] = [];
      const greetings: { groups: string[] }[] = [];
      client.listen('election_updates').on('*', (given, { event }) => {
        const { action, data } = given as { action: string; data: Record<string, unknown> };
        told.push([event, action, data]);
      });
      client.handle('connection_success', (greeting) => void greetings.push(greeting));
      await until(() => greetings.length === 1);
      return { client, told, greetings };
    },
  };
}

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

t.test('a bulk import sends one summary instead of its rows', { skip }, async (t) => {
  const { member, rest, tokens } = await start(t);
  const ben = await member(tokens.ben);
  const rows = Array.from({ length: 500 }, (_, i) => ({
    committee_id: i % 2 === 0 ? 3 : 5,
    voter: `voter ${i}`,
    status: 'pending',
  }));
  t.match(await rest('/api/guarantees/import/', { body: rows }), { status: 201, body: { count: 500 } });
  const bad = await rest('/api/guarantees/import/', { body: [...rows, { voter: 'nobody' }] });
  t.match(bad, { status: 400, body: { detail: 'Missing parameters: committee_id, status' } }, 'all or none');
  await rest('/api/attendance/', { body: { committee_id: 3, voter: 'last', present: true } });
  await until(() => ben.told.some(([event]) => event === 'attendance_update'));
  t.match(ben.told, [
    ['guarantee_update', 'create', { count: 500, committee_ids: [3, 5] }],
    ['dashboard_update', 'create', { guarantees: 500 }],
    ['attendance_update', 'create', {}],
  ]);
});

t.test(
  'the dashboard cache is invalidated before dashboard_update: nobody who asks because of it is answered from before it',
  { skip },
  async (t) => {
    const { sdk, rest, tokens } = await start(t);
    const client = sdk(tokens.ben);
    const answers: Promise<[caused: number, event: Dashboard, cached: Dashboard]>[] = [];
    let caused = 0;
    const updates = client.listen('election_updates');
    updates.on('voting_update', ({ data: { version } }) => void (caused = version));
    updates.on('dashboard_update', ({ data }) => {
      const cause = caused;
      answers.push(rest('/api/dashboard/').then(({ body }) => [cause, data, body as unknown as Dashboard]));
    });
    await until(() => client.state.get().status === 'live');
    const changes = 30;
    // Several at once, with readers that fill the cache in between.
    await Promise.all(
      Array.from({ length: 3 }, async () => {
        for (let i = 0; i < changes / 3; i++) {
          await rest('/api/voting/', { body: { committee_id: 3, election_id: 1, candidate: 'Xu', votes: 1 } });
          await rest('/api/dashboard/');
        }
      }),
    );
    await until(() => answers.length === changes);
    for (const [cause, event, cached] of await Promise.all(answers)) {
      t.ok(event.version >= cause, `the event has the change that caused it: ${event.version} ≥ ${cause}`);
      t.ok(cached.version >= event.version && cached.votes >= event.votes, `${cached.version} ≥ ${event.version}`);
    }
    t.match((await rest('/api/dashboard/')).body, { votes: changes, results: [{ candidate: 'Xu', votes: changes }] });
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

t.test('the health endpoint is for admins, and its connection count is real', { skip }, async (t) => {
  const { member, rest, tokens } = await start(t);
  const count = async () => (await rest(HEALTH)).body['connection_count'];
  t.equal(await count(), 0);
  const ben = await member(tokens.ben);
  await member(tokens.cleo);
  t.match(await rest(HEALTH), {
    status: 200,
    body: { status: 'healthy', channel_layer: { status: 'ok', ms: Number }, connection_count: 2 },
  });
  ben.client.close();
  while ((await count()) !== 1);
  const expired = await anyToken(ADA, { exp: Math.floor(Date.now() / 1_000) - 60 });
  for (const [token, status, detail] of [
    ['', 401, 'Authentication credentials were not provided'],
    ['rubbish', 401, 'Given token not valid'],
    [expired, 401, 'Given token not valid'],
    [await anyToken(ADA, { key: 'another-secret-of-32-bytes-length!!' }), 401, 'Given token not valid'],
    [await tokenFor(MALLORY), 401, 'Given token not valid'],
    [tokens.ben, 403, 'You do not have permission to perform this action'],
  ] as const) {
    t.same(await rest(HEALTH, { token }), { status, body: { detail } });
  }
});

t.test(
  'the backend refuses what is missing, malformed, not there or not yours, and tells nobody of it',
  { skip },
  async (t) => {
    const { member, rest, tokens } = await start(t);
    const ben = await member(tokens.ben);
    const row = { committee_id: 5, voter: 'V', status: 'pending' };
    const id = String((await rest('/api/guarantees/', { body: row })).body['id']);
    await until(() => ben.told.length === 2);
    const path = `/api/guarantees/${id}/`;
    for (const [asked, status, detail] of [
      [rest('/api/guarantees/', { body: { voter: 'V' } }), 400, 'Missing parameters: committee_id, status'],
      [rest('/api/guarantees/', { text: '{"voter":' }), 400, 'JSON parse error'],
      [rest('/api/guarantees/', { body: [1] }), 400, 'send an object'],
      [rest(path, { method: 'PATCH', body: { votes: 1 } }), 400, 'votes: not a field, or not of its type'],
      [rest(path, { method: 'PATCH', body: { committee_id: 2 ** 60 } }), 400, 'committee_id: out of range'],
      [rest('/api/guarantees/', { body: row, token: '' }), 401, 'Authentication credentials were not provided'],
      [rest('/api/guarantees/', { body: row, token: 'rubbish' }), 401, 'Given token not valid'],
      [rest('/api/guarantees/', { body: row, token: tokens.ben }), 403, 'This row is of another committee'],
      [rest(path, { method: 'DELETE', token: tokens.ben }), 403, 'This row is of another committee'],
      [rest('/api/guarantees/import/', { body: [row], token: tokens.ben }), 403, /permission/],
      [rest('/api/guarantees/import/', { body: [] }), 400, /1 to 10000 rows/],
      [rest('/api/guarantees/4711/', { method: 'DELETE' }), 404, 'Not found'],
      [rest('/api/elections/', { body: row }), 404, 'Not found'],
      [rest('/api/dashboard/', { method: 'PUT', body: row }), 405, 'Method not allowed'],
      [rest('/roomwire/', { body: { type: 'connect', user: { id: ADA } } }), 401, 'not signed by roomwire'],
      [rest('/api/guarantees/', { text: 'x'.repeat(1024 * 1024 + 1) }), 413, 'The body is too large'],
    ] as const) {
      t.match(await asked, { status, body: { detail } });
    }
    await rest('/api/attendance/', { body: { committee_id: 3, voter: 'last', present: true } });
    await until(() => ben.told.length === 4);
    t.same(
      ben.told.map(([event]) => event),
      ['guarantee_update', 'dashboard_update', 'attendance_update', 'dashboard_update'],
    );
  },
);

/** What a team's own code does with backend/: in a database of its own, broadcasting to the server that runs. */
const scenario = `
import json, logging, os, sys
sys.path.insert(0, os.environ["BACKEND"])
import models, signals, websocket_utils
from websocket_utils import broadcast_to_group, get_channel_layer_safe, get_connection_count, send_to_user

out = {}
row = {"committee_id": 3, "voter": "A", "status": "pending"}
try:
    with models.atomic():
        models.create("guarantees", {**row, "voter": "rolled back"})
        raise RuntimeError("after all, no")
except RuntimeError:
    pass
models.create("guarantees", {**row, "voter": "raw"}, raw=True)
kept = models.create("guarantees", {**row, "voter": "kept"})
again = broadcast_to_group("election_updates", "guarantee_update", kept, "create", f"guarantees-{kept['id']}-v{kept['version']}")
out["again"] = [bool(again), again.offset]
key = "one-key"
out["first"] = bool(send_to_user(7, "note", 1, key))
out["reused"] = send_to_user(7, "note", 2, key).error
out["group"] = broadcast_to_group("nobodys", "guarantee_update", kept, "create").error
out["shape"] = broadcast_to_group("election_updates", "guarantee_update", {}, "create").error
out["count"] = [get_connection_count(), get_connection_count(2), get_connection_count("nobody")]
out["layer"] = get_channel_layer_safe()["status"]
websocket_utils.KEY = "wrong"
out["key"] = broadcast_to_group("election_updates", "guarantee_update", kept, "create").error
websocket_utils.URL = "http://127.0.0.1:9"
lost = broadcast_to_group("election_updates", "guarantee_update", kept, "create")
out["down"] = [bool(lost), lost.matched, lost.error, get_connection_count(), get_channel_layer_safe()]
out["saved"] = models.update("guarantees", kept["id"], {"status": "confirmed"})["status"]
print(json.dumps(out))
`;

t.test(
  'broadcast_to_group reports instead of raising; what is rolled back or raw is told to nobody; a key publishes once',
  { skip },
  async (t) => {
    const { member, url, tokens } = await start(t);
    const ben = await member(tokens.ben);
    const { stdout, stderr } = await run('python3', ['-c', scenario], {
      env: {
        ...process.env,
        BACKEND: fileURLToPath(new URL('../../examples/election-updates/backend', import.meta.url)),
        PYTHONDONTWRITEBYTECODE: '1',
        ROOMWIRE_URL: url,
        ROOMWIRE_API_KEY: API_KEY,
      },
    });
    t.match(JSON.parse(stdout), {
      again: [true, 1],
      first: true,
      reused: /key/,
      group: /no topic 'nobodys'/,
      shape: /./,
      count: [1, 1, 0],
      layer: 'ok',
      key: /token|key/i,
      down: [false, 0, /refused/, null, null],
      saved: 'confirmed',
    });
    t.match(stderr, /guarantee_update to election_updates was not sent: .*refused/, 'and it is in the log');
    await until(() => ben.told.length === 2);
    t.match(ben.told, [
      ['guarantee_update', 'create', { voter: 'kept' }],
      ['dashboard_update', 'create', { guarantees: 2 }],
    ]);
  },
);

t.test(
  'with --data the rows outlive the program, which ends in order, and so does its backend with it',
  { skip },
  async (t) => {
    const data = t.testdir();
    const first = await start(t, ['--data', data]);
    const row = { committee_id: 3, voter: 'kept', status: 'pending' };
    const { body } = await first.rest('/api/guarantees/', { body: row });
    first.child.kill('SIGTERM');
    t.same(await first.gone, [0, null]);
    while (await fetch(first.backend).then(Boolean, () => false));
    const second = await start(t, ['--data', data]);
    t.match((await second.rest('/api/dashboard/')).body, { guarantees: 1, version: body['version'] });
    const ben = await second.member(second.tokens.ben);
    const path = `/api/guarantees/${String(body['id'])}/`;
    t.match(await second.rest(path, { method: 'PATCH', body: { status: 'confirmed' } }), {
      body: { version: (body['version'] as number) + 1 },
    });
    await until(() => ben.told.length === 2);
    t.match(ben.told, [['guarantee_update', 'update', { voter: 'kept' }], ['dashboard_update']]);
  },
);

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
