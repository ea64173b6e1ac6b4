/** Scenes of locks: the line, late grants, leases that the client counts by its own clock. */
import { Op } from '../protocol/frames.js';
import type { Line } from './driver.js';
import { answered, joined, locked, refusal, resumed, ROOM, same, TARGET, type Scenarios } from './scene.js';

const ROOM_KEPT = { [ROOM]: { epoch: 'e', offset: 3, recovered: true } };

export const lockScenes: Scenarios = {
  'lock-refreshed': {
    title: 'A lock is refreshed well before its lease ends, and lost when the server says so',
    rules: ['RW-LCK-5', 'RW-LCK-7', 'RW-LCK-4'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      await locked(script, peer, 1_500);
      const { id, data } = await peer.call('lock:refresh');
      same('the token', data['token'], 7);
      peer.send([Op.NACK, id, 125, 'lost', { target: TARGET, holder: null }]);
      await script.saw('lost', { target: TARGET });
    },
  },
  'lock-refused': {
    title: 'A lock that another holds is refused, with the details of who',
    rules: ['RW-LCK-3', 'RW-FRM-8'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      const answer = script.ask('lock', { room: 'demo', target: TARGET, ttl: 30_000 });
      const { id } = await peer.call('lock:acquire');
      const details = { target: TARGET, userId: 'u2', userName: 'Bob', sid: null, msg: null, expiresInMs: 500 };
      peer.send([Op.NACK, id, 205, 'held', details]);
      const refused = (await answer())['error'] as Line | undefined;
      same('the refusal', refused?.['code'], 205);
      const told = refused?.['details'] as Line | undefined;
      for (const [key, value] of Object.entries(details)) same(`details.${key}`, told?.[key], value);
    },
  },
  'lock-waits': {
    title: 'A wait in line goes on over a cut: the same call with its key, the same bytes',
    rules: ['RW-LCK-9', 'RW-CAL-5', 'RW-CAL-7'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      const answer = script.ask('lock', { room: 'demo', target: TARGET, ttl: 30_000, wait: 60_000 });
      const sent = await peer.call('lock:acquire');
      same('the wait', sent.data['wait'], 60_000);
      same('the key', typeof sent.options['key'], 'string');
      const next = await resumed(script, ROOM_KEPT);
      const again = await next.peer.call('lock:acquire');
      same('the repetition', [again.data, again.options['key']], [sent.data, sent.options['key']]);
      const expiresAt = Date.now() + 30_000;
      next.peer.answers.set('lock:refresh', () => ({ target: TARGET, token: 7, expiresAt }));
      next.peer.send([Op.ACK, again.id, { target: TARGET, token: 7, expiresAt, waited: 10 }]);
      await answered(answer);
      same('losses', script.count('lost'), 0);
    },
  },
  'lock-granted-late': {
    title: 'A lock that is granted when nobody waits for it any more is given back',
    rules: ['RW-LCK-9', 'RW-CAL-7', 'RW-CAL-10'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      const answer = script.ask('lock', { room: 'demo', target: TARGET, ttl: 30_000, wait: 100, timeoutMs: 200 });
      const { id } = await peer.call('lock:acquire');
      same('the refusal', refusal(await answer()), 200);
      const [, cancelled] = await peer.take(Op.CANCEL);
      same('CANCEL', cancelled, id);
      peer.send([Op.ACK, id, { target: TARGET, token: 7, expiresAt: Date.now() + 30_000, waited: 150 }]);
      const release = await peer.call('lock:release');
      same('the release', [release.data['target'], release.data['token']], [TARGET, 7]);
    },
  },
  'lock-lost-in-line': {
    title:
      'A wait that was given up while the connection was away is repeated with its CANCEL, and given back if granted',
    rules: ['RW-CAL-7', 'RW-CAL-10'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      const answer = script.ask('lock', { room: 'demo', target: TARGET, ttl: 30_000, wait: 100, timeoutMs: 300 });
      const sent = await peer.call('lock:acquire');
      script.server.refusing = true;
      await script.fault({ do: 'cut' });
      same('the refusal', refusal(await answer()), 200);
      script.server.refusing = false;
      const { peer: next } = await script.welcome({ resumed: true, topics: ROOM_KEPT });
      const again = await next.call('lock:acquire');
      same('the key', again.options['key'], sent.options['key']);
      const [, cancelled] = await next.take(Op.CANCEL);
      same('CANCEL', cancelled, again.id);
      next.send([Op.ACK, again.id, { target: TARGET, token: 7, expiresAt: Date.now() + 30_000 }]);
      same('the token', (await next.call('lock:release')).data['token'], 7);
    },
  },
  'lock-kept': {
    title: 'A lock outlives a cut: the session is resumed, and the lock is refreshed with its token',
    rules: ['RW-LCK-6', 'RW-LCK-5'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      await locked(script, peer, 3_000);
      const next = await resumed(script, ROOM_KEPT);
      const { data } = await next.peer.call('lock:refresh');
      same('the token', data['token'], 7);
      same('losses', script.count('lost'), 0);
    },
  },
  'lock-by-its-own-clock': {
    title: 'A lock is lost when its lease may be over, though the server says nothing',
    rules: ['RW-LCK-7'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      await locked(script, peer, 1_000);
      await script.fault({ do: 'stall' });
      await script.saw('lost', { target: TARGET });
    },
  },
  'lock-ends-with-the-grace': {
    title: 'A lock is lost when the session may be over, however long its lease',
    rules: ['RW-LCK-7', 'RW-SES-6'],
    async play(script) {
      const limits = { graceMs: 1_000, graceMaxMs: 1_000, messageBytes: 1_048_576 };
      const { peer } = await script.welcome({ limits });
      await joined(script, peer);
      await locked(script, peer, 600_000);
      script.server.refusing = true;
      await script.fault({ do: 'cut' });
      await script.saw('lost', { target: TARGET });
    },
  },
  'lock-asks': {
    title: 'While a lock is held the client sends PING at least every third of the grace',
    rules: ['RW-LCK-7'],
    async play(script) {
      const limits = { graceMs: 2_400, graceMaxMs: 2_400, messageBytes: 1_048_576 };
      const { peer } = await script.welcome({ limits });
      await joined(script, peer);
      await locked(script, peer, 600_000);
      for (let n = 0; n < 4; n++) {
        const [, stamp] = await peer.take(Op.PING);
        peer.send([Op.PONG, stamp, Date.now()]);
      }
      same('losses', script.count('lost'), 0);
    },
  },
  'lock-taken-by-another': {
    title: 'A lock:update that names another holder ends the lock',
    rules: ['RW-LCK-8'],
    async play(script) {
      const { peer } = await script.welcome();
      await joined(script, peer);
      const lock = { target: TARGET, userId: 'u1', userName: 'Ann', sid: 'sid-1', msg: null, timestamp: 1 };
      const update = (parts: object) => ({ roomId: 'demo', target: TARGET, lock: { ...lock, ...parts } });
      const answer = script.ask('lock', { room: 'demo', target: TARGET, ttl: 60_000 });
      const { id } = await peer.call('lock:acquire');
      const expiresAt = Date.now() + 60_000;
      peer.send(
        [Op.ACK, id, { target: TARGET, token: 7, expiresAt }],
        [Op.EVENTS, ROOM, 4, ['lock:update', update({ expiresAt }), null]],
      );
      await answered(answer);
      peer.send([Op.EVENTS, ROOM, 5, ['lock:update', update({ sid: 'sid-2', userId: 'u2', expiresAt }), null]]);
      const asks = (): boolean => peer.frames.some(([, , called]) => called === 'lock:refresh');
      await script.until(
        () => asks() || script.count('lost') > 0,
        () => 'the client neither asks nor tells of the loss',
      );
      // Some ask first: events of earlier holders may come late.
      if (asks())
        peer.send([Op.NACK, (await peer.call('lock:refresh')).id, 125, 'lost', { target: TARGET, holder: null }]);
      await script.saw('lost', { target: TARGET });
    },
  },
};
