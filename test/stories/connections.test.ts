/** What happens to connections in life, and that whoever is met by it comes back by itself and has missed nothing. */
import t, { type Test } from 'tap';
import type { Lock } from '../../src/client/node.js';
import { Op } from '../../src/protocol/frames.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { Child, type StoreName } from '../chaos/child.js';
import { FaultProxy } from '../chaos/fault-proxy.js';
import { random } from '../random.js';
import { freePort } from '../support/free-port.js';
import { ManualTime } from '../support/manual-time.js';
import { engine } from '../support/server.js';
import { tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';
import { Person, TOPICS, town, upTo } from './people.js';

/** Each topic was heard in order, each event once. */
function heardAll(t: Test, person: Person, last: number): void {
  for (const topic of TOPICS) t.strictSame(person.heard[topic], upTo(last), `${person.name}: ${topic}`);
}

/** Has come back, with one question asked, and heard all that it missed. */
async function backWithAll(t: Test, person: Person, last: number): Promise<void> {
  await person.back(() => person.live && TOPICS.every((topic) => person.heard[topic]?.at(-1) === last));
  t.strictSame(person.asked, [Op.HELLO], 'one round trip');
  heardAll(t, person, last);
  t.strictSame(person.problems, []);
}

t.test('a proxy that closes every connection after a minute costs nobody an event, and nobody sees it', async (t) => {
  const s = await town(t);
  const [ann, bob] = [await s.person('ann'), await s.person('bob')];
  const { sid } = ann.client.state.get();
  let last = 0;
  for (let minute = 1; minute <= 5; minute++) {
    await s.pass(60_000, ann, bob);
    await s.tell();
    await ann.barrier();
    ann.proxy.cutAll('fin');
    await until(() => s.sessionOf(ann)?.connected === false);
    await s.tell();
    last = await s.tell();
    await backWithAll(t, ann, last);
    t.equal(ann.connections, minute + 1);
  }
  t.equal(ann.client.state.get().sid, sid);
  await bob.barrier();
  heardAll(t, bob, last);
  t.strictSame(bob.shown, []);
  t.same(ann.knows, bob.knows);
});

t.test('a peer that vanished without a word is found by PING, and comes back as who it was', async (t) => {
  const s = await town(t);
  const [ann, bob] = [await s.person('ann'), await s.person('bob')];
  const { sid } = ann.client.state.get();
  for (const connection of ann.proxy.connections) connection.stall();
  await s.pass(20_000, bob);
  await s.tell();
  await s.pass(10_000, bob);
  t.equal(s.sessionOf(ann)?.connected, true, 'nobody knows yet');
  await s.pass(10_000, bob);
  t.equal(s.sessionOf(ann)?.connected, false, 'no answer to PING');
  const last = await s.tell();
  // For ann the same time has passed.
  ann.timers.advance(40_000);
  await backWithAll(t, ann, last);
  t.equal(ann.client.state.get().sid, sid);
  await bob.barrier();
  heardAll(t, bob, last);
  t.strictSame(bob.shown, []);
});

t.test('a client that misses the server before the server misses it takes its own session over', async (t) => {
  const s = await town(t);
  const [ann, bob] = [await s.person('ann'), await s.person('bob')];
  const { sid } = ann.client.state.get();
  for (const connection of ann.proxy.connections) connection.stall(['down']);
  const last = await s.tell();
  ann.timers.advance(35_000);
  t.equal(s.sessionOf(ann)?.connected, true, 'the server knows nothing of it');
  await backWithAll(t, ann, last);
  t.equal(ann.client.state.get().sid, sid);
  await bob.barrier();
  t.strictSame(bob.shown, []);
  t.equal(s.server.stats().connections, 2, 'the old connection is gone');
});

t.test('a laptop that wakes within its grace is where it was, with its lock, and was missed by nobody', async (t) => {
  const s = await town(t);
  // It cannot know when the server noticed: what it asked for is counted from when it was last heard of.
  const [ann, bob] = [await s.person('ann', { grace: 60_000 }), await s.person('bob')];
  const lock = await ann.room.lock('notes', { ttl: 120_000 });
  for (const connection of ann.proxy.connections) connection.stall();
  await s.pass(45_000, bob);
  t.equal(s.sessionOf(ann)?.connected, false, 'the server has let go of the connection');
  const last = await s.tell();
  await s.tell().then(() => bob.barrier());
  ann.proxy.cutAll();
  ann.timers.wake(45_000);
  await ann.back(() => ann.live && TOPICS.every((topic) => ann.heard[topic]?.at(-1) === last + 1));
  heardAll(t, ann, last + 1);
  t.notOk(lock.signal.aborted);
  await lock.message('still mine');
  await bob.barrier();
  t.equal(bob.room.state.get().locks['notes']?.msg, 'still mine');
  t.strictSame(bob.shown, []);
});

t.test(
  'a laptop that sleeps longer has lost its lock before it does anything, and is told what it missed',
  async (t) => {
    const s = await town(t);
    const [bob, ann] = [await s.person('bob'), await s.person('ann')];
    const lock = await ann.room.lock('notes', { ttl: 30_000 });
    const { sid } = ann.client.state.get();
    const next = bob.room.lock('notes', { ttl: 60_000, wait: 500_000, timeoutMs: 1e6 });
    await bob.barrier();
    for (const connection of ann.proxy.connections) connection.stall();
    await s.pass(31_000, bob);
    const { token } = await next;
    t.ok(token > lock.token, 'the lease ended, and the next in line has it');
    await s.pass(600_000, bob);
    const last = await s.tell();
    t.strictSame(bob.shown, ['member:left ann'], 'once, after the grace');
    ann.proxy.cutAll();
    ann.timers.wake(631_000);
    t.ok(lock.signal.aborted, 'before anything is sent');
    await ann.back(() => ann.live && ann.room.state.get().status === 'joined' && ann.heard['room:den']?.length === 1);
    await ann.barrier();
    t.not(ann.client.state.get().sid, sid);
    // Plain topics go on from their positions; the room was left for it, so it is joined and read again.
    t.strictSame(ann.heard, { 'chat:1': upTo(last), 'chat:2': upTo(last), 'room:den': ['reset'] });
    await bob.barrier();
    t.strictSame(bob.shown, ['member:left ann', 'member:joined ann']);
    t.same(ann.knows, bob.knows);
  },
);

t.test('a phone that asked for a longer grace stays member and host while it is suspended', async (t) => {
  const s = await town(t);
  const phone = await s.person('phone', { grace: 240_000 });
  const bob = await s.person('bob');
  const short = await phone.room.lock('short', { ttl: 30_000 });
  const long = await phone.room.lock('long', { ttl: 500_000 });
  const next = bob.room.lock('short', { wait: 500_000, timeoutMs: 1e6 });
  await bob.barrier();
  for (const connection of phone.proxy.connections) connection.stall();
  await s.pass(200_000, bob);
  const last = await s.tell();
  t.equal(s.sessionOf(phone)?.connected, false);
  t.ok((await next).token > short.token, 'a lease ends on its own time: no grace makes it longer');
  phone.proxy.cutAll();
  phone.timers.wake(200_000);
  t.ok(short.signal.aborted);
  await phone.back(() => phone.live && TOPICS.every((topic) => phone.heard[topic]?.at(-1) === last));
  heardAll(t, phone, last);
  await long.refresh();
  t.notOk(long.signal.aborted);
  await bob.barrier();
  t.strictSame(bob.shown, []);
  t.equal(bob.room.state.get().host?.userId, 'phone');
  t.same(phone.knows, bob.knows);
});

t.test('no phone gets a longer grace than the server allows: then it left, and its host moves on', async (t) => {
  const s = await town(t, { limits: { graceMaxMs: 60_000 } });
  const phone = await s.person('phone', { grace: 1e9 });
  const bob = await s.person('bob');
  for (const connection of phone.proxy.connections) connection.stall();
  await s.pass(90_000, bob);
  t.strictSame(bob.shown, []);
  await s.pass(15_000, bob);
  t.strictSame(bob.shown, ['member:left phone', 'host:update bob']);
});

t.test('who was away for longer than the history is told once a topic, and its room is read again', async (t) => {
  const s = await town(t, { limits: { historyEvents: 20, graceMaxMs: 1e9 } });
  const [ann, bob] = [await s.person('ann', { grace: 1e8 }), await s.person('bob')];
  const lock = await bob.room.lock('notes', { msg: 'before' });
  let last = await s.tell();
  await ann.barrier();
  ann.proxy.refusing = true;
  ann.proxy.cutAll();
  await until(() => s.sessionOf(ann)?.connected === false);
  for (let i = 0; i < 300; i++) last = await s.tell();
  await s.server.plugins.rooms.update('den', { description: 'changed meanwhile' });
  await lock.message('after');
  const away = last;
  // While the room is read again, more comes.
  ann.room.state.subscribe(({ status }) => status === 'joining' && void s.tell().then((now) => (last = now)));
  ann.proxy.refusing = false;
  await ann.back(() => ann.heard['chat:1']?.at(-1) === away + 1 && ann.room.state.get().status === 'joined');
  t.equal(last, away + 1, 'read again once');
  last = await s.tell();
  await ann.barrier();
  for (const topic of TOPICS.slice(0, 2)) t.strictSame(ann.heard[topic], [1, 'reset', away + 1, last], topic);
  // What the state includes is not handed over beside it.
  t.strictSame(
    ann.heard['room:den']?.filter((n) => n !== away + 1),
    [1, 'reset', last],
  );
  t.equal(ann.room.state.get().metadata?.description, 'changed meanwhile');
  await bob.barrier();
  t.same(ann.knows, bob.knows);
  t.strictSame(bob.shown, []);
});

t.test('a restarted server with LMDB has everybody back where they were', async (t) => {
  const path = t.testdir();
  const before = await town(t, { store: lmdbStore({ path }) });
  const [ann, bob] = [await before.person('ann'), await before.person('bob')];
  const lock: Lock = await ann.room.lock('notes', { ttl: 120_000 });
  await before.tell();
  const sids = [ann, bob].map(({ client }) => client.state.get().sid);
  for (const { proxy } of [ann, bob]) proxy.refusing = true;
  await before.server.close();
  const after = await town(t, { store: lmdbStore({ path }), time: new ManualTime() });
  // Told before anyone is back.
  for (const topic of TOPICS) await after.server.publish(topic as 'chat:1', 'message', 2);
  for (const { proxy } of [ann, bob]) {
    proxy.target = after.port;
    proxy.refusing = false;
  }
  await Promise.all([backWithAll(t, ann, 2), backWithAll(t, bob, 2)]);
  t.strictSame(
    [ann, bob].map(({ client }) => client.state.get().sid),
    sids,
  );
  await lock.refresh();
  t.notOk(lock.signal.aborted);
  await Promise.all([ann.barrier(), bob.barrier()]);
  t.strictSame([...ann.shown, ...bob.shown], []);
});

/** Two people on a server of its own process and on the real clock; `strike` kills it and starts it again. */
async function onChild(t: Test, store: StoreName) {
  const port = await freePort();
  const child = new Child({ path: t.testdir(), store, engine, port });
  t.teardown(() => child.kill());
  await child.start();
  const person = async (name: string): Promise<Person> => {
    const proxy = await FaultProxy.start({ target: port, random: random(1) });
    const token = await tokenFor(name);
    const options = { timers: undefined, backoff: { baseMs: 20, maxMs: 100 }, random: Math.random };
    const person = new Person(name, proxy, { token, ...options });
    t.teardown(async () => {
      person.client.close();
      await proxy.close();
    });
    await person.settleIn();
    return person;
  };
  const [bob, ann] = [await person('bob'), await person('ann')];
  await bob.barrier();
  bob.shown.length = 0;
  return {
    ann,
    bob,
    /** While ann is away, bob is back, and tells `missed`. */
    async strike(missed: readonly number[], bobIsBack: () => Promise<void>): Promise<void> {
      ann.proxy.refusing = true;
      ann.proxy.cutAll();
      await child.kill();
      await child.start();
      await bobIsBack();
      for (const n of missed) await tell(bob, n);
      ann.proxy.refusing = false;
    },
  };
}

async function tell(person: Person, n: number): Promise<void> {
  for (const topic of TOPICS) await person.client.publish(topic, 'message', n);
}

t.test('a server that was killed with kill -9 and has LMDB has everybody back where they were', async (t) => {
  const { ann, bob, strike } = await onChild(t, 'lmdb');
  const sids = [ann, bob].map(({ client }) => client.state.get().sid);
  const lock = await ann.room.lock('notes', { ttl: 60_000, msg: 'mine' });
  await tell(bob, 1);
  await ann.barrier();
  await strike([2, 3], () => bob.barrier());
  await backWithAll(t, ann, 3);
  heardAll(t, bob, 3);
  t.strictSame(
    [ann, bob].map(({ client }) => client.state.get().sid),
    sids,
  );
  await lock.refresh();
  t.equal(bob.room.state.get().locks['notes']?.msg, 'mine');
  t.strictSame([...ann.shown, ...bob.shown], []);
});

t.test('a server that was killed with kill -9 and had only its memory tells everybody, once a topic', async (t) => {
  const { ann, bob, strike } = await onChild(t, 'memory');
  const lock = await ann.room.lock('notes', { ttl: 60_000 });
  await tell(bob, 1);
  await ann.barrier();
  await strike([2, 3], async () => {
    // Bob is the first: the room is not there any more, and whoever needs it makes it again.
    await bob.back(() => bob.heard['room:den']?.at(-1) === 'removed 120');
    await bob.room.join({ create: true });
  });
  await ann.back(() => ann.heard['room:den']?.at(-1) === 'reset' && ann.room.state.get().status === 'joined');
  await tell(bob, 4);
  await ann.barrier();
  for (const topic of TOPICS) t.strictSame(ann.heard[topic], [1, 'reset', 4], topic);
  await until(() => lock.signal.aborted);
  await bob.barrier();
  t.same(ann.knows, bob.knows);
  t.strictSame(ann.problems, []);
});
