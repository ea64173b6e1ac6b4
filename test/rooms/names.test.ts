/** Names that nobody could see, tell apart or put in a URL: refused where a room or a lock gets them, harmless where older ones have them. */
import { connect } from 'node:net';
import { once } from 'node:events';
import t from 'tap';
import { http } from '../../src/http/http.js';
import { Op } from '../../src/protocol/frames.js';
import { rooms } from '../../src/rooms/rooms.js';
import { roomContract } from '../support/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { RLO, UNSEEN } from '../support/unseen.js';

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
