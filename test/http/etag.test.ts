/** The ETag of a room stands for the whole answer, and conditions read tags as RFC 9110 writes them. */
import fc from 'fast-check';
import t from 'tap';
import { http } from '../../src/http/http.js';
import { isIn, tagsIn, versionsIn } from '../../src/http/etag.js';
import { rooms } from '../../src/rooms/rooms.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';

async function start(t: Test) {
  const s = await startServer(t, { contract: roomContract, plugins: [rooms(), http()] as const });
  const ask = async (method: string, headers: Record<string, string> = {}, body?: object) => {
    const response = await fetch(`${s.http}/api/rooms/r`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, etag: response.headers.get('etag') ?? '', text: await response.text() };
  };
  return { ...s, ask, api: s.server.plugins.rooms };
}

t.test('whatever changes the answer changes its ETag, and nothing else does', async (t) => {
  const { ask, client, server, api } = await start(t);
  await api.create('r');
  const ann = await client();
  const lock: { token?: number } = {};
  const changes: Record<string, () => unknown> = {
    'a member joins': () => ann.call('join:room', { roomId: 'r' }),
    'another joins': async () => (await client()).call('join:room', { roomId: 'r' }),
    'a lock is taken': async () => {
      lock.token = (await ann.call<{ token: number }>('lock:acquire', { roomId: 'r', target: 'x', ttl: 5_000 })).token;
    },
    'its lease is renewed, which nobody is told': () =>
      ann.call('lock:refresh', { roomId: 'r', target: 'x', token: lock.token, ttl: 50_000 }),
    'its message changes': () => ann.call('lock:msg', { roomId: 'r', target: 'x', token: lock.token, msg: 'hi' }),
    'it is released': () => ann.call('lock:release', { roomId: 'r', target: 'x', token: lock.token }),
    'there is a presenter': () => ann.call('presenter:take', { roomId: 'r' }),
    'an event is published': () => server.publish('room:r', 'chat:message:new', { text: 'hi' }),
    'the metadata change': () => api.update('r', { description: 'new' }),
    'all leave': () => Promise.all(server.sessionsOf(ann.welcome.user.id).map((session) => server.kick(session))),
  };
  let before = await ask('GET');
  const seen = new Set([before.etag]);
  for (const [what, change] of Object.entries(changes)) {
    await change();
    const after = await ask('GET', { 'if-none-match': [...seen].join(', ') });
    t.equal(after.status, 200, what);
    t.not(after.text, before.text, what);
    t.not(seen.has(after.etag), what);
    seen.add(after.etag);
    before = after;
    t.match(await ask('GET', { 'if-none-match': after.etag }), { status: 304, etag: after.etag, text: '' });
    t.match(await ask('HEAD', { 'if-none-match': after.etag }), { status: 304, etag: after.etag });
  }
  t.equal(seen.size, Object.keys(changes).length + 1);
});

t.test('the ETag of a write is good for the next write, and for reading what it left', async (t) => {
  const { ask } = await start(t);
  const created = await ask('POST');
  t.equal((await ask('GET', { 'if-none-match': created.etag })).status, 304);
  const patched = await ask('PATCH', { 'if-match': created.etag }, { frameCount: 1 });
  t.equal((await ask('GET', { 'if-none-match': created.etag })).status, 200);
  t.equal((await ask('GET', { 'if-none-match': patched.etag })).status, 304);
});

t.test('If-None-Match and If-Match take one tag, weak ones, lists and *', async (t) => {
  const { ask, client, api } = await start(t);
  await api.create('r');
  await (await client()).call('join:room', { roomId: 'r' });
  const { etag } = await ask('GET');
  const version = `"${(await api.get('r'))?.version}"`;
  const matching = [
    etag,
    `W/${etag}`,
    '*',
    ' * ',
    `"other", ${etag}`,
    `${etag},"other"`,
    `"x",W/${etag} , W/"y"`,
    `,${etag},`,
  ];
  for (const tags of matching) {
    t.match(await ask('GET', { 'if-none-match': tags }), { status: 304, etag }, `If-None-Match: ${tags}`);
    t.equal((await ask('PATCH', { 'if-match': tags }, {})).status, 200, `If-Match: ${tags}`);
  }
  for (const tags of [version, `W/${version}`, `"1", ${version}`]) {
    t.equal((await ask('PATCH', { 'if-match': tags }, {})).status, 200, `If-Match: ${tags}, the version alone`);
    t.equal((await ask('GET', { 'if-none-match': tags })).status, 200, 'which is not the whole answer');
  }
  for (const tags of ['"1"', 'W/"1"', '"1", "2"', '"a,b"', '""', `"${'9'.repeat(30)}"`, `"x${version.slice(1)}`]) {
    t.equal((await ask('GET', { 'if-none-match': tags })).status, 200, `If-None-Match: ${tags}`);
    t.equal((await ask('PATCH', { 'if-match': tags }, {})).status, 412, `If-Match: ${tags}`);
    t.equal((await ask('DELETE', { 'if-match': tags })).status, 412, `If-Match: ${tags}`);
  }
  for (const tags of ['x', '17', "'17'", '"17', 'w/"17"', '"1" "2"', '*, "1"', '"1", *']) {
    t.equal((await ask('PATCH', { 'if-match': tags }, {})).status, 400, `If-Match: ${tags}`);
    t.equal((await ask('GET', { 'if-none-match': tags })).status, 200, `If-None-Match: ${tags}`);
  }
});

t.test('any list of tags is read as it was written', async (t) => {
  const tag = fc.stringMatching(/^[!#-~]{0,12}$/);
  const lists = fc.array(fc.tuple(tag, fc.boolean(), fc.constantFrom(',', ', ', ' ,', ',,')), { minLength: 1 });
  fc.assert(
    fc.property(lists, fc.nat(), (items, version) => {
      const text = items.map(([value, weak, gap]) => `${weak ? 'W/' : ''}"${value}"${gap}`).join('');
      const tags = tagsIn(text);
      t.strictSame(
        tags,
        items.map(([value]) => value),
      );
      t.ok(items.every(([value]) => isIn(tags, `"${value}"`)));
      t.strictSame(versionsIn([...tags, `${version}`, `${version}-abc`])?.slice(-2), [version, version]);
    }),
  );
});
