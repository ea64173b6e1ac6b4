/** docs/python.md: what it prints runs against a real server, and everything in it is Python. */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import * as v from 'valibot';
import { http } from '../../src/http/http.js';
import { contract as election } from '../../examples/election-updates/contract.js';
import { contractWith, type TopicConfig } from '../../src/cli/default-contract.js';
import type { ContractTopic } from '../../src/protocol/contract.js';
import { rooms } from '../../src/rooms/rooms.js';
import { startServer } from '../support/server.js';

const python = spawnSync('python3', ['--version']).status === 0 || process.env['ROOMWIRE_REQUIRE_PYTHON'] === '1';
const run = promisify(execFile);
const text = readFileSync(new URL('../../docs/python.md', import.meta.url), 'utf8');
const blocks = [...text.matchAll(/```python\n([^]*?)```/g)].map(([, code = '']) => code);

t.test('every block is valid Python', { skip: python ? false : 'python3 is not here' }, async (t) => {
  const dir = t.testdir();
  t.ok(blocks.length >= 5);
  for (const [i, code] of blocks.entries()) {
    const file = join(dir, `block${i}.py`);
    writeFileSync(file, code);
    t.equal(spawnSync('python3', ['-m', 'py_compile', file]).status, 0, code.slice(0, 40));
  }
});

/** What of Django the snippet needs: receivers that save() calls, and on_commit. */
const django: Record<string, string> = {
  'django/__init__.py': '',
  'django/db/__init__.py': 'from . import transaction',
  'django/db/transaction.py': `
callbacks = []
on_commit = callbacks.append
def commit():
    while callbacks: callbacks.pop(0)()
def rollback(): callbacks.clear()
`,
  'django/db/models/__init__.py': '',
  'django/db/models/signals.py': `
class Signal:
    def __init__(self): self.receivers = []
    def send(self, sender, **kwargs):
        for receiver in self.receivers: receiver(sender, **kwargs)
post_save, post_delete = Signal(), Signal()
`,
  'django/dispatch.py': `
def receiver(signal, sender):
    return lambda function: signal.receivers.append(function) or function
`,
  'elections/__init__.py': '',
  'elections/models.py': `
from django.db.models.signals import post_delete, post_save
class Guarantee:
    def __init__(self, pk, **fields):
        self.pk, self.version, self.committee_id, self.voter, self.status, self.saved = pk, 1, 3, "Vera", "open", False
        self.__dict__.update(fields)
    def save(self):
        created, self.saved = not self.saved, True
        post_save.send(Guarantee, instance=self, created=created)
    def delete(self): post_delete.send(Guarantee, instance=self)
    class objects:
        bulk_create = staticmethod(list)
`,
};

const scenario = `
import json, os, sqlite3, roomwire, append, outbox
from django.db import transaction
from elections import signals
from elections.models import Guarantee
out = {}
out["again"] = [roomwire.broadcast("election_updates", "guarantee_update", {"action": "create"}, key="row-1")["offset"] for _ in (1, 2)]
out["user"] = roomwire.send_to_user("ada", "hello", {})
out["count"] = [roomwire.connection_count(), roomwire.connection_count("ada"), roomwire.kick("ada"), roomwire.subscribe_user("ada", "conversation:1")]
out["all"] = roomwire.publish_all([{"topic": "election_updates", "event": "guarantee_update", "data": 1}, {"topic": "no", "event": "x", "data": 1}])
roomwire.rooms.create("lab", description="a room")
append.append_frames("lab", [1, 2, 3], "a script")
out["frames"] = roomwire.rooms.get("lab")["room"]["frameCount"]
out["locks"] = roomwire.rooms.locks("lab")
held = roomwire.lock("lab", msg="mine").acquire()
try:
    append.append_frames("lab", [4], "another")
except roomwire.LockHeld as error:
    out["refused"] = [error.name, error.code, error.details["msg"]]
held.renew().release()
try:
    with roomwire.lock("lab") as lost:
        roomwire.request("DELETE", "/api/rooms/lab/locks/trajectory%3Ameta?force=true")
        roomwire.rooms.update("lab", {"frameCount": 9}, lock=lost)
except roomwire.LockLost as error:
    out["lost"] = error.name
try:
    roomwire.rooms.get("nowhere")
except roomwire.RoomNotFound as error:
    out["missing"] = error.code

before = roomwire.publish("election_updates", "guarantee_update", {})["offset"]
row = Guarantee(7)
row.save(); transaction.commit()
row.status = "confirmed"; row.save(); transaction.commit()  # an ordinary save(): the version is what it was
row.save(); transaction.rollback()
signals.import_guarantees([Guarantee(8), Guarantee(9, version=4)]); transaction.commit()
row.delete(); transaction.commit()
out["saves"] = [event["data"] for event in roomwire.request("GET", f"/api/topics/election_updates/events?after={before}")["events"]]

db = sqlite3.connect(":memory:")
db.execute("create table outbox (id integer primary key, topic text, event text, data text)")
before = roomwire.publish("election_updates", "guarantee_update", {})["offset"]
for n in (1, 2):
    outbox.put(db, "election_updates", "guarantee_update", {"n": n})
outbox.put(db, "nowhere", "x", {})
db.commit()
roomwire.publish("election_updates", "guarantee_update", {"n": 1}, key="outbox-1")  # and died before the delete
roomwire.configure(os.environ["PROXY_URL"], retries=1)
out["proxy"] = roomwire.broadcast("election_updates", "guarantee_update", {})
out["away"] = [outbox.deliver(db), db.execute("select count(*) from outbox").fetchone()[0]]
roomwire.configure("http://127.0.0.1:1", retries=0)
out["down"] = roomwire.broadcast("election_updates", "guarantee_update", {})
roomwire.configure()
out["unfit"] = roomwire.broadcast("election_updates", "guarantee_update", {1, 2})
out["delivered"] = [outbox.deliver(db), db.execute("select count(*) from outbox").fetchone()[0]]
import hashlib, hmac, time
def signed(age=0, secret="s" * 32):
    at = str(int(time.time()) - age)
    mac = hmac.new(secret.encode(), f"id.{at}.".encode() + b"{}", hashlib.sha256).hexdigest()
    return {"Roomwire-Id": "id", "Roomwire-Timestamp": at, "Roomwire-Signature": "v1=" + mac}
os.environ["ROOMWIRE_HOOKS_SECRET"] = "s" * 32
out["genuine"] = [
    roomwire.is_genuine(signed(), b"{}"),
    roomwire.is_genuine(signed(secret="t" * 32), b"{}", "t" * 32),
    *(roomwire.is_genuine(headers, body) for headers, body in (
        (signed(), b"[]"), (signed(secret="t" * 32), b"{}"), (signed(age=600), b"{}"), (signed(age=-600), b"{}"), ({}, b""),
        ({**signed(), "Roomwire-Signature": "v1=\u00e9"}, b"{}"), ({**signed(), "Roomwire-Timestamp": "\u0661"}, b"{}"),
    )),
]
out["new"] = roomwire.publish("election_updates", "guarantee_update", {})["offset"] - before
print(json.dumps(out))
`;

t.test(
  'the module publishes, reports instead of raising, counts, and appends under a lock; each save() is an event of its own',
  { skip: python ? false : 'python3 is not here' },
  async (t) => {
    const config = /```json\n([^]*?)```/.exec(text)?.[1] ?? '';
    const { topics } = JSON.parse(config) as { topics: Readonly<Record<string, TopicConfig>> };
    const { http: url, log } = await startServer(t, {
      contract: contractWith(topics),
      plugins: [rooms(), http()],
    });
    const dir = t.testdir();
    const write = (name: string, code: string): void => {
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      writeFileSync(join(dir, name), code);
    };
    for (const [name, code] of Object.entries(django)) write(name, code);
    for (const code of blocks) {
      const name = /^# ([\w/]+\.py)/.exec(code)?.[1];
      if (name !== undefined) write(name, code);
    }
    writeFileSync(join(dir, 'scenario.py'), scenario);
    // A proxy whose server is away.
    const proxy = createServer((_, answer) => answer.writeHead(502).end('<h1>Bad Gateway</h1>')).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    t.teardown(() => proxy.close());
    const env = {
      ...process.env,
      ROOMWIRE_URL: url,
      PROXY_URL: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
      PYTHONPATH: fileURLToPath(new URL('../../clients/python', import.meta.url)),
      PYTHONDONTWRITEBYTECODE: '1',
    };
    const first = await run('python3', ['first.py'], { cwd: dir, env });
    // As the comments beside the prints say.
    const printed = [
      ...(blocks.find((code) => code.startsWith('# first.py')) ?? '').matchAll(/print\(.*\) {2}# ([^:\n]*)/g),
    ];
    t.same(
      first.stdout.trim().split('\n'),
      printed.map(([, line = '']) => line),
    );
    const { stdout } = await run('python3', ['scenario.py'], { cwd: dir, env });
    const out = JSON.parse(stdout) as Record<string, unknown>;
    const row = { id: 7, version: 1, committee_id: 3, voter: 'Vera', status: 'open' };
    const saves = [
      { action: 'create', data: row },
      { action: 'update', data: { ...row, status: 'confirmed' } },
      { action: 'create', data: { count: 2, committee_ids: [3], version: 4 } },
      { action: 'delete', data: { ...row, status: 'confirmed' } },
    ];
    t.match(out, {
      again: [3, 3],
      user: { ok: true, matched: 0 },
      count: [0, 0, 0, []],
      all: [{ offset: 4 }, { error: { name: 'unknown_topic' } }],
      frames: 3,
      locks: [],
      refused: ['lock_held', 205, 'mine'],
      lost: 'lock_lost',
      missing: 120,
      proxy: { ok: false, matched: 0, error: 'POST /api/publish: 502, and not from roomwire' },
      away: [false, 3],
      down: { ok: false, matched: 0, error: /cannot be reached/ },
      unfit: { ok: false, error: /not JSON serializable/ },
      delivered: [true, 0],
      genuine: [true, true, false, false, false, false, false, false, false],
      // The outbox's two, each once, and this.
      new: 3,
    });
    t.same(out['saves'], saves);
    const { events } = election.topics.find(({ pattern }) => pattern === 'election_updates') as ContractTopic;
    const { schema } = events['guarantee_update'] as ContractTopic['events'][string];
    for (const data of saves) t.ok(v.is(schema, data), 'as the contract of the example has it');
    t.same(log.errors, []);
  },
);
