/** What is given up is freed, and a client that closes takes what is its own with it, and nothing of the others'. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import type { Client } from '../../src/client/types.js';
import { client, fakeServer, live, settled, until, type Peer } from './fake-server.js';
import { joinFrames, letIn, metadata } from './room-replies.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Whether nobody holds any of them any more, after a few collections. */
async function areFreed(refs: readonly WeakRef<object>[]): Promise<boolean> {
  for (let i = 0; i < 20; i++) {
    await new Promise(setImmediate);
    collect();
    if (refs.every((ref) => ref.deref() === undefined)) return true;
  }
  return false;
}

/** Answers all that a peer is asked, as a server that has everything. */
function agreeable(peer: Peer): void {
  const answer = (): void => {
    const asked = peer.frames.filter(([op]) => op === Op.SUBSCRIBE || op === Op.UNSUBSCRIBE || op === Op.CALL);
    for (const frame of asked) {
      peer.frames.splice(peer.frames.indexOf(frame), 1);
      const [op, id, name, input] = frame;
      const roomId = (input as { roomId?: string } | null)?.roomId;
      if (op === Op.SUBSCRIBE) peer.send([Op.ACK, id, { epoch: 'e', offset: 0, recovered: false }]);
      else if (op === Op.UNSUBSCRIBE) peer.send([Op.REMOVED, name, 0, 'left'], [Op.ACK, id, null]);
      else if (name === 'join:room') peer.send(...joinFrames(id as number, { id: roomId ?? '' }));
      else if (name === 'leave:room') peer.send([Op.REMOVED, `room:${roomId}`, 0, 'left'], [Op.ACK, id, {}]);
    }
  };
  peer.socket.on('message', answer);
  answer();
}

t.test('subscriptions and rooms that are given up are freed', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  await live(roomwire);
  agreeable(peer);
  // In a function of its own, whose variables hold nothing once it has returned.
  const giveUp = async (n: number): Promise<WeakRef<object>[]> => {
    const subscription = roomwire.subscribe(`news:${n}`);
    subscription.on('a', () => undefined);
    await subscription.ready;
    subscription.unsubscribe();
    const heard = roomwire.listen(`heard:${n}`);
    heard.unsubscribe();
    const room = roomwire.room(`left-${n}`);
    const off = room.on('chat', () => undefined);
    const unsubscribe = room.state.subscribe(() => undefined);
    await room.join();
    await room.leave();
    off();
    unsubscribe();
    return [subscription, heard, room, room.state, roomwire.room(`looked-at-${n}`)].map((it) => new WeakRef(it));
  };
  const refs: WeakRef<object>[] = [];
  for (let n = 0; n < 20; n++) refs.push(...(await giveUp(n)));
  // These are in use though nobody holds them.
  const heard: string[] = [];
  await roomwire.room('joined').join();
  roomwire.room('joined').on('chat', () => heard.push('joined'));
  roomwire.room('listened').on('chat', () => heard.push('listened'));
  t.ok(await areFreed(refs), 'all of them');
  t.equal((await roomwire.room('joined').join()).status, 'joined');
  await roomwire.room('listened').join();
  for (const id of ['joined', 'listened']) peer.send([Op.EVENTS, `room:${id}`, 1, ['chat', 1, null]]);
  await settled(peer);
  t.same(heard, ['joined', 'listened']);
  const held = roomwire.room('held');
  t.equal(roomwire.room('held'), held, 'the same object as long as it is held');
});

t.test('a subscription that the server ended is freed too', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  const beRemoved = async (): Promise<WeakRef<object>> => {
    const news = roomwire.subscribe('news');
    peer.send([Op.ACK, (await peer.take(Op.SUBSCRIBE))[1], { epoch: 'e', offset: 0, recovered: false }]);
    await news.ready;
    peer.send([Op.REMOVED, 'news', 106, 'kicked']);
    await settled(peer);
    return new WeakRef(news);
  };
  const refs: WeakRef<object>[] = [];
  for (let n = 0; n < 5; n++) refs.push(await beRemoved());
  t.ok(await areFreed(refs));
});

interface Sharing {
  readonly first: Client;
  readonly second: Client;
  readonly peer: Peer;
}

t.test('close undoes all that this client registered, and nothing of the others', async (t) => {
  const registered: Readonly<Record<string, (client: Client, heard: () => void) => void>> = {
    'room.on': (it, heard) => it.room('demo').on('chat', heard),
    'room.state': (it, heard) => it.room('demo').state.subscribe(heard),
    'rooms.subscribe': (it, heard) => it.rooms.subscribe(heard),
    'rooms.status': (it, heard) => it.rooms.status.subscribe(heard),
    'subscription.on': (it, heard) => it.subscribe('news').on('a', heard),
    'listen.on': (it, heard) => it.listen('kept').on('a', heard),
    state: (it, heard) => it.state.subscribe(heard),
  };
  const server = await fakeServer(t);
  const [first, second] = [client(t, server), client(t, server)];
  const peer = await server.peer();
  await live(first);
  await live(second);
  agreeable(peer);
  const heard = new Map<string, number>();
  for (const [name, register] of Object.entries(registered)) {
    for (const [who, it] of Object.entries({ first, second })) {
      register(it, () => heard.set(`${name} of ${who}`, (heard.get(`${name} of ${who}`) ?? 0) + 1));
    }
  }
  await second.room('demo').join();
  await settled(peer);
  first.close();
  heard.clear();
  t.equal(first.state.get().status, 'closed');
  t.equal(second.state.get().status, 'live');
  peer.send(
    [Op.SUBSCRIBED, 'kept', 'e', 0, true],
    [Op.EVENTS, 'kept', 1, ['a', 1, null]],
    [Op.EVENTS, 'news', 1, ['a', 1, null]],
    [Op.EVENTS, 'room:demo', 1, ['chat', 1, null], ['member:joined', { member: { userId: 'bob' } }, null]],
  );
  second.rooms.setRoom('a', { id: 'a', version: 1 } as never);
  const watching = second.rooms.watch();
  watching.catch(() => undefined);
  await settled(peer);
  server.onHello = () => undefined;
  peer.cut();
  await until(second.state, ({ status }) => status !== 'live');
  for (const name of Object.keys(registered)) {
    t.notOk(heard.has(`${name} of first`), `${name} of the closed one`);
    t.ok(heard.has(`${name} of second`), `${name} of the other`);
  }
  for (const [name, use] of Object.entries(used(first))) {
    await t.rejects(Promise.resolve().then(use), { name: 'disconnected' }, `${name} of a closed client`);
  }
});

function used(it: Client): Readonly<Record<string, () => unknown>> {
  return {
    call: () => it.call('x', null),
    publish: () => it.publish('x', 'e', 1),
    volatile: () => it.volatile('x', 'e', 's', 1),
    subscribe: () => it.subscribe('x'),
    listen: () => it.listen('x'),
    room: () => it.room('x'),
    watch: () => it.rooms.watch(),
    unwatch: () => it.rooms.unwatch(),
    handle: () => it.handle('x', () => 1),
    reconnect: () => it.reconnect(),
  };
}

t.test(
  'close leaves what this client alone joined, watched or holds, and nothing that another has asked for',
  async (t) => {
    const server = await fakeServer(t);
    server.onRequest = (request, response) => {
      const group = new URL(request.url ?? '', server.url).searchParams.get('group') ?? 'public';
      response.end(JSON.stringify({ rooms: [], next: null, positions: { [`overview:${group}`]: ['e', 0] } }));
    };
    const both = async (): Promise<Sharing> => {
      const [first, second] = [client(t, server), client(t, server)];
      await live(first);
      await live(second);
      const peer = await server.peer(server.peers.length - 1);
      return { first, second, peer };
    };
    const { first, second, peer } = await both();
    const rooms = [first.room('alone').join(), first.room('both').join(), second.room('both').join()];
    await letIn(peer, { id: 'alone' });
    await letIn(peer, { id: 'both' });
    await Promise.all(rooms);
    const lock = first.room('both').lock('meta');
    const { id } = await peer.call('lock:acquire');
    peer.send([Op.ACK, id, { target: 'meta', token: 7, expiresAt: 1_030_000 }]);
    const { signal } = await lock;
    const watching = first.rooms.watch();
    const overview = await peer.call('join:overview');
    peer.send([Op.SUBSCRIBED, 'overview:public', 'e', 0, true]);
    peer.send([Op.ACK, overview.id, { positions: { 'overview:public': ['e', 0] } }]);
    await watching;
    const handle = first.room('alone');
    first.close();
    t.match((await peer.call('leave:room')).input, { roomId: 'alone' });
    await peer.call('leave:overview');
    t.match((await peer.call('lock:release')).input, { token: 7 });
    t.match(signal.reason, { name: 'lock_lost' }, 'whoever works under the lock is told');
    await settled(peer);
    t.same(peer.frames, [], 'and no more');
    t.equal(second.room('both').state.get().status, 'joined');
    await t.rejects(handle.join(), { name: 'disconnected' });
    await t.rejects(handle.publish('chat', 1), { name: 'disconnected' });
    t.throws(() => handle.on('chat', () => undefined), { name: 'disconnected' });
  },
);

t.test(
  'close leaves a list that another watches and a lock that another holds, and gives back one that came too late',
  async (t) => {
    const server = await fakeServer(t);
    server.onRequest = (_request, response) =>
      response.end(JSON.stringify({ rooms: [], next: null, positions: { 'overview:public': ['e', 0] } }));
    const [first, second] = [client(t, server), client(t, server)];
    const peer = await server.peer();
    await live(first);
    await live(second);
    const joins = [first.room('both').join(), second.room('both').join()];
    await letIn(peer, { id: 'both' });
    await Promise.all(joins);
    const watching = [first.rooms.watch(), second.rooms.watch()];
    const overview = await peer.call('join:overview');
    peer.send([Op.SUBSCRIBED, 'overview:public', 'e', 0, true]);
    peer.send([Op.ACK, overview.id, { positions: { 'overview:public': ['e', 0] } }]);
    await Promise.all(watching);
    const held = second.room('both').lock('theirs');
    const { id } = await peer.call('lock:acquire');
    peer.send([Op.ACK, id, { target: 'theirs', token: 8, expiresAt: 1_030_000 }]);
    const late = first.room('both').lock('late');
    const asked = await peer.call('lock:acquire');
    first.close();
    peer.send([Op.ACK, asked.id, { target: 'late', token: 9, expiresAt: 1_030_000 }]);
    await t.rejects(late, { name: 'lock_lost' }, 'and never taken for held');
    t.match((await peer.call('lock:release')).input, { token: 9 });
    await settled(peer);
    t.same(peer.frames, [], 'and no more');
    t.notOk((await held).signal.aborted);
    t.equal(second.rooms.status.get().watching, true);
  },
);

t.test("a lock in a room that a plain call joined was still believed in after its client's close", async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  await live(roomwire);
  const lock = roomwire.room('a').lock('meta');
  const { id } = await peer.call('lock:acquire');
  peer.send([Op.ACK, id, { target: 'meta', token: 7, expiresAt: 1_030_000 }]);
  const { signal } = await lock;
  roomwire.close();
  t.match(signal.reason, { name: 'lock_lost' });
});

t.test('what a closed client had handed out does nothing on the connection that another still shares', async (t) => {
  const server = await fakeServer(t);
  const [first, second] = [client(t, server), client(t, server)];
  const peer = await server.peer();
  await live(first);
  await live(second);
  const subscription = first.listen('news');
  const room = first.room('a');
  first.close();
  const calls: Record<string, () => unknown> = {
    call: () => first.call('x', null),
    publish: () => first.publish('news', 'x', 1),
    volatile: () => first.volatile('news', 'x', 's', 1),
    subscribe: () => first.subscribe('news'),
    listen: () => first.listen('news'),
    handle: () => first.handle('x', () => null),
    room: () => first.room('a'),
    reconnect: () => first.reconnect(),
    'subscription.publish': () => subscription.publish('x', 1),
    'subscription.volatile': () => subscription.volatile('x', 's', 1),
    'room.publish': () => room.publish('x', 1),
    'room.volatile': () => room.volatile('x', 's', 1),
    'room.on': () => room.on('x', () => undefined),
    'room.join': () => room.join(),
    'room.leave': () => room.leave(),
    'room.lock': () => room.lock('meta'),
    'room.withLock': () => room.withLock('meta', {}, () => undefined),
    'room.presenter.take': () => room.presenter.take(),
    'room.presenter.release': () => room.presenter.release(),
    'room.presenter.give': () => room.presenter.give('s2'),
    'rooms.setRoom': () => first.rooms.setRoom('a', metadata('a', 1)),
    'rooms.updateRoom': () => first.rooms.updateRoom('a', { locked: true }),
    'rooms.removeRoom': () => first.rooms.removeRoom('a'),
    'rooms.watch': () => first.rooms.watch(),
    'rooms.unwatch': () => first.rooms.unwatch(),
  };
  for (const [name, call] of Object.entries(calls)) {
    await t.rejects(async () => call(), { name: 'disconnected' }, name);
  }
  await settled(peer);
  t.same(peer.frames, [], 'nothing was sent');
  t.same(second.rooms.list(), []);
});
