/** docs/recipes.md: each recipe runs as printed, against a real server. */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { contractWith, type TopicConfig } from '../../src/cli/default-contract.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { startServer } from '../support/server.js';

const python = spawnSync('python3', ['--version']).status === 0 || process.env['ROOMWIRE_REQUIRE_PYTHON'] === '1';
const text = readFileSync(new URL('../../docs/recipes.md', import.meta.url), 'utf8');

const scenario = `
import io, json, sqlite3, history, unread, progress, push, roomwire
db = sqlite3.connect(":memory:")
db.execute("create table messages (id integer primary key, chat text, sender text, text text)")
db.execute("create table reads (user text, chat text, last integer, primary key (user, chat))")
out = {}
out["sent"] = [history.send(db, "7", who, text)["offset"] for who, text in (("ann", "one"), ("bob", "two"), ("ann", "three"))]
out["older"] = [message["text"] for message in history.before(db, "7", 3)]
out["unread"] = [unread.unread(db, "bob", "7")]
unread.read(db, "bob", "7", 2)
unread.read(db, "bob", "7", 1)  # an older device: it takes nothing back
out["unread"].append(unread.unread(db, "bob", "7"))
target = io.BytesIO()
progress.copy("1", io.BytesIO(bytes(1000)), target, 1000, chunk=3)
percents = [event["data"]["percent"] for event in roomwire.request("GET", "/api/topics/upload:1/events?after=0&limit=500")["events"]]
out["copied"] = [len(target.getvalue()), len(percents), percents[0], percents[-1]]
pushed = []
out["push"] = push.notify("zoe", "hi", lambda *what: pushed.append(what))["matched"]
out["pushed"] = pushed
print(json.dumps(out))
`;

t.test('each recipe does what it says', { skip: python ? false : 'python3 is not here' }, async (t) => {
  const { topics } = JSON.parse(/```json\n([^]*?)```/.exec(text)?.[1] ?? '') as {
    topics: Readonly<Record<string, TopicConfig>>;
  };
  const { http: url } = await startServer(t, { contract: contractWith(topics), plugins: [rooms(), http()] });
  const dir = t.testdir();
  for (const [, code = '', name = ''] of text.matchAll(/```python\n(# (\w+\.py)[^]*?)```/g)) {
    writeFileSync(join(dir, name), code);
  }
  writeFileSync(join(dir, 'scenario.py'), scenario);
  const env = {
    ...process.env,
    ROOMWIRE_URL: url,
    PYTHONPATH: fileURLToPath(new URL('../../clients/python', import.meta.url)),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const { stdout } = await promisify(execFile)('python3', ['scenario.py'], { cwd: dir, env });
  t.same(JSON.parse(stdout), {
    sent: [1, 2, 3],
    older: ['two', 'one'],
    unread: [2, 1],
    copied: [1000, 101, 0, 100],
    push: 0,
    pushed: [['zoe', 'hi']],
  });
});
