/** Scenes of rooms: two cursors, refetches, ends, locks. */
import { Op } from '../protocol/frames.js';
import {
  ann,
  answered,
  eventually,
  joined,
  locked,
  quiet,
  reply,
  ROOM,
  same,
  type Scenario,
  type Scenarios,
} from './scene.js';

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
      peer.cut();
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
      const bob = { userId: 'u2', name: 'Bob', order: 2, online: 1 };
      peer.send([Op.SUBSCRIBED, ROOM, 'e', 3, true], [Op.ACK, id, reply(5, { members: [ann, bob], memberCount: 2 })]);
      await answered(joined);
      peer.send([
        Op.EVENTS,
        ROOM,
        4,
        ['member:left', { roomId: 'demo', userId: 'u2', reason: 'left' }, null],
        ['member:joined', { roomId: 'demo', member: bob }, null],
      ]);
      peer.send([Op.EVENTS, ROOM, 6, ['member:joined', { roomId: 'demo', member: { ...bob, userId: 'u3' } }, null]]);
      await eventually(script, 'members', ['u1', 'u2', 'u3']);
    },
  },
  reset: {
    title: 'RESET in a room: it is read again, the reply is applied, and one that is too old is asked for once more',
    rules: ['RW-RST-1', 'RW-RST-2'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      peer.send([Op.RESET, ROOM, 'e', 50, 'overrun']);
      const { id } = await peer.call('join:room');
      peer.send([Op.ACK, id, reply(40, { memberCount: 40 })]);
      const again = await peer.call('join:room');
      same('create', again.data['create'], undefined);
      peer.send([
        Op.EVENTS,
        ROOM,
        51,
        ['host:update', { roomId: 'demo', host: { userId: 'u9', userName: 'Eve' } }, null],
      ]);
      peer.send([Op.ACK, again.id, reply(50)]);
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
      peer.cut();
      const next = await script.welcome({
        resumed: true,
        topics: { [ROOM]: { epoch: 'e2', offset: 7, recovered: false } },
      });
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
      peer.cut();
      const next = await script.welcome({
        session: ['sid-2', 'other'],
        topics: { [ROOM]: { epoch: 'e', offset: 0, recovered: false, code: 107 } },
      });
      await script.saw('lost', { target: 'trajectory:meta' });
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
          peer.cut();
          const next = await script.welcome({
            resumed: true,
            topics: { [ROOM]: { epoch: '', offset: 0, recovered: false, code } },
          });
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
  'goaway-counts': {
    title: 'GOAWAY counts where the close code is lost',
    rules: ['RW-CLO-2'],
    async play(script) {
      const { peer } = await script.welcome();
      await script.saw('status', { status: 'live' });
      peer.send([Op.GOAWAY, 4007, 'kicked', 0], [Op.PING, 'told']);
      await peer.take(Op.PONG);
      peer.cut();
      await script.saw('status', { status: 'refused', code: 4007 });
    },
  },
  'lock-refreshed': {
    title: 'A lock is refreshed well before its lease ends, and lost when the server says so',
    rules: ['RW-LCK-5', 'RW-LCK-7', 'RW-LCK-4'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      await locked(script, peer, 1_500);
      const { id, data } = await peer.call('lock:refresh');
      same('the token', data['token'], 7);
      peer.send([Op.NACK, id, 125, 'lost', { target: 'trajectory:meta', holder: null }]);
      await script.saw('lost', { target: 'trajectory:meta' });
    },
  },
};
