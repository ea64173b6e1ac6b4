/** Rates: what comes too often is refused with when to come again, by session, by user and by namespace. */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { KeyedRate, Rates, type RateOptions } from '../../src/server/gate/rates.js';
import { defaultLimits, type Limits } from '../../src/protocol/limits.js';
import { ManualTime } from '../support/manual-time.js';
import type { ServerSession } from '../../src/server/sessions/session.js';
import { startOpen } from '../support/open-server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

const unlimited = {
  ...defaultLimits,
  callsPerSecond: 0,
  publishesPerSecond: 0,
  joinsPerSecond: 0,
  userCallsPerSecond: 0,
  userPublishesPerSecond: 0,
  userJoinsPerSecond: 0,
};

function rates(limits: Partial<Limits>, options?: RateOptions) {
  const table = new Rates({ ...unlimited, ...limits }, options);
  const session = () => ({ buckets: undefined });
  return { take: table.take.bind(table), session };
}

t.test('two seconds worth may come at once, then as many as the rate, and the refusal says when', async (t) => {
  const { take, session } = rates({ callsPerSecond: 10 });
  const [one, user] = [session(), session()];
  const call = (now: number) => take('calls', 'x', one, user, now);
  for (let i = 0; i < 20; i++) call(1_000);
  t.throws(() => call(1_000), { code: 201, details: { retryAfterMs: 100 } });
  t.throws(() => call(1_099), { code: 201, details: { retryAfterMs: 1 } }, 'a refusal costs nothing');
  call(1_100);
  t.throws(() => call(1_100), { code: 201, details: { retryAfterMs: 100 } });
  for (let i = 0; i < 20; i++) call(10_000);
  t.throws(() => call(10_000), { code: 201 }, 'what was not used does not add up beyond the burst');
});

t.test('a user with many sessions has one allowance for all, and each kind its own', async (t) => {
  const { take, session } = rates({ callsPerSecond: 10, userCallsPerSecond: 15 });
  const [one, two, user] = [session(), session(), session()];
  for (let i = 0; i < 20; i++) take('calls', 'x', one, user, 0);
  for (let i = 0; i < 10; i++) take('calls', 'x', two, user, 0);
  t.throws(() => take('calls', 'x', two, user, 0), { code: 201 });
  t.doesNotThrow(() => take('publishes', 'chat:1', one, user, 0));
});

t.test('a namespace has its own, narrower rate beside the others', async (t) => {
  const { take, session } = rates({ callsPerSecond: 100 }, { calls: { 'lock:*': 1 }, publishes: { 'chat:{id}': 2 } });
  const [one, user] = [session(), session()];
  for (let i = 0; i < 2; i++) take('calls', 'lock:acquire', one, user, 0);
  t.throws(() => take('calls', 'lock:release', one, user, 0), { code: 201, details: { retryAfterMs: 1_000 } });
  t.doesNotThrow(() => take('calls', 'echo', one, user, 0));
  for (let i = 0; i < 4; i++) take('publishes', `chat:${i}`, one, user, 0);
  t.throws(() => take('publishes', 'chat:9', one, user, 0), { code: 201 });
  t.doesNotThrow(() => take('publishes', 'news:9', one, user, 0));
  t.throws(() => rates({}, { calls: { x: 0 } }), /must be a number above 0/);
});

t.test('over the wire a flood is refused frame by frame with retryAfterMs, and taken again after it', async (t) => {
  const time = new ManualTime();
  const { client, server } = await startOpen(t, {
    time,
    limits: { callsPerSecond: 5, publishesPerSecond: 5, joinsPerSecond: 5 },
  });
  const flooder = await client();
  await flooder.subscribe('chat:1');
  const limits = flooder.welcome.limits as { callsPerSecond: number };
  t.equal(limits.callsPerSecond, 5, 'announced');
  const floods: Record<string, () => Promise<unknown>> = {
    calls: () => flooder.call('echo', 1),
    publishes: () => flooder.publish('chat:1', 'message', 1),
    joins: () => flooder.subscribe('chat:1'),
  };
  for (const [kind, once] of Object.entries(floods)) {
    const results = await Promise.allSettled(Array.from({ length: 12 }, once));
    const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason as object);
    t.equal(refused.length, 2, kind);
    t.match(refused[0], { code: 201, details: { retryAfterMs: 200 } }, kind);
    time.advance(200);
    await t.resolves(once(), kind);
  }
  time.advance(2_000);
  flooder.send(...Array.from({ length: 12 }, (_, i) => [Op.VOLATILE, 'chat:1', 'message', `slot${i}`, i]));
  t.match(await flooder.frame(([op, id]) => op === Op.NACK && id === 0), [Op.NACK, 0, 201]);
  t.match(server.stats(), { connections: 1 }, 'a flood closes nothing');
});

t.test(
  'a rate by key lets at least one through, however low it is, and forgets the keys idle the longest',
  async (t) => {
    let now = 0;
    const rate = new KeyedRate(0.1, () => now);
    rate.take('ada');
    t.throws(() => rate.take('ada'), { code: 201, details: { retryAfterMs: 10_000 } });
    rate.take('bob');
    now = 10_000;
    t.doesNotThrow(() => rate.take('ada'));
    for (let i = 0; i < 10_000; i++) rate.take(`outsider ${i}`);
    t.doesNotThrow(() => rate.take('ada'), 'forgotten');
    t.throws(() => rate.take('outsider 9999'), { code: 201 });
    t.throws(() => new KeyedRate(0, () => now), /above 0/);
  },
);

t.test(
  'rule 4: a user who left is forgotten with full buckets, and not while something of theirs goes on',
  async (t) => {
    const time = new ManualTime();
    const answers: (() => void)[] = [];
    const s = await startOpen(t, {
      time,
      pingEvery: 1e9,
      auth: { secret: SECRET },
      without: ['echo'],
      setup: (server) => server.handle('echo', () => new Promise<null>((resolve) => answers.push(() => resolve(null)))),
    });
    const come = async () => {
      const each = await s.client({ token: await tokenFor('ann'), grace: 0 });
      const { account } = s.server.session(each.welcome.session[0]) as ServerSession;
      const leave = async (): Promise<void> => {
        each.send([Op.BYE]);
        await each.closed;
        await until(() => s.server.stats().sessions === 0);
      };
      return { each, account, leave };
    };
    const first = await come();
    first.each.send([Op.CALL, 100, 'echo', null], [Op.CANCEL, 100]);
    await until(() => answers.length === 1);
    await first.leave();
    const second = await come();
    t.equal(second.account, first.account, 'what was spent is not given anew');
    await second.leave();
    for (let i = 0; i < 3; i++) {
      time.advance(5_100);
      const again = await come();
      t.equal(again.account, first.account, 'its work goes on');
      await again.leave();
    }
    answers[0]?.();
    await until(() => first.account?.pending.bytes === 0);
    time.advance(5_100);
    const last = await come();
    t.not(last.account, first.account, 'nothing of it is left');
  },
);
