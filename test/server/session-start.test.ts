/** onSessionStart: what a program does for each new session belongs to the session's begin. */
import t from 'tap';
import { RoomwireError } from '../../src/protocol/errors.js';
import { Op } from '../../src/protocol/frames.js';
import type { Plugin, Session, Transaction } from '../../src/server/api.js';
import { startServer, testStore, type Test } from '../support/server.js';
import { connect } from '../../src/client/node.js';
import { until } from '../support/until.js';

async function start(t: Test, onStart: (tx: Transaction, session: Session) => void) {
  const greeter: Plugin = { name: 'greeter', setup: (host) => host.onSessionStart(onStart) };
  return startServer(t, { plugins: [greeter], store: testStore(t) });
}

const joinAll = (tx: Transaction, session: Session): void => {
  tx.subscribe(session, 'news:all');
  tx.subscribe(session, 'kept:all');
};

t.test('a new session is in the topics it was put into before any event, told after WELCOME', async (t) => {
  const { client, server } = await start(t, joinAll);
  const first = await client();
  const { matched } = await server.publish('news:all', 'headline', { text: 'one' });
  t.equal(matched, 1);
  await first.event('news:all', 'headline');
  t.equal(first.frames[0]?.[0], Op.WELCOME, 'WELCOME is the first frame');
  t.same(
    first.frames.filter(([op]) => op === Op.SUBSCRIBED).map(([, topic]) => topic),
    ['news:all', 'kept:all'],
  );
});

t.test('a resumed session is not begun again: what it left it stays out of', async (t) => {
  let begun = 0;
  const { client, server } = await start(t, (tx, session) => {
    joinAll(tx, session);
    tx.afterCommit(() => begun++);
  });
  const first = await client();
  await first.request(Op.UNSUBSCRIBE, 'news:all');
  const session = server.session(first.welcome.session[0])!;
  first.cut();
  await until(() => !session.connected);
  const again = await client({ session: first.welcome.session });
  t.ok(again.welcome.resumed);
  t.equal(begun, 1);
  t.same(Object.keys(again.welcome.topics), ['kept:all']);
  t.same([...session.topics], ['kept:all']);
});

t.test('a client whose session is gone recovers the topic it is put into again', async (t) => {
  const { client, server } = await start(t, joinAll);
  const first = await client();
  const [, , epoch, offset] = await first.frame(([op]) => op === Op.SUBSCRIBED);
  first.send([Op.BYE]);
  await first.closed;
  await server.publish('news:all', 'headline', { text: 'missed' });
  const late = await client({ resume: { 'news:all': [epoch as string, offset as number] } });
  t.equal(late.welcome.resumed, false);
  t.match(late.welcome.topics['news:all'], { recovered: true });
  await late.event('news:all', 'headline');
  t.same(
    late.events('news:all').map(([, , data]) => data),
    [{ text: 'missed' }],
    'once',
  );
  t.equal((await server.publish('news:all', 'headline', { text: 'next' })).matched, 1, 'one subscription');
});

t.test('a call to the client may greet it', async (t) => {
  const { url } = await startServer(t, {
    plugins: [
      {
        name: 'greeter',
        setup: (host) =>
          host.onSessionStart((tx, session) =>
            tx.afterCommit(() => void host.call(session, 'echo', { hello: session.user.name }).catch(() => undefined)),
          ),
      } satisfies Plugin,
    ],
  });
  const client = connect(url);
  t.teardown(() => client.close());
  const greetings: unknown[] = [];
  client.handle('echo', (input) => void greetings.push(input));
  await until(() => greetings.length === 1);
  t.same(greetings, [{ hello: client.state.get().user?.name }]);
});

t.test('what it throws refuses the session, of which nothing stays', async (t) => {
  const { connect, server } = await start(t, (tx, session) => {
    joinAll(tx, session);
    throw new RoomwireError('forbidden', 'not today');
  });
  const refused = connect();
  await t.rejects(refused.hello());
  t.same(await refused.closed, { code: 4006, reason: 'not today' });
  t.equal(server.stats().sessions, 0);
  t.equal((await server.publish('news:all', 'headline', { text: 'to nobody' })).matched, 0);
});
