/** Stolen, guessed and copied tickets: none replaces a token, gives another's session, or disturbs its owner. */
import t from 'tap';
import { token } from '../support/jwt.js';
import { startOpen } from '../support/open-server.js';
import { startRooms } from '../support/rooms.js';
import { SECRET as secret } from '../support/tokens.js';
import { until } from '../support/until.js';
import { bystander } from './bystander.js';
import { otherSecret, refusal } from './refusal.js';

t.test('a ticket never replaces a token', async (t) => {
  const s = await startOpen(t, { auth: { secret } });
  const ann = await bystander(t, s, { token: await token('ann') });
  const ticket = { session: ann.welcome.session, instance: 'bystander' };
  t.equal((await refusal(s.connect(), ticket)).code, 4100);
  t.equal((await refusal(s.connect(), { ...ticket, token: '' })).code, 4100);
  t.equal((await refusal(s.connect(), { ...ticket, token: ann.welcome.session[1] })).code, 4100);
  t.equal((await refusal(s.connect(), { ...ticket, token: await token('ann', { exp: 1 }) })).code, 4101);
  t.equal((await refusal(s.connect(), { ...ticket, token: await token('ann', { key: otherSecret }) })).code, 4100);
  await ann.undisturbed();
  ann.cut();
  await until(() => !s.server.session(ann.welcome.session[0])!.connected);
  t.equal((await refusal(s.connect(), ticket)).code, 4100, 'nor in its grace');
  t.equal((await s.client({ ...ticket, token: await token('ann') })).welcome.resumed, true);
});

t.test("a stolen ticket gives another user a session of its own, and none of its owner's rooms", async (t) => {
  const s = await startRooms(t, { auth: { secret } });
  const claims = { groups: ['red'] };
  const ann = await bystander(t, s, { token: await token('ann', { claims }) });
  const joined = await ann.call<{ positions: Record<string, [string, number]> }>('join:room', {
    roomId: 'secret-plans',
    create: { group: 'red' },
  });
  await ann.publish('room:secret-plans', 'chat:message:new', { text: 'for the red ones' });
  const { token: lock } = await ann.call<{ token: number }>('lock:acquire', { roomId: 'secret-plans' });
  const stolen = { session: ann.welcome.session, instance: 'bystander', resume: joined.positions };
  const thief = await s.client({ ...stolen, token: await token('eve') });
  t.match(thief.welcome, { resumed: false, user: { id: 'eve' } });
  t.not(thief.welcome.session[0], ann.welcome.session[0]);
  t.strictSame(thief.welcome.topics['room:secret-plans'], { epoch: '', offset: 0, recovered: false, code: 107 });
  await t.rejects(thief.call('join:room', { roomId: 'secret-plans' }), { code: 120 });
  await t.rejects(thief.call('lock:release', { roomId: 'secret-plans', token: lock }), { code: 120 });
  await thief.barrier();
  t.strictSame(thief.events('room:secret-plans'), []);
  await ann.publish('room:secret-plans', 'chat:message:new', { text: 'all is well' });
  await ann.undisturbed();
  // The owner's ticket is as good as before.
  const back = await s.client({ ...stolen, token: await token('ann', { claims }) });
  t.match(back.welcome, { resumed: true, topics: { 'room:secret-plans': { recovered: true } } });
  t.match(await back.call('lock:release', { roomId: 'secret-plans', token: lock }), { released: true });
});

t.test(
  'a ticket with a wrong secret, sid or instance begins a new session, and the real one stays as it is',
  async (t) => {
    const s = await startOpen(t, { auth: { secret } });
    const jwt = await token('ann');
    const ann = await bystander(t, s, { token: jwt });
    const second = await s.client({ token: jwt, instance: 'second' });
    await ann.subscribe('chat:1');
    const [sid, ticketSecret] = ann.welcome.session;
    const tickets: readonly (readonly [string, string])[] = [
      [sid, ''],
      [sid, 'wrong'],
      [sid, ticketSecret.slice(0, -1)],
      [sid, `${ticketSecret}=`],
      [sid, ticketSecret.toUpperCase()],
      [sid, second.welcome.session[1]],
      [sid, sid],
      ['', ticketSecret],
      ['__proto__', ticketSecret],
      [second.welcome.session[0], ticketSecret],
      [ticketSecret, sid],
    ];
    for (const session of tickets) {
      const guess = await s.client({ token: jwt, session, instance: 'bystander' });
      t.equal(guess.welcome.resumed, false, session.join(' '));
      t.notOk([sid, second.welcome.session[0]].includes(guess.welcome.session[0]));
    }
    const copy = await s.client({ token: jwt, session: ann.welcome.session, instance: 'copy' });
    t.equal(copy.welcome.resumed, false, 'another instance');
    t.equal((await ann.publish('chat:1', 'message', 1)).matched, 1);
    await ann.undisturbed();
    const back = await s.client({ token: jwt, session: ann.welcome.session, instance: 'bystander' });
    t.equal(back.welcome.resumed, true);
  },
);

t.test("a guest's ticket is as good as its secret: without it one is another guest", async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const [sid, ticketSecret] = other.welcome.session;
  const stranger = await s.client({ session: [sid, 'wrong'], instance: 'bystander' });
  t.equal(stranger.welcome.resumed, false);
  t.not(stranger.welcome.user.id, other.welcome.user.id);
  await other.undisturbed();
  const back = await s.client({ session: [sid, ticketSecret], instance: 'bystander' });
  t.match(back.welcome, { resumed: true, user: { id: other.welcome.user.id } });
});
