/** docs/recipes.md: each recipe runs as printed, against a real server. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { contractWith, type TopicConfig } from '../../src/cli/default-contract.js';
import { connect, type Client } from '../../src/client/node.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { eventually } from '../support/browser.js';
import { startServer } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

const python = spawnSync('python3', ['--version']).status === 0 || process.env['ROOMWIRE_REQUIRE_PYTHON'] === '1';
const text = readFileSync(new URL('../../docs/recipes.md', import.meta.url), 'utf8');
const API_KEY = 'the-key-of-the-recipes';

/** What of Yjs the recipe needs: updates are bytes, and merge in any order, however often. */
const yjs = `
export class Doc {
  texts = new Set();
  listeners = [];
  on(name, listener) { this.listeners.push(listener); }
  add(text, origin) {
    if (this.texts.has(text)) return;
    this.texts.add(text);
    for (const listener of this.listeners) listener(new TextEncoder().encode(text), origin);
  }
}
export const applyUpdate = (doc, update, origin) => doc.add(new TextDecoder().decode(update), origin);
`;
interface Doc {
  readonly texts: ReadonlySet<string>;
  add(text: string): void;
}
interface Recipes {
  watchTyping(client: Client, chat: string, show: (names: string[]) => void): () => void;
  openDocument(client: Client, id: string, load: () => Promise<Uint8Array[]>): Promise<Doc>;
}

const scenario = `
import base64, io, json, sqlite3, documents, history, unread, progress, push, roomwire
db = sqlite3.connect(":memory:")
db.execute("create table messages (id integer primary key, chat text, sender text, text text)")
db.execute("create table reads (user text, chat text, last integer, primary key (user, chat))")
db.execute('create table updates (doc text, epoch text, "offset" integer, data blob)')
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
out["pushed"] = list(pushed)
push.notify_all(["ann", "bob", "zoe", "nobody"], "chat:7", "message", "all", lambda user, data: pushed.append(user))
out["missed"] = pushed[1:]
push.notify_all(["ann"], "chats:7", "message", "refused", lambda user, data: pushed.append(user))
out["refused"] = pushed[3:]
db.execute('insert into updates values (?, ?, ?, ?)', ("7", "an epoch of before", 900, b"of before"))
out["updates"] = [base64.b64encode(data).decode() for data in documents.load(db, "7")]
out["again"] = len(documents.load(db, "7"))
print(json.dumps(out))
`;

t.test('each recipe does what it says', { skip: python ? false : 'python3 is not here' }, async (t) => {
  const { topics } = JSON.parse(/```json\n([^]*?)```/.exec(text)?.[1] ?? '') as {
    topics: Readonly<Record<string, TopicConfig>>;
  };
  const { http: url } = await startServer(t, {
    contract: contractWith(topics),
    plugins: [rooms(), http()],
    auth: { secret: SECRET, apiKeys: [API_KEY] },
  });
  const dir = t.testdir();
  for (const [, code = '', name = ''] of text.matchAll(/```(?:python|js)\n((?:#|\/\/) (\w+\.(?:py|js))[^]*?)```/g)) {
    writeFileSync(join(dir, name), code);
  }
  mkdirSync(join(dir, 'node_modules/yjs'), { recursive: true });
  writeFileSync(join(dir, 'node_modules/yjs/package.json'), '{ "type": "module", "exports": "./yjs.js" }');
  writeFileSync(join(dir, 'node_modules/yjs/yjs.js'), yjs);
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(dir, 'scenario.py'), scenario);
  const recipe = (name: string) => import(pathToFileURL(join(dir, name)).href) as Promise<Recipes>;
  const [{ watchTyping }, { openDocument }] = await Promise.all([recipe('typing.js'), recipe('document.js')]);

  const user = async (id: string, name: string): Promise<Client> => {
    const client = connect(url.replace('http', 'ws'), { token: await tokenFor(id, { name }) });
    t.teardown(() => client.close());
    await until(() => client.state.get().status === 'live');
    return client;
  };
  const [ann, bob, eve] = [await user('ann', 'Ann'), await user('bob', 'Bob'), await user('eve', 'Eve')];
  const shown: Record<string, string[][]> = { ann: [], bob: [], eve: [] };
  watchTyping(bob, '7', (names) => void shown['bob']?.push(names));
  const type = watchTyping(ann, '7', (names) => void shown['ann']?.push(names));
  await Promise.all([ann, bob].map((client) => client.subscribe('chat:7').ready));
  await eventually(() => {
    type();
    return shown['bob']?.length !== 0;
  });

  const none = async (): Promise<Uint8Array[]> => [];
  const docs = [await openDocument(ann, '7', none), await openDocument(bob, '7', none)];
  for (const [i, doc] of docs.entries()) for (const word of ['one', 'two']) doc.add(`${word} of ${i}`);
  const words = ['one of 0', 'one of 1', 'two of 0', 'two of 1'];
  await until(() => docs.every(({ texts }) => texts.size === words.length));

  const env = {
    ...process.env,
    ROOMWIRE_URL: url,
    ROOMWIRE_API_KEY: API_KEY,
    PYTHONPATH: fileURLToPath(new URL('../../clients/python', import.meta.url)),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const { stdout } = await promisify(execFile)('python3', ['scenario.py'], { cwd: dir, env });
  const { updates, ...out } = JSON.parse(stdout) as { updates: string[] };
  t.same(out, {
    sent: [1, 2, 3],
    older: ['two', 'one'],
    unread: [2, 1],
    copied: [1000, 101, 0, 100],
    push: 0,
    pushed: [['zoe', 'hi']],
    missed: ['zoe', 'nobody'],
    refused: ['ann'],
    again: 5,
  });
  const kept = updates.map((update) => Buffer.from(update, 'base64'));
  const late = await openDocument(eve, '7', async () => kept);
  t.same([...late.texts].sort(), ['of before', ...words]);
  docs[0]?.add('later');
  await until(() => late.texts.has('later'));

  const past = Object.assign(Object.create(null) as Client, {
    subscribe: (topic: string) => eve.subscribe(topic),
    state: eve.state,
    now: () => eve.now() + 60_000,
  });
  watchTyping(past, '7', (names) => void shown['eve']?.push(names));
  await until(() => shown['bob']?.at(-1)?.length === 0);
  t.same(shown['bob']?.[0], ['Ann']);
  t.same([shown['ann'], shown['eve']], [[], []], 'not of oneself, and not of before');
});
