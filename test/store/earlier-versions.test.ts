/**
 * Data directories that released versions wrote open in this one, with all that was in them. `data/0.1.0.mdb.gz` was left by
 * a server of 0.1.0 that was closed in order: three rooms, two members of one, a lock, a presenter, documents.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { lmdbStore } from '../../src/store/lmdb.js';
import { startRooms } from '../support/rooms.js';

/** What its counter had come to. */
const TOKEN_OF_THEN = 10 ** 15;

t.test('a data directory of 0.1.0 opens, with its rooms, members and documents, and is written on', async (t) => {
  const path = `${t.testdir()}/store`;
  mkdirSync(path);
  writeFileSync(`${path}/data.mdb`, gunzipSync(readFileSync(new URL('./data/0.1.0.mdb.gz', import.meta.url))));
  const started = await startRooms(t, { store: lmdbStore({ path }), rooms: { memberTtl: 1e12 } });
  const { rooms } = started.server.plugins;

  const listed = await rooms.list({ hidden: true });
  t.same(listed.rooms.map(({ id }) => id).sort(), ['hidden', 'public', 'sealed']);
  t.match(await rooms.list({ hidden: true, group: 'staff' }), {
    rooms: [{ id: 'hidden', group: 'staff', hidden: true }],
  });
  t.match(await rooms.get('sealed'), { locked: true, colour: 'red' });
  const { metadata, members, holders } = await rooms.snapshot('public');
  t.match(metadata, { description: 'The first – ä, 日本, 😀', frameCount: 70_000, colour: 'blue', isDefault: true });
  t.equal(await rooms.defaultRoom(), 'public');
  t.match(members, [{ name: 'tern-460' }, { name: 'heron-905' }]);
  t.equal(holders.host?.userId, members[0]?.userId);
  t.ok(metadata.version > TOKEN_OF_THEN);

  const docs = await rooms.read('public', (room) => room.docs.list('frames', { limit: 9 }));
  t.same(docs, [
    ['0', {
      ...{ x: 0.1, negative: -40_000, big: 2 ** 40 + 1, bytes: Uint8Array.of(1, 2, 3), none: null },
      list: Array.from({ length: 20 }, (_, i) => i * 1000),
      map: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`key ${i}`, i % 2 === 0])),
    }],
    ['1', 'a long text, '.repeat(40)],
  ]); // prettier-ignore
  t.same(await started.server.transact((tx) => tx.get('own', 'k')), { a: [1, 'two', { three: 3.5 }] });

  const client = await started.client();
  await client.call('join:room', { roomId: 'public' });
  const lease = await client.call<{ token: number }>('lock:acquire', { roomId: 'public', target: 'x' });
  t.ok(lease.token > metadata.version, 'fencing tokens go on growing');
  t.match(await rooms.update('public', { colour: 'green' }), { colour: 'green', version: Number });
  t.equal((await rooms.members('public')).memberCount, 3);
});
