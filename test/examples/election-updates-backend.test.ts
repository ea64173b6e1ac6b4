/** The Python backend of examples/election-updates: what it tells after which change, what it refuses, and what it keeps. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import type { Dashboard } from '../../examples/election-updates/contract.js';
import { token as anyToken } from '../support/jwt.js';
import { tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';
import { ADA, API_KEY, isServed, MALLORY, skip, start } from './election-updates.js';

const HEALTH = '/api/utils/websocket/health/';
const run = promisify(execFile);

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
      // A config names events; what is in them only a contract checks.
      shape: isServed ? null : /./,
      count: [1, 1, 0],
      layer: 'ok',
      key: /token|key/i,
      down: [false, 0, /refused/, null, null],
      saved: 'confirmed',
    });
    t.match(stderr, /guarantee_update to election_updates was not sent: .*refused/, 'and it is in the log');
    const wanted = [
      ['guarantee_update', 'create', { voter: 'kept' }],
      ['dashboard_update', 'create', { guarantees: 2 }],
      // Of another shape.
      ...(isServed ? [['guarantee_update', 'create', {}]] : []),
    ];
    await until(() => ben.told.length === wanted.length);
    t.match(ben.told, wanted);
  },
);

t.test(
  'with --data the rows outlive the program, which ends in order, and so does its backend with it',
  { skip },
  async (t) => {
    const data = t.testdir();
    const first = await start(t, data);
    const row = { committee_id: 3, voter: 'kept', status: 'pending' };
    const { body } = await first.rest('/api/guarantees/', { body: row });
    await first.stop();
    t.same(await first.gone, [0, null]);
    while (await fetch(first.backend).then(Boolean, () => false));
    const second = await start(t, data);
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
