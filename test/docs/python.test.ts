/** docs/python.md: its client runs against a real server, and everything in it is Python. */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import * as v from 'valibot';
import { http } from '../../src/http/http.js';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
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

const scenario = `
import json, os, sqlite3, roomwire, append, outbox
out = {}
out["nobody"] = roomwire.broadcast("election_updates", "guarantee_update", {"action": "create"}, key="row-1-v1")
out["again"] = roomwire.broadcast("election_updates", "guarantee_update", {"action": "create"}, key="row-1-v1")
out["unknown"] = roomwire.broadcast("nowhere", "x", 1)
out["user"] = roomwire.send_to_user("ada", "hello", {})
out["count"] = [roomwire.connection_count(), roomwire.connection_count("ada")]
roomwire.request("POST", "/api/rooms/lab", {})
append.append_frames("lab", [1, 2, 3], "a script")
out["frames"] = roomwire.request("GET", "/api/rooms/lab")["room"]["frameCount"]
out["locks"] = roomwire.request("GET", "/api/rooms/lab/locks")["locks"]
roomwire.request("POST", "/api/rooms/lab/locks/trajectory:meta", {"msg": "mine"})
try:
    append.append_frames("lab", [4], "another")
except roomwire.RoomwireError as error:
    out["refused"] = [error.name, error.status, error.details["msg"]]
db = sqlite3.connect(":memory:")
db.execute("create table outbox (id integer primary key, topic text, event text, data text)")
for n in (1, 2):
    outbox.put(db, "election_updates", "guarantee_update", {"n": n})
outbox.put(db, "nowhere", "x", {})
db.commit()
roomwire.publish("election_updates", "guarantee_update", {"n": 1}, key="outbox-1")  # and died before the delete
here, roomwire.URL = roomwire.URL, os.environ["PROXY_URL"]
out["proxy"] = roomwire.broadcast("election_updates", "guarantee_update", {})
out["away"] = [outbox.deliver(db), db.execute("select count(*) from outbox").fetchone()[0]]
roomwire.URL = here
out["unfit"] = roomwire.broadcast("election_updates", "guarantee_update", {1, 2})
out["delivered"] = [outbox.deliver(db), db.execute("select count(*) from outbox").fetchone()[0]]
out["head"] = roomwire.publish("election_updates", "guarantee_update", {})["offset"]
print(json.dumps(out))
`;

t.test(
  'the client publishes, reports instead of raising, counts, and appends under a lock',
  { skip: python ? false : 'python3 is not here' },
  async (t) => {
    const contract = defineContract({
      use: [roomsContract()],
      topics: {
        'user:{id}': { subscribe: 'own', events: { '*': v.unknown() } },
        election_updates: { events: { guarantee_update: v.unknown() } },
      },
    });
    const { http: url } = await startServer(t, { contract, plugins: [rooms(), http()] });
    const dir = t.testdir();
    for (const code of blocks) {
      const name = /^# (\w+\.py)/.exec(code)?.[1];
      if (name !== undefined) writeFileSync(join(dir, name), code);
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
    };
    const { stdout } = await run('python3', ['scenario.py'], { cwd: dir, env });
    const out = JSON.parse(stdout) as Record<string, unknown>;
    t.match(out, {
      nobody: { ok: true, matched: 0, offset: 1 },
      again: { ok: true, offset: 1 },
      unknown: { ok: false, matched: 0, error: /no topic 'nowhere'/ },
      user: { ok: true, matched: 0 },
      count: [0, 0],
      frames: 3,
      locks: [],
      refused: ['lock_held', 423, 'mine'],
      proxy: { ok: false, matched: 0, error: 'POST /api/publish: 502' },
      away: [false, 3],
      unfit: { ok: false, error: /not JSON serializable/ },
      delivered: [true, 0],
      // One of before, the outbox's two, each once, and this.
      head: 4,
    });
  },
);
