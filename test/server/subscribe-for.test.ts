/** server.subscribe: a call subscribes a session by the rules that SUBSCRIBE goes by. */
import t from 'tap';
import * as v from 'valibot';
import { defineContract } from '../../src/protocol/contract.js';
import { Op } from '../../src/protocol/frames.js';
import { startServer, type Test } from '../support/server.js';

const contract = defineContract({
  topics: {
    'open:{id}': { events: { note: v.unknown() } },
    'ruled:{id}': { events: { note: v.unknown() } },
    'user:{id}': { subscribe: 'own', events: { note: v.unknown() } },
    'kept:{id}': { subscribe: 'by-call', events: { note: v.unknown() } },
  },
  calls: { subscribe: { input: v.array(v.string()) } },
});

const start = (t: Test) =>
  startServer(t, {
    contract,
    limits: { topics: 3 },
    policy: { 'ruled:{id}': { subscribe: async ({ params }) => params['id'] === 'yes' } },
    setup: (server) =>
      server.handle('subscribe' as never, async ({ input, session }) => server.subscribe(session, input)),
  });

t.test('the topics of a call are told before its answer, and get events from there on', async (t) => {
  const { client, server } = await start(t);
  const one = await client();
  const topics = ['open:1', 'ruled:yes', `user:${one.welcome.user.id}`];
  await one.call('subscribe', topics);
  const ops = one.frames.map(([op]) => op);
  t.ok(ops.lastIndexOf(Op.SUBSCRIBED) > 0 && ops.lastIndexOf(Op.SUBSCRIBED) < ops.indexOf(Op.ACK));
  t.same([...server.session(one.welcome.session[0])!.topics], topics);
  for (const topic of topics) t.equal((await server.publish(topic as 'open:1', 'note', 1)).matched, 1);
  for (const topic of topics) await one.event(topic, 'note');
});

t.test('what contract or rules refuse is refused, and nothing else of the call is done', async (t) => {
  const { client, server } = await start(t);
  const one = await client();
  const session = server.session(one.welcome.session[0])!;
  for (const [topic, code] of [
    ['ruled:no', 106],
    ['user:somebody-else', 106],
    ['kept:1', 107],
    ['nowhere', 103],
  ] as const) {
    await t.rejects(one.call('subscribe', ['open:1', topic]), { code }, topic);
    t.equal(session.topics.size, 0);
  }
  await t.rejects(one.call('subscribe', ['open:1', 'open:2', 'open:3', 'open:4']), { code: 202 }, 'too many');
  t.equal(session.topics.size, 0);
  one.cut();
  await server.kick(session);
  await t.rejects(server.subscribe(session, ['open:1']), { name: 'disconnected' }, 'a session that ended');
});
