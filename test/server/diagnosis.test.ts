/** What the server says when asked why an event did not arrive: one incident a test, with the sentence it must answer. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { until } from '../support/until.js';

const LARGE = 'x'.repeat(200_000);
const TOPIC = 'chat:1';

t.test('an event was written, and handled once the client says so', async (t) => {
  const { client, server } = await startOpen(t);
  const reader = await client();
  const [sid] = reader.welcome.session;
  const { epoch } = await reader.subscribe(TOPIC);
  const { offset } = await server.publish(TOPIC, 'notice', 1);
  await reader.event(TOPIC, 'notice');
  t.match(await server.why(TOPIC, offset, sid), { verdict: 'written', sentence: /^Written to the socket at \d{4}-/ });
  reader.send([Op.POSITION, { [TOPIC]: [epoch, offset] }]);
  await reader.call('echo', 1);
  t.match(await server.why(TOPIC, offset, sid), { verdict: 'handled', sentence: /handled chat:1 up to 1/ });
  t.match((await server.inspect(TOPIC)).subscribers, [{ sid, connected: true, cursor: 1, lag: 0, handled: 1 }]);
  reader.send([Op.POSITION, { [TOPIC]: [epoch, 99] }], [Op.POSITION, 'nonsense'], [Op.POSITION, { 'chat:2': 1 }]);
  await reader.call('echo', 2);
  t.match((await server.inspect(TOPIC)).subscribers, [{ handled: 1 }], 'nobody has handled what was not sent');
});

t.test(
  'a user that subscribed after the event, or left before it, is told apart from one that never came',
  async (t) => {
    const { client, server } = await startOpen(t);
    const [early, late, other] = [await client(), await client(), await client()];
    await early.subscribe(TOPIC);
    await server.publish(TOPIC, 'notice', 1);
    await early.request(Op.UNSUBSCRIBE, TOPIC);
    const { offset } = await server.publish(TOPIC, 'notice', 2);
    await late.subscribe(TOPIC);
    const why = (client: typeof early) => server.why(TOPIC, offset, client.welcome.user.id);
    t.match(await why(early), { verdict: 'left_before', sentence: /ended at .*\(left\), after event 1/ });
    t.match(await why(late), { verdict: 'joined_after', sentence: /subscribed at .*, after event 2/ });
    t.match(await why(other), { verdict: 'never_subscribed' });
    t.match(await server.why(TOPIC, offset, 'nobody'), { verdict: 'no_such_session' });
    t.match(await server.why(TOPIC, 3, 'nobody'), { verdict: 'no_such_offset', sentence: /newest is 2/ });
  },
);

t.test('a misspelt topic is answered with how many there are and what it may have meant', async (t) => {
  const { client, server } = await startOpen(t);
  const reader = await client();
  await reader.subscribe('chat:conversation-17');
  const { matched } = await server.publish('chat:conversatoin-17', 'notice', 1);
  t.equal(matched, 0);
  const report = await server.inspect('chat:conversaton-17');
  t.match(report, { exists: false, known: true, subscriberCount: 0 });
  t.ok(report.similar?.includes('chat:conversation-17'));
  t.ok((report.topics ?? 0) >= 1);
  const { verdict, sentence } = await server.why('chat:conversaton-17', 1, reader.welcome.user.id);
  t.equal(verdict, 'no_such_topic');
  t.match(sentence, /Did you mean .*chat:conversation-17/);
  t.match(await server.why('nowhere', 1, 'x'), { sentence: /The contract has no topic nowhere/ });
});

t.test(
  'a topic that was misspelt when publishing exists by that, and still says what may have been meant',
  async (t) => {
    const { client, server } = await startOpen(t);
    const reader = await client();
    await reader.subscribe('chat:conversation-17');
    await server.publish('chat:conversation-71', 'notice', 'an earlier mistake');
    const { offset, matched } = await server.publish('chat:conversatoin-17', 'notice', 1);
    t.equal(matched, 0);
    const report = await server.inspect('chat:conversatoin-17');
    t.match(report, { exists: true, subscriberCount: 0, publishes: [{ matched: 0 }] });
    t.same(report.similar, ['chat:conversation-17', 'chat:conversation-71'], 'where somebody is comes first');
    const { verdict, sentence } = await server.why('chat:conversatoin-17', offset, reader.welcome.user.id);
    t.equal(verdict, 'never_subscribed');
    t.match(sentence, /Nobody is in chat:conversatoin-17 at all. Did you mean chat:conversation-17 or/);
    t.equal((await server.inspect('chat:conversation-17')).similar, undefined);
  },
);

t.test('a client that does not read is behind, and then caught up at a time', async (t) => {
  const { client, server } = await startOpen(t, { limits: { historyBytes: 64 * 1024 * 1024 } });
  const [stalled, reading] = [await client(), await client()];
  for (const each of [stalled, reading]) await each.subscribe(TOPIC);
  stalled.socket.pause();
  for (let n = 0; n < 60; n++) await server.publish(TOPIC, 'notice', LARGE);
  await reading.event(TOPIC, 'notice', 60);
  const [sid] = stalled.welcome.session;
  t.match(await server.why(TOPIC, 60, sid), {
    verdict: 'behind',
    sentence: /^Behind since \d{4}-.*socket does not take/,
  });
  const { subscribers, publishes } = await server.inspect(TOPIC);
  t.equal(subscribers[0]?.sid, sid, 'the furthest behind comes first');
  t.ok((subscribers[0]?.lag ?? 0) > 0);
  t.ok((subscribers[0]?.bufferedBytes ?? 0) > 0);
  t.match(publishes[0], { offset: 60, matched: 2, behind: 1 });
  stalled.socket.resume();
  await stalled.event(TOPIC, 'notice', 60);
  t.match(await server.why(TOPIC, 60, sid), { verdict: 'written', sentence: /behind from .*, caught up at / });
  t.match((await server.inspect(TOPIC)).publishes[0], { offset: 60, behind: 0 });
});

t.test('what a RESET stood for is named as such', async (t) => {
  const { client, server } = await startOpen(t, { limits: { historyEvents: 8 } });
  const stalled = await client();
  await stalled.subscribe(TOPIC);
  stalled.socket.pause();
  for (let n = 0; n < 60; n++) await server.publish(TOPIC, 'notice', LARGE);
  stalled.socket.resume();
  await stalled.frame(([op]) => op === Op.RESET);
  await stalled.call('echo', 1);
  const missing = stalled.events(TOPIC).length + 1;
  t.match(await server.why(TOPIC, missing, stalled.welcome.session[0]), {
    verdict: 'reset',
    sentence: /^RESET at .*: it was too slow for the history and was told to refetch/,
  });
});

t.test('a client that vanished is away while its grace runs, got it when it resumed, or left for good', async (t) => {
  const time = new ManualTime();
  const { client, server } = await startOpen(t, { time });
  const [resumes, leaves] = [await client(), await client()];
  for (const each of [resumes, leaves]) await each.subscribe(TOPIC);
  await server.publish(TOPIC, 'notice', 1);
  await Promise.all([resumes, leaves].map((each) => each.event(TOPIC, 'notice')));
  const { epoch } = await server.inspect(TOPIC).then(({ epoch }) => ({ epoch: epoch! }));
  for (const each of [resumes, leaves]) each.cut();
  await until(() => server.stats().connections === 0);
  const { offset, matched } = await server.publish(TOPIC, 'notice', 2);
  t.equal(matched, 0);
  const [sid] = resumes.welcome.session;
  t.match(await server.why(TOPIC, offset, sid), {
    verdict: 'away',
    sentence: /lost at .*, after event 1; its grace runs/,
  });
  const back = await client({ session: resumes.welcome.session, resume: { [TOPIC]: [epoch, 1] } });
  await back.event(TOPIC, 'notice');
  t.match(await server.why(TOPIC, offset, sid), { verdict: 'written' });
  t.match(await server.why(TOPIC, 1, sid), { verdict: 'handled', sentence: /resumed after 1/ }, 'its position says so');
  time.advance(20_000);
  await until(() => server.session(leaves.welcome.session[0]) === undefined);
  t.match(await server.why(TOPIC, offset, leaves.welcome.session[0]), {
    verdict: 'left_before',
    sentence: /did not come back within its grace/,
  });
});

t.test('who was kicked, or said goodbye, left by that, and did not merely lose a connection', async (t) => {
  const { client, server } = await startOpen(t);
  const [kicked, gone] = [await client(), await client()];
  for (const each of [kicked, gone]) await each.subscribe(TOPIC);
  await server.kick(server.session(kicked.welcome.session[0])!);
  gone.send([Op.BYE]);
  await until(() => server.stats().sessions === 0);
  const { offset } = await server.publish(TOPIC, 'notice', 1);
  t.match(await server.why(TOPIC, offset, kicked.welcome.session[0]), {
    verdict: 'left_before',
    sentence: /its subscription ended at \d{4}-.*\(kicked\)/,
  });
  t.match(await server.why(TOPIC, offset, gone.welcome.session[0]), {
    verdict: 'left_before',
    sentence: /its subscription ended at \d{4}-.*\(said goodbye\)/,
  });
});
