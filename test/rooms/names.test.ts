/** Names that nobody could see, tell apart or put in a URL: refused where a room or a lock gets them, harmless where older ones have them. */
import { connect } from 'node:net';
import { once } from 'node:events';
import fc from 'fast-check';
import t from 'tap';
import { escaped } from '../../src/cli/print.js';
import { http } from '../../src/http/http.js';
import { isolated } from '../../src/http/page/isolated.js';
import { Op } from '../../src/protocol/frames.js';
import { rooms } from '../../src/rooms/rooms.js';
import { says, skipBrowser } from '../support/browser.js';
import { startCli } from '../support/cli.js';
import { startPage } from '../support/page.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

/** Right-to-left override: what follows is shown backwards. */
const RLO = '\u202e';
const UNSEEN = [
  ...[
    '\u061c',
    '\u200e',
    '\u200f',
    '\u202a',
    '\u202b',
    '\u202c',
    '\u202d',
    RLO,
    '\u2066',
    '\u2067',
    '\u2068',
    '\u2069',
  ],
  ...[
    '\u200b',
    '\u200c',
    '\u200d',
    '\u2060',
    '\u2064',
    '\ufeff',
    '\u00ad',
    '\u180e',
    '\u034f',
    '\u115f',
    '\u3164',
    '\ufe0f',
  ],
  ...['\u{e0041}', '\u0085', '\u009b', '\u0000', '\u001b', '\u007f'],
];
const WELL = [
  'demo',
  'é',
  'e\u0301',
  '中文',
  'שלום',
  'مرحبا',
  '😀',
  'a.b',
  '...',
  '.a',
  '..a',
  'a..',
  '-',
  '_',
  "a'b",
  'a\\b',
  '%'.replace('%', '$'),
];

function start(t: Test, options = {}) {
  return startServer(t, { contract: roomContract, plugins: [rooms(), http()] as const, ...options });
}

t.test(
  'no room is made under a name with characters that nobody sees, nor under . and .., by any way in',
  async (t) => {
    const s = await start(t);
    const { rooms: api } = s.server.plugins;
    const client = await s.client();
    const [session] = s.server.sessionsOf(client.welcome.user.id);
    if (session === undefined) throw new Error('no session');
    const refused = { name: 'invalid_data', message: /^roomId: / };
    for (const roomId of [...UNSEEN.map((character) => `a${character}b`), ...UNSEEN, '.', '..']) {
      const shown = JSON.stringify(roomId);
      await t.rejects(api.create(roomId), refused, `program: ${shown}`);
      const within = s.server.transact((tx) => api.within(tx).join(session, roomId, { create: true }));
      await t.rejects(within, refused, `within: ${shown}`);
      await t.rejects(client.call('join:room', { roomId, create: true }), { code: 105 }, `socket: ${shown}`);
      if (/^\.\.?$/.test(roomId)) continue;
      const made = await fetch(`${s.http}/api/rooms/${encodeURIComponent(roomId)}`, { method: 'POST' });
      t.equal(made.status, 422, `REST: ${shown}`);
      await made.text();
    }
    for (const path of ['/api/rooms/..', '/api/rooms/.', '/api/rooms/%2e%2e', '/api/rooms/%2E']) {
      t.match(await raw(s.port, 'POST', path), /^HTTP\/1\.1 4\d\d /, path);
    }
    for (const roomId of WELL) {
      const made = await fetch(`${s.http}/api/rooms/${encodeURIComponent(roomId)}`, { method: 'POST' });
      t.equal(made.status, 201, roomId);
      await made.text();
      t.match(await client.call('join:room', { roomId }), { roomId });
    }
    t.same((await api.list({ limit: 1_000 })).rooms.length, WELL.length);
  },
);

/** As it is: a URL of a client would take the steps first. */
async function raw(port: number, method: string, path: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(
    `${method} ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  );
  let answer = '';
  socket.on('data', (chunk) => (answer += String(chunk)));
  await once(socket, 'close');
  return answer;
}

t.test('no lock is taken on such a target, and no user is let in whose id is a step', async (t) => {
  const s = await start(t, { auth: { secret: SECRET } });
  const client = await s.client({ token: await tokenFor('ann') });
  await client.call('join:room', { roomId: 'demo', create: true });
  for (const target of [...UNSEEN.map((character) => `a${character}b`), '.', '..']) {
    await t.rejects(client.call('lock:acquire', { roomId: 'demo', target }), { code: 105 }, JSON.stringify(target));
  }
  for (const target of ['trajectory:meta', 'a/b', 'a b', 'frames:1..2', 'שלום']) {
    t.match(await client.call('lock:acquire', { roomId: 'demo', target }), { target });
  }
  for (const sub of ['.', '..']) {
    const other = s.connect();
    await other.open();
    other.send([Op.HELLO, 1, { instance: 'test', token: await tokenFor(sub) }]);
    t.match(await other.closed, { code: 4100, reason: /user\.id/ }, 'DELETE /api/rooms/demo/members/.. is the room');
  }
});

t.test('a room of before, whose name new ones may not have, is joined, read and deleted as ever', async (t) => {
  const s = await start(t);
  const { rooms: api } = s.server.plugins;
  const roomId = `abc${RLO}`;
  await api.create('demo');
  await s.server.transact((tx) => {
    const record = tx.get<{ metadata: object }>('rooms', 'demo');
    tx.set('rooms', roomId, { ...record, metadata: { ...record?.metadata, id: roomId } });
  });
  const client = await s.client();
  t.match(await client.call('join:room', { roomId, create: true }), { created: false });
  const path = `${s.http}/api/rooms/${encodeURIComponent(roomId)}`;
  t.equal((await fetch(path)).status, 200);
  t.equal((await fetch(path, { method: 'DELETE' })).status, 204);
});

t.test(
  'what roomwire topic, why, publish and tail print cannot turn a line around or drive the terminal',
  async (t) => {
    const s = await start(t);
    const evil = `x${RLO}gnp.exe\u001b[2J\u009b2J\u200b`;
    const client = await s.client();
    await client.call('join:room', { roomId: 'demo', create: true });
    const run = async (...args: string[]) => {
      const child = startCli(t, [...args, '--url', s.http]);
      let [out, err] = ['', ''];
      child.stdout?.on('data', (chunk) => (out += String(chunk)));
      child.stderr?.on('data', (chunk) => (err += String(chunk)));
      await once(child, 'close');
      return { out, err };
    };
    const clean = (text: string): boolean => !/[^\n\P{Cc}]|\p{Cf}/u.test(text);
    const tailed = run('tail', 'room:demo', '--count', '1');
    await client.event('room:demo', 'member:joined');
    const published = await run('publish', 'room:demo', 'frame_update', '{"frame":1}', '--key', 'k');
    await client.publish('room:demo', 'chat:message:new', { text: evil });
    const answers = {
      tail: await tailed,
      publish: published,
      why: await run('why', 'room:demo', '1', evil),
      topic: await run('topic', `room:${evil}`),
      'topic --json': await run('topic', `room:${evil}`, '--json'),
      'a refusal': await run('publish', `no:${evil}`, 'event', '1'),
    };
    for (const [name, { out, err }] of Object.entries(answers)) {
      t.ok(clean(out) && clean(err), `${name}: ${JSON.stringify(out + err).slice(0, 200)}`);
    }
    t.match(answers.why.out, /x\\u202egnp\.exe\\u001b\[2J\\u009b2J\\u200b/);
    t.match(answers['topic --json'].out, /"topic":"room:x\\u202e/);
    t.match(JSON.parse(answers['topic --json'].out), { topic: `room:${evil}` }, 'JSON stays the same JSON');
  },
);

t.test('escaped JSON is the same JSON, whatever is in it', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const json = JSON.stringify(text);
      return JSON.parse(escaped(json)) === text && !/[\p{Cc}\p{Cf}]/u.test(escaped(json));
    }),
  );
});

t.test('a name in a sentence cannot leave its isolate', async () => {
  const part = fc.constantFrom(...UNSEEN, 'a', 'ש', ' ');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const within = isolated(parts.join('')).replace(/^\u2068(.*)\u2069$/su, '$1');
      return !/[\u202a-\u202e\u2066-\u2069]/.test(within);
    }),
  );
});

t.test('the page isolates the names of others, alone and in sentences', { skip: skipBrowser }, async (t) => {
  const s = await startPage(t, { auth: { secret: SECRET } });
  const name = `Ann ${RLO}txt.exe`;
  const ann = await s.client({ token: await tokenFor('ann', { name }) });
  await ann.call('join:room', { roomId: 'demo', create: true });
  const { page, problems } = await s.openTab(`${s.http}/`);
  await page.fill('#token', await tokenFor('bob'));
  await page.press('#token', 'Enter');
  await says(page, '#connection', 'live');
  await page.click('[data-room=demo] a');
  await ann.call('lock:acquire', { roomId: 'demo', msg: `busy ${RLO}` });
  await says(page, '#lock-state', /holds it/);
  const sentence = await page.innerText('#lock-state');
  t.match(sentence, 'Ann \\u202etxt.exe');
  t.notMatch(sentence, RLO);
  const bare = await page.evaluate((override) => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found: string[] = [];
    let seen = 0;
    while (walker.nextNode()) {
      const { parentElement: element, textContent: text } = walker.currentNode;
      if (element === null || text?.includes(override) !== true) continue;
      seen++;
      if (getComputedStyle(element).unicodeBidi !== 'isolate') found.push(element.outerHTML);
    }
    return { found, seen };
  }, RLO);
  t.same(bare.found, []);
  t.ok(bare.seen > 0, 'a name alone in its element is shown as it is');
  t.same(problems, []);
});
