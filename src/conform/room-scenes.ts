/** Scenes of rooms: two cursors, refetches, ends, crowds, the presenter. */
import { Op } from '../protocol/frames.js';
import {
  ann,
  answered,
  eventually,
  joined,
  locked,
  news,
  quiet,
  refusal,
  reply,
  resumed,
  ROOM,
  same,
  stateOf,
  TARGET,
  type Scenario,
  type Scenarios,
} from './scene.js';
import { Mismatch } from './wire.js';

const bob = { userId: 'u2', name: 'Bob', order: 2, online: 1 };
const eve = { userId: 'u3', name: 'Eve', order: 3, online: 1 };

export const roomScenes: Scenarios = {
  'two-cursors': {
    title: 'A reply ahead of the events moves the state alone: resume has what was delivered',
    rules: ['RW-EVT-5', 'RW-ORD-5', 'RW-POS-3'],
    async play(script) {
      const { peer } = await script.welcome();
      const joined = script.ask('join', { room: 'demo' });
      const { id } = await peer.call('join:room');
      // Two events of a chat that the reply includes have not come yet.
      peer.send([Op.SUBSCRIBED, ROOM, 'e', 3, true], [Op.ACK, id, reply(5)]);
      await answered(joined);
      await script.fault({ do: 'cut' });
      const { hello } = await script.hello();
      same('resume', hello['resume'], { [ROOM]: ['e', 3] });
    },
  },
  'state-once': {
    title: 'Events that a reply includes change the state no more, and later ones do',
    rules: ['RW-ORD-5', 'RW-ROM-2', 'RW-ROM-6'],
    async play(script) {
      const { peer } = await script.welcome();
      const joined = script.ask('join', { room: 'demo' });
      const { id } = await peer.call('join:room');
      peer.send([Op.SUBSCRIBED, ROOM, 'e', 3, true], [Op.ACK, id, reply(5, { members: [ann, bob], memberCount: 2 })]);
      await answered(joined);
      peer.send([
        Op.EVENTS,
        ROOM,
        4,
        ['member:left', { roomId: 'demo', userId: 'u2', reason: 'left' }, null],
        ['member:joined', { roomId: 'demo', member: bob }, null],
      ]);
      peer.send(news(ROOM, 6, 'member:joined', { roomId: 'demo', member: eve }));
      await eventually(script, 'members', ['u1', 'u2', 'u3']);
    },
  },
  reset: {
    title: 'RESET in a room: it is read again, the reply is applied, and one that is too old is asked for once more',
    rules: ['RW-RST-1', 'RW-RST-2'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      await script.fault({ do: 'reset', topic: ROOM });
      const [, lost] = script.server.position(ROOM);
      const { id } = await peer.call('join:room');
      peer.send([Op.ACK, id, reply(lost - 1, { memberCount: 40 })]);
      const again = await peer.call('join:room');
      same('create', again.data['create'], undefined);
      // It came after the RESET, and the reply does not have it.
      const host = { userId: 'u9', userName: 'Eve' };
      peer.send(news(ROOM, lost + 1, 'host:update', { roomId: 'demo', host }));
      peer.send([Op.ACK, again.id, reply(lost)]);
      await script.saw('reset', { topic: ROOM });
      await eventually(script, 'host', 'u9');
    },
  },
  'not-recovered': {
    title: 'recovered: false is told as a reset, and a room is read again',
    rules: ['RW-HEL-5', 'RW-RST-2'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      const next = await resumed(script, { [ROOM]: { epoch: 'e2', offset: 7, recovered: false } });
      const { id } = await next.peer.call('join:room');
      next.peer.send([Op.ACK, id, reply(7, {}, 'e2')]);
      await script.saw('reset', { topic: ROOM });
    },
  },
  'session-gone': {
    title: 'A new session joins its rooms again, without create, and its locks are lost',
    rules: ['RW-SES-2', 'RW-SES-7', 'RW-LCK-6'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer, true);
      await locked(script, peer);
      await script.fault({ do: 'restart' });
      const next = await script.welcome({
        session: ['sid-2', 'other'],
        topics: { [ROOM]: { epoch: 'e', offset: 0, recovered: false, code: 107 } },
      });
      await script.saw('lost', { target: TARGET });
      const { id, data } = await next.peer.call('join:room');
      same('create', data['create'], undefined);
      next.peer.send([Op.SUBSCRIBED, ROOM, 'e', 9, true], [Op.ACK, id, reply(9)]);
      await script.saw('reset', { topic: ROOM });
    },
  },
  ...Object.fromEntries(
    [
      [106, 'kicked', ['RW-SES-7', 'RW-SUB-9']],
      [120, 'deleted', ['RW-SES-7', 'RW-SUB-9']],
    ].map(([code, what, rules]): [string, Scenario] => [
      `${String(what)}-while-away`,
      {
        title: `${String(code)} in WELCOME ends the room: it is told, and not joined again`,
        rules: rules as string[],
        async play(script) {
          const { peer } = await script.welcome();
          await joined(script, peer);
          const next = await resumed(script, { [ROOM]: { epoch: '', offset: 0, recovered: false, code } });
          await script.saw('removed', { topic: ROOM, code });
          await quiet(next.peer, 'join:room');
        },
      },
    ]),
  ),
  removed: {
    title: 'REMOVED by a kick ends the room: it is told, and not joined again',
    rules: ['RW-SUB-9'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      peer.send([Op.REMOVED, ROOM, 106, 'kicked']);
      await script.saw('removed', { topic: ROOM, code: 106 });
      await quiet(peer, 'join:room');
    },
  },
  deleted: {
    title: 'REMOVED because the room was deleted ends it: it is told, and not joined again',
    rules: ['RW-SUB-9', 'RW-ROM-5'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer, true);
      peer.send(news(ROOM, 4, 'room:delete', { roomId: 'demo', version: 200 }), [Op.REMOVED, ROOM, 120, 'deleted']);
      await script.saw('removed', { topic: ROOM, code: 120 });
      await quiet(peer, 'join:room');
    },
  },
  'join-refused': {
    title: 'A join that is refused is told with its code, and leaves nothing',
    rules: ['RW-FRM-8', 'RW-FRM-9'],
    async play(script) {
      const { peer } = await script.welcome();
      const answer = script.ask('join', { room: 'demo' });
      const { id } = await peer.call('join:room');
      peer.send([Op.NACK, id, 120, 'no such room']);
      same('the refusal', refusal(await answer()), 120);
      const { hello } = await resumed(script);
      same('resume', Object.keys(hello['resume'] ?? {}), []);
    },
  },
  leave: {
    title: 'Who leaves says so, and is in the room no more',
    rules: ['RW-SUB-9', 'RW-ORD-4'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      const answer = script.ask('leave', { room: 'demo' });
      const { id } = await peer.call('leave:room');
      peer.send([Op.REMOVED, ROOM, 0, 'left'], [Op.ACK, id, { status: 'left', room: ROOM }]);
      await answered(answer);
      same('the status', (await stateOf(script))['status'], 'left');
      const next = await resumed(script);
      same('resume', Object.keys(next.hello['resume'] ?? {}), []);
      await quiet(next.peer, 'join:room');
    },
  },
  'leave-unanswered': {
    title:
      'A leave whose answer was lost ended the stay: a join that fails for a time after it does not show the room as joined',
    rules: ['RW-SES-8', 'RW-SUB-9'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      script.ask('leave', { room: 'demo' });
      await peer.call('leave:room');
      peer.send([Op.REMOVED, ROOM, 0, 'left']);
      await peer.settled();
      script.server.refusing = true;
      await script.fault({ do: 'cut' });
      await script.saw('status', { status: 'offline' });
      const joining = script.ask('join', { room: 'demo' });
      await script.done('state', { room: 'demo' });
      script.server.refusing = false;
      const { peer: next } = await script.welcome({ resumed: true });
      // The repetition of the leave is refused for a time, and so is the join.
      const leave = await next.take(Op.CALL);
      next.send([Op.NACK, leave[1], 203, 'later']);
      if (leave[2] === 'leave:room') next.send([Op.NACK, (await next.call('join:room')).id, 203, 'later']);
      same('the refusal of the join', refusal(await joining()), 203);
      const { status } = await stateOf(script);
      if (status === 'joined') throw new Mismatch('the room is shown as joined');
    },
  },
  crowded: {
    title: 'A crowded room is a count and a first page; the pages are read one after the other',
    rules: ['RW-ROM-13'],
    async play(script) {
      const { peer } = await script.welcome();
      const answer = script.ask('join', { room: 'demo' });
      const { id } = await peer.call('join:room');
      const crowd = { members: [ann], memberCount: 500, complete: false };
      peer.send([Op.SUBSCRIBED, ROOM, 'e', 3, true], [Op.ACK, id, reply(3, crowd)]);
      await answered(answer);
      await eventually(script, 'complete', false);
      await eventually(script, 'memberCount', 500);
      peer.send([Op.LATEST, ROOM, 'member:count', '', { roomId: 'demo', memberCount: 501 }, null]);
      await eventually(script, 'memberCount', 501);
      const members = script.ask('members', { room: 'demo' });
      const pages = [
        { members: [bob], next: '2' },
        { members: [eve], next: null },
      ];
      let after: unknown;
      for (const page of pages) {
        const asked = await peer.call('room:members');
        // The first may be gone on with from the join's reply, too.
        if (after !== undefined) same('after', asked.data['after'], after);
        after = page.next;
        peer.send([Op.ACK, asked.id, { ...page, memberCount: 501, positions: { [ROOM]: ['e', 3] } }]);
      }
      const all = (await members())['ok'] as string[];
      for (const user of ['u2', 'u3'])
        if (!all.includes(user)) throw new Mismatch(`${user} is not among the members ${all.join(', ')}`);
    },
  },
  'crowds-come-and-go': {
    title: 'member:mode takes the names away, and brings all of them back',
    rules: ['RW-ROM-13', 'RW-ROM-6'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      const mode = (members: object[], memberCount: number, complete: boolean) => ({
        roomId: 'demo',
        members,
        memberCount,
        complete,
      });
      peer.send(news(ROOM, 4, 'member:mode', mode([], 201, false)));
      await eventually(script, 'members', []);
      await eventually(script, 'memberCount', 201);
      peer.send(news(ROOM, 5, 'member:mode', mode([ann, bob], 2, true)));
      await eventually(script, 'members', ['u1', 'u2']);
      peer.send(news(ROOM, 6, 'member:joined', { roomId: 'demo', member: eve }));
      await eventually(script, 'memberCount', 3);
      peer.send(news(ROOM, 7, 'member:left', { roomId: 'demo', userId: 'u2', reason: 'left' }));
      await eventually(script, 'members', ['u1', 'u3']);
      await eventually(script, 'complete', true);
    },
  },
  'own-words': {
    title: "Only the server's events change a room's state",
    rules: ['RW-EVT-2', 'RW-ROM-12'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      const host = (userId: string) => ({ roomId: 'demo', host: { userId, userName: userId } });
      peer.send([Op.EVENTS, ROOM, 4, ['host:update', host('forged'), 'sid-9'], ['note', 'after', 'sid-9']]);
      await script.saw('event', { data: 'after' });
      same('the host', (await stateOf(script))['host'], 'u1');
      peer.send(news(ROOM, 6, 'host:update', host('u9')));
      await eventually(script, 'host', 'u9');
    },
  },
  presenter: {
    title: "The presenter's part is taken, shown, given away and refused",
    rules: ['RW-ROM-8', 'RW-LCK-3'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      const part = async (action: string, parts: object, presenterSid: string | null): Promise<void> => {
        const answer = script.ask('presenter', { room: 'demo', action, ...parts });
        const { id, data } = await peer.call(`presenter:${action}`);
        same('the input', data, { roomId: 'demo', ...parts });
        peer.send([Op.ACK, id, { presenterSid }]);
        await answered(answer);
      };
      const shows = async (offset: number, sid: string | null): Promise<void> => {
        const presenter = sid && { userId: 'u', userName: 'U', sid };
        peer.send(news(ROOM, offset, 'presenter:update', { roomId: 'demo', presenter }));
        await eventually(script, 'presenter', sid);
      };
      await part('take', {}, 'sid-1');
      await shows(4, 'sid-1');
      await part('give', { sid: 'sid-2' }, 'sid-2');
      await shows(5, 'sid-2');
      const refused = script.ask('presenter', { room: 'demo', action: 'take' });
      const { id } = await peer.call('presenter:take');
      peer.send([Op.NACK, id, 205, 'held', { target: 'presenter', userId: 'u', expiresInMs: null }]);
      same('the refusal', refusal(await refused()), 205);
      await shows(6, null);
    },
  },
};
