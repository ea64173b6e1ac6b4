/** The list of rooms: no hole between the fetch and the events, and nothing ever gets older. */
import t from 'tap';
import type { Test } from 'tap';
import { Op, type Position } from '../../src/protocol/frames.js';
import type { RoomMetadata } from '../../src/protocol/rooms-contract.js';
import type { Client } from '../../src/client/types.js';
import { client, fakeServer, settled, until, welcome, type FakeServer, type Peer } from './fake-server.js';
import { metadata } from './room-replies.js';

const TOPIC = 'overview:public';

interface Get {
  readonly url: URL;
  readonly authorization: string | undefined;
  reply(rooms: readonly RoomMetadata[], at: Position, next?: string | null): void;
  fail(status: number): void;
}

interface Scene {
  readonly server: FakeServer;
  readonly roomwire: Client;
  readonly peer: Peer;
  get(): Promise<Get>;
}

async function scene(t: Test, token?: string): Promise<Scene> {
  const server = await fakeServer(t);
  const gets: Get[] = [];
  const waiting = new Set<() => void>();
  server.onRequest = (request, response) => {
    const url = new URL(request.url ?? '/', server.url);
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    gets.push({
      url,
      authorization: request.headers.authorization,
      reply: (rooms, at, next = null) =>
        answer(200, { rooms, next, positions: { [`overview:${url.searchParams.get('group') ?? 'public'}`]: at } }),
      fail: (status) => answer(status, {}),
    });
    for (const run of waiting) run();
  };
  const roomwire = client(t, server, { token });
  const get = async (): Promise<Get> => {
    while (gets.length === 0) await new Promise<void>((resolve) => waiting.add(resolve));
    return gets.shift() as Get;
  };
  return { server, roomwire, get, peer: await server.peer() };
}

async function letIn(peer: Peer, offset: number, { topic = TOPIC, epoch = 'e' } = {}): Promise<void> {
  const { id } = await peer.call('join:overview');
  const reply = { status: 'joined', room: topic, positions: { [topic]: [epoch, offset] } };
  peer.send([Op.SUBSCRIBED, topic, epoch, offset, false], [Op.ACK, id, reply]);
}

const update = (roomId: string, version: number, parts: object = {}): unknown[] => [
  'room:update',
  { roomId, version, ...parts },
  null,
];
const remove = (roomId: string, version: number): unknown[] => ['room:delete', { roomId, version }, null];

function versions(roomwire: Client): Record<string, number> {
  return Object.fromEntries(roomwire.rooms.list().map(({ id, version }) => [id, version]));
}

async function watched(t: Test, rooms: readonly RoomMetadata[]): Promise<Scene> {
  const parts = await scene(t);
  const watching = parts.roomwire.rooms.watch();
  await letIn(parts.peer, 0);
  (await parts.get()).reply(rooms, ['e', 0]);
  await watching;
  return parts;
}

t.test('all pages are fetched with the token, after the overview was joined', async (t) => {
  const { roomwire, peer, get } = await scene(t, 'secret');
  const watching = roomwire.rooms.watch();
  t.match(roomwire.rooms.status.get(), { watching: false, loading: true });
  await letIn(peer, 3);
  const first = await get();
  t.equal(first.url.pathname, '/api/rooms');
  t.equal(first.authorization, 'Bearer secret');
  first.reply([metadata('a', 1), metadata('b', 2)], ['e', 3], 'after b');
  const second = await get();
  t.equal(second.url.searchParams.get('cursor'), 'after b');
  second.reply([metadata('c', 3)], ['e', 3]);
  await watching;
  t.same(versions(roomwire), { a: 1, b: 2, c: 3 });
  t.same(roomwire.rooms.status.get(), { watching: true, loading: false });
  t.equal(roomwire.rooms.get('b')?.version, 2);
  t.equal(roomwire.rooms.get(), roomwire.rooms.list(), 'one immutable snapshot');
});

t.test('rooms created, changed and deleted between the join and the list are as they are', async (t) => {
  const { roomwire, peer, get } = await scene(t);
  const watching = roomwire.rooms.watch();
  await letIn(peer, 0);
  const list = await get();
  const { id, ...made } = metadata('new', 12, { description: 'New' });
  peer.send([
    Op.EVENTS,
    TOPIC,
    1,
    update('a', 11, { frameCount: 11 }),
    update(id, 12, { created: true, ...made }),
    remove('b', 13),
    update('new', 14, { frameCount: 14 }),
  ]);
  await settled(peer);
  // The snapshot is of offset 1: it has the change of a, and b is still on it.
  list.reply([metadata('a', 11, { frameCount: 11 }), metadata('b', 2)], ['e', 1]);
  await watching;
  t.same(versions(roomwire), { a: 11, new: 14 });
  t.match(roomwire.rooms.get('new'), { description: 'New', frameCount: 14, locked: false });
});

t.test(
  'a list that could be neither left nor joined again was said not to be watched, and was kept current all the same',
  async (t) => {
    const { roomwire, peer } = await watched(t, [metadata('a', 1)]);
    const refuse = async (call: string): Promise<void> => {
      const { id } = await peer.call(call);
      peer.send([Op.NACK, id, 203, 'later']);
    };
    const left = roomwire.rooms.unwatch();
    const again = roomwire.rooms.watch();
    await refuse('leave:overview');
    await t.rejects(left, { name: 'store_unavailable' });
    await refuse('join:overview');
    await t.rejects(again, { name: 'store_unavailable' });
    t.same(roomwire.rooms.status.get(), { watching: true, loading: false });
    peer.send([Op.EVENTS, TOPIC, 1, update('a', 2)]);
    await settled(peer);
    t.same(versions(roomwire), { a: 2 });

    // Nor could it be left for good.
    const forbidden = roomwire.rooms.unwatch();
    const { id } = await peer.call('leave:overview');
    peer.send([Op.NACK, id, 106, 'no']);
    await t.rejects(forbidden, { name: 'forbidden' });
    t.same(roomwire.rooms.status.get(), { watching: true, loading: false });
  },
);

t.test('a list older than the subscription is fetched again', async (t) => {
  const { roomwire, peer, get } = await scene(t);
  const watching = roomwire.rooms.watch();
  await letIn(peer, 8);
  (await get()).reply([metadata('stale', 1)], ['e', 7]);
  await letIn(peer, 8);
  (await get()).reply([metadata('fresh', 2)], ['e', 8]);
  await watching;
  t.same(versions(roomwire), { fresh: 2 });
});

t.test('a list that stays behind is an error, and so is one that is refused', async (t) => {
  const { roomwire, peer, get } = await scene(t);
  const behind = roomwire.rooms.watch();
  for (let i = 0; i < 5; i++) {
    await letIn(peer, 8);
    (await get()).reply([], ['e', 7]);
  }
  await t.rejects(behind, { name: 'conflict' });
  const refused = roomwire.rooms.watch();
  await letIn(peer, 8);
  (await get()).fail(403);
  await t.rejects(refused, { name: 'forbidden' });
  t.same(roomwire.rooms.status.get(), { watching: false, loading: false });
});

t.test('no version ever goes back, and a stale page raises no dead', async (t) => {
  const { roomwire, peer } = await watched(t, [metadata('a', 5), metadata('b', 6)]);
  peer.send([
    Op.EVENTS,
    TOPIC,
    1,
    update('a', 9, { frameCount: 9 }),
    update('a', 8, { frameCount: 8 }),
    remove('b', 10),
  ]);
  await settled(peer);
  t.same(versions(roomwire), { a: 9 });
  roomwire.rooms.setRoom('a', metadata('a', 7));
  roomwire.rooms.setRoom('b', metadata('b', 6));
  peer.send([Op.EVENTS, TOPIC, 4, update('b', 10, { created: true }), remove('a', 3)]);
  await settled(peer);
  t.same(versions(roomwire), { a: 9 });
  t.equal(roomwire.rooms.get('a')?.frameCount, 9);
  peer.send([Op.EVENTS, TOPIC, 6, update('b', 11, { created: true })]);
  await settled(peer);
  t.same(versions(roomwire), { a: 9, b: 11 }, 'a room made anew has a newer version');
});

t.test('events that others publish there change nothing', async (t) => {
  const { roomwire, peer } = await watched(t, [metadata('a', 5)]);
  peer.send([Op.EVENTS, TOPIC, 1, ['room:delete', { roomId: 'a', version: 99 }, 's666']]);
  await settled(peer);
  t.same(versions(roomwire), { a: 5 });
});

t.test('a lost session joins and fetches again; rooms that are gone go, newer ones stay', async (t) => {
  const { server, roomwire, peer, get } = await watched(t, [metadata('a', 5), metadata('b', 6)]);
  peer.send([Op.EVENTS, TOPIC, 1, update('a', 20)]);
  await settled(peer);
  server.onHello = (second, _hello, id) => second.send([Op.WELCOME, id, welcome({ session: ['s2', 'x'] })]);
  peer.cut();
  const second = await server.peer(1);
  await letIn(second, 30);
  (await get()).reply([metadata('a', 19), metadata('c', 21)], ['e', 30]);
  await until(roomwire.rooms.status, ({ loading }) => !loading);
  t.same(versions(roomwire), { a: 20, c: 21 });
});

t.test('a recovered overview fetches nothing', async (t) => {
  const { server, roomwire, peer } = await watched(t, [metadata('a', 5)]);
  const topics = { [TOPIC]: { epoch: 'e', offset: 1, recovered: true } };
  server.onHello = (second, _hello, id) =>
    second.send([Op.WELCOME, id, welcome({ resumed: true, topics })], [Op.EVENTS, TOPIC, 1, update('a', 6)]);
  peer.cut();
  const second = await server.peer(1);
  await settled(second);
  t.same(second.frames, [[Op.PING, null]], 'the sign that WELCOME arrived');
  t.same(versions(roomwire), { a: 6 });
});

t.test('a room that comes into view without its creation makes the list be fetched', async (t) => {
  const { roomwire, peer, get } = await watched(t, []);
  peer.send([Op.EVENTS, TOPIC, 1, update('shown', 9, { hidden: false })]);
  await letIn(peer, 1);
  (await get()).reply([metadata('shown', 9)], ['e', 1]);
  await until(
    { get: () => roomwire.rooms.list(), subscribe: (run) => roomwire.rooms.subscribe(run) },
    (rooms) => rooms.length > 0,
  );
  t.same(versions(roomwire), { shown: 9 });
});

t.test('leaving the overview by joining a room keeps the list and says so', async (t) => {
  const { roomwire, peer, get } = await watched(t, [metadata('a', 5)]);
  peer.send([Op.REMOVED, TOPIC, 108, 'joined a room']);
  await until(roomwire.rooms.status, ({ watching }) => !watching);
  t.same(versions(roomwire), { a: 5 });
  const watching = roomwire.rooms.watch();
  await letIn(peer, 4);
  (await get()).reply([metadata('b', 6)], ['e', 4]);
  await watching;
  t.same(versions(roomwire), { b: 6 });
});

t.test('unwatch leaves the overview, and a group has a list of its own', async (t) => {
  const { roomwire, peer, get } = await watched(t, [metadata('a', 5)]);
  const watching = roomwire.rooms.watch({ group: 'lab' });
  const { id } = await peer.call('leave:overview');
  peer.send([Op.REMOVED, TOPIC, 108, 'left'], [Op.ACK, id, { status: 'left', room: TOPIC }]);
  await letIn(peer, 0, { topic: 'overview:lab' });
  const list = await get();
  t.equal(list.url.searchParams.get('group'), 'lab');
  t.same(versions(roomwire), {});
  list.reply([metadata('g', 1, { group: 'lab' })], ['e', 0]);
  await watching;
  t.same(versions(roomwire), { g: 1 });
});

t.test('the application may keep the list itself', async (t) => {
  const { roomwire } = await scene(t);
  const seen: number[] = [];
  roomwire.rooms.subscribe((rooms) => seen.push(rooms.length));
  roomwire.rooms.setRoom('a', metadata('a', 1));
  roomwire.rooms.updateRoom('a', { frameCount: 3 });
  roomwire.rooms.updateRoom('b', { frameCount: 3 });
  t.match(roomwire.rooms.get('a'), { frameCount: 3, version: 1 });
  roomwire.rooms.removeRoom('a');
  t.same(seen, [1, 1, 0]);
});

t.test('unwatch and watch in one breath end watching', async (t) => {
  const { roomwire, peer, get } = await watched(t, [metadata('a', 5)]);
  const unwatching = roomwire.rooms.unwatch();
  const watching = roomwire.rooms.watch();
  const { id } = await peer.call('leave:overview');
  peer.send([Op.REMOVED, TOPIC, 108, 'left'], [Op.ACK, id, { status: 'left', room: TOPIC }]);
  await letIn(peer, 2);
  (await get()).reply([metadata('a', 6)], ['e', 2]);
  await Promise.all([unwatching, watching]);
  t.same(roomwire.rooms.status.get(), { watching: true, loading: false });
  t.same(versions(roomwire), { a: 6 });
});
