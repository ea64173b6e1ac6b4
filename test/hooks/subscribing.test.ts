/** A backend puts the session that calls it into topics: with its events and its answer, or not at all. */
import * as v from 'valibot';
import t from 'tap';
import { hooks, type HooksOptions } from '../../src/hooks/hooks.js';
import { http } from '../../src/http/http.js';
import { defineContract } from '../../src/protocol/contract.js';
import { Op } from '../../src/protocol/frames.js';
import { HOOKS_SECRET, startBackend, type Answering } from '../support/backend.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const Message = v.object({ text: v.string() });
const contract = defineContract({
  topics: {
    'chat:{id}': { subscribe: 'by-call', events: { message: Message, seen: v.unknown() } },
    'news:{id}': { events: { headline: Message } },
    election_updates: { events: { '*': v.unknown() } },
  },
  calls: { join_room: { input: v.object({ room: v.string() }) } },
});

async function start(t: Test, answering: Answering, options: Partial<HooksOptions> = {}) {
  const backend = await startBackend(t, answering);
  const hook = hooks({ url: backend.url, secret: HOOKS_SECRET, calls: ['join_room'], ...options });
  /** What went wrong, as the log has it. */
  const troubles: string[] = [];
  const note = (fields: object): void => void troubles.push(String((fields as { err?: Error }).err));
  const log = { debug() {}, info() {}, warn: note, error: note };
  const s = await startServer(t, { contract, plugins: [hook, http()] as const, auth: { secret: SECRET }, log });
  const client = async (sub: string, more = {}) => s.client({ token: await tokenFor(sub), ...more });
  const topicsOf = (client: { readonly welcome: { readonly session: readonly [string, string] } }) =>
    [...(s.server.session(client.welcome.session[0])?.topics ?? [])].sort();
  return { ...s, client, backend, topicsOf, troubles };
}

const join: Answering = ({ body: { input, user } }) => ({
  unsubscribe: ['news:1', 'chat:before'],
  subscribe: [`chat:${(input as { room: string }).room}`],
  publish: [
    { topic: `chat:${(input as { room: string }).room}`, event: 'message', data: { text: `${user.id} is here` } },
  ],
  result: { status: 1 },
});

t.test(
  'who has the answer of a proxied call is in: it leaves, enters, and sees the events of the call itself',
  async (t) => {
    const s = await start(t, join);
    const ann = await s.client('ann');
    await ann.subscribe('news:1');
    t.same(await ann.call('join_room', { room: '7' }), { status: 1 });
    t.same(s.topicsOf(ann), ['chat:7'], 'also a topic that the contract keeps to calls');
    t.same(
      ann.events('chat:7').map(([, , data]) => data),
      [{ text: 'ann is here' }],
    );
    const order = ann.frames.map(([op]) => op).slice(-4);
    t.same(order, [Op.REMOVED, Op.SUBSCRIBED, Op.ACK, Op.EVENTS]);
    const bob = await s.client('bob');
    await bob.call('join_room', { room: '7' });
    await ann.event('chat:7', 'message', 2);
  },
);

t.test('a repetition with the key asks nobody, and subscribes the session that repeats it', async (t) => {
  const s = await start(t, join);
  const ann = await s.client('ann');
  await ann.call('join_room', { room: '7' }, { key: 'k' });
  ann.send([Op.BYE]);
  await ann.closed;
  const again = await s.client('ann');
  t.same(await again.call('join_room', { room: '7' }, { key: 'k' }), { status: 1 });
  t.same(s.topicsOf(again), ['chat:7']);
  t.equal(s.backend.received.length, 1);
  t.equal((await s.server.inspect('chat:7')).head, 1, 'and publishes nothing again');
});

t.test('a repetition that comes while the backend is at work waits for it, and is in, too', async (t) => {
  let go = (): void => undefined;
  const working = new Promise<void>((resolve) => (go = resolve));
  const s = await start(t, async (call) => {
    await working;
    return join(call);
  });
  const first = await s.client('ann');
  const second = await s.client('ann');
  const answers = [first, second].map((client) => client.call('join_room', { room: '7' }, { key: 'k' }));
  await s.backend.count('call', 1);
  go();
  t.same(await Promise.all(answers), [{ status: 1 }, { status: 1 }]);
  t.same([s.topicsOf(first), s.topicsOf(second)], [['chat:7'], ['chat:7']]);
  t.equal(s.backend.received.length, 1);
});

t.test('a session that ended meanwhile is put nowhere, and nothing is published', async (t) => {
  let go = (): void => undefined;
  const working = new Promise<void>((resolve) => (go = resolve));
  const s = await start(t, async (call) => {
    await working;
    return join(call);
  });
  const ann = await s.client('ann');
  ann.send([Op.CALL, 90, 'join_room', { room: '7' }, { key: 'k' }]);
  await s.backend.count('call', 1);
  const session = s.server.session(ann.welcome.session[0]);
  if (session !== undefined) await s.server.kick(session);
  // Another of the user's waits for the same, and learns what became of it.
  const other = await s.client('ann');
  const answer = other.call('join_room', { room: '7' }, { key: 'k' });
  // Its calls are taken in order: the first is there.
  await t.rejects(other.call('nobody_has_this', {}));
  go();
  await t.rejects(answer, { code: 204 });
  t.equal((await s.server.inspect('chat:7')).head, 0);
  t.same(await other.call('join_room', { room: '7' }, { key: 'k' }), { status: 1 }, 'the key may be tried again');
});

t.test('what the backend may not name is 130: nothing is done, and the log says once where it stands', async (t) => {
  const good = { topic: 'chat:7', event: 'message', data: { text: 'hi' } };
  const wrong: [object, RegExp][] = [
    [{ result: 1, subscribe: ['chat:7', 'nowhere'], publish: [good] }, /subscribe\[1\]: no topic 'nowhere'/],
    [{ result: 1, subscribe: ['chat:7'], unsubscribe: [''], publish: [good] }, /unsubscribe\[0\]/],
    [{ result: 1, subscribe: ['x'.repeat(300)] }, /subscribe\[0\].*200 bytes/],
    [{ result: 1, subscribe: 'chat:7' }, /subscribe/],
    [{ result: 1, subscribe: ['chat:7'], publish: [good, { ...good, event: 'no' }] }, /publish\[1\]: no event 'no'/],
    [{ result: 1, subscribe: ['chat:7'], publish: [good, { ...good, data: {} }] }, /publish\[1\]: .*text/],
    [{ error: { name: 'conflict' }, subscribe: ['chat:7'] }, /error/],
    [{ result: 1, subscribe: Array.from({ length: 101 }, () => 'chat:7') }, /subscribe/],
  ];
  for (const [answer, line] of wrong) {
    const s = await start(t, () => answer);
    const ann = await s.client('ann');
    await t.rejects(ann.call('join_room', { room: '7' }), { code: 130 }, JSON.stringify(answer).slice(0, 60));
    t.equal(s.troubles.length, 1);
    t.match(s.troubles[0], line);
    t.same(s.topicsOf(ann), []);
    t.equal((await s.server.inspect('chat:7')).head, 0);
  }
  // Used for something else.
  const keyed = { ...good, key: 'row-1' };
  const s = await start(t, () => ({
    result: 1,
    subscribe: ['chat:7'],
    publish: [{ ...good, event: 'seen' }, keyed],
  }));
  const ann = await s.client('ann');
  await s.server.publish('chat:7', 'message', { text: 'before' }, { key: 'row-1' });
  await t.rejects(ann.call('join_room', { room: '7' }), { code: 130 });
  t.same(s.topicsOf(ann), []);
  t.equal((await s.server.inspect('chat:7')).head, 1);
});

t.test('past the limit of topics the call is refused with it, and changes nothing', async (t) => {
  const backend = await startBackend(t, () => ({
    result: 1,
    unsubscribe: ['news:1'],
    subscribe: ['chat:1', 'chat:2'],
  }));
  const hook = hooks({ url: backend.url, secret: HOOKS_SECRET, calls: ['join_room'] });
  const s = await startServer(t, { contract, plugins: [hook] as const, limits: { topics: 1 } });
  const ann = await s.client();
  await ann.subscribe('news:1');
  await t.rejects(ann.call('join_room', { room: '7' }), { code: 202 });
  t.same([...(s.server.session(ann.welcome.session[0])?.topics ?? [])], ['news:1']);
});

t.test('the answer to connect puts a new session into topics, and no other', async (t) => {
  const s = await start(t, () => ({ allow: true, topics: ['election_updates', 'chat:all'] }), { events: ['connect'] });
  const ann = await s.client('ann');
  await ann.frame(([op, topic]) => op === 51 && topic === 'chat:all');
  t.same(s.topicsOf(ann), ['chat:all', 'election_updates']);
  t.equal((await s.server.publish('election_updates', 'x', 1)).matched, 1);
  // Renewed and resumed, it is where it went since.
  await ann.request(Op.UNSUBSCRIBE, 'election_updates');
  await ann.request(Op.AUTH, await tokenFor('ann'));
  ann.cut();
  const back = await s.client('ann', { session: ann.welcome.session });
  t.equal(back.welcome.resumed, true);
  t.same(s.topicsOf(back), ['chat:all']);
  const { status } = await fetch(`${s.http}/api/rooms`, {
    headers: { authorization: `Bearer ${await tokenFor('ann')}` },
  });
  t.ok(status < 500);
  t.same(s.topicsOf(back), ['chat:all']);
});

t.test('a topic outside the contract in the answer to connect lets nobody in, and the log says which', async (t) => {
  const s = await start(t, () => ({ allow: true, topics: ['election_updates', 'nowhere'] }), { events: ['connect'] });
  const ann = s.connect();
  await ann.open();
  ann.send([Op.HELLO, 1, { instance: 'test', token: await tokenFor('ann') }]);
  t.match(await ann.closed, { code: 4201 });
  t.equal(s.troubles.length, 1);
  t.match(s.troubles[0], /topics\[1\]: no topic 'nowhere'/);
});
