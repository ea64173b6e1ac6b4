/** Scenes of calls, in both directions. */
import { Op } from '../protocol/frames.js';
import type { Line } from './driver.js';
import { refusal, resumed, same, type Scenarios } from './scene.js';
import { Mismatch } from './wire.js';

export const callScenes: Scenarios = {
  calls: {
    title: 'Answers go to their calls, late ones to nobody; a refusal has code and details',
    rules: ['RW-FRM-2', 'RW-FRM-3', 'RW-FRM-8', 'RW-CAL-2'],
    async play(script) {
      const { peer } = await script.welcome();
      const [a, b, c] = ['a', 'b', 'c'].map((name) => script.ask('call', { name, data: { n: 1 } }));
      const ids = [await peer.call('a'), await peer.call('b'), await peer.call('c')].map(({ id }) => id);
      peer.send([Op.ACK, 2_000_000, 'nobody'], [Op.NACK, 2_000_001, 130, 'nobody'], [Op.ACK, ids[2], 'C']);
      peer.send([Op.NACK, ids[0], 105, 'no', { issues: [] }], [Op.NACK, ids[1], 199, 'unknown']);
      same('the answer', (await c?.())?.['ok'], 'C');
      const refused = (await a?.())?.['error'] as Line | undefined;
      same('the refusal', [refused?.['code'], refused?.['details']], [105, { issues: [] }]);
      same('the unknown refusal', b && refusal(await b()), 199);
    },
  },
  'calls-over-a-cut': {
    title: 'A call without a key fails with the connection, one with a key is repeated as the same bytes',
    rules: ['RW-CAL-4', 'RW-CAL-5', 'RW-CAL-6', 'RW-SES-8'],
    async play(script) {
      const { peer } = await script.welcome();
      const plain = script.ask('call', { name: 'plain', data: 1 });
      const keyed = script.ask('call', { name: 'keyed', data: { b: 1, a: 2 }, key: 'k1' });
      await peer.call('plain');
      const sent = await peer.call('keyed');
      same('the key', sent.options['key'], 'k1');
      const next = await resumed(script);
      const again = await next.peer.call('keyed');
      // What is left of `timeoutMs` may be less.
      same('the data of the repetition', again.data, sent.data);
      same('the key of the repetition', again.options['key'], 'k1');
      next.peer.send([Op.ACK, again.id, 'done']);
      same('the answer', (await keyed())['ok'], 'done');
      same('the refusal', refusal(await plain()), 204);
      same('repetitions of the other', next.peer.frames.filter(([op]) => op === Op.CALL).length, 0);
    },
  },
  'calls-within-limits': {
    title: 'No more calls wait at a time than pendingCalls says; what was made offline goes in order',
    rules: ['RW-CAL-9', 'RW-LIM-1'],
    async play(script) {
      await script.welcome();
      await script.saw('status', { status: 'live' });
      await script.fault({ do: 'cut' });
      const { peer: next } = await script.welcome({
        resumed: true,
        limits: { pendingCalls: 2, messageBytes: 1_048_576 },
      });
      const answers = [0, 1, 2, 3, 4, 5].map((n) => script.ask('call', { name: 'n', data: n }));
      for (let n = 0; n < 6; n++) {
        const { id, data } = await next.call('n');
        same('the order', data, n);
        next.send([Op.PING, n]);
        await next.take(Op.PONG, ([, stamp]) => stamp === n);
        const flying = next.frames.filter(([op]) => op === Op.CALL).length + 1;
        if (flying > 2) throw new Mismatch(`RW-CAL-9: ${flying} calls wait`);
        next.send([Op.ACK, id, n]);
      }
      for (const [n, answer] of answers.entries()) same('the answer', (await answer())['ok'], n);
    },
  },
  'server-calls': {
    title: "The server's calls are answered: by the handler, or by 102 where there is none",
    rules: ['RW-CAL-8'],
    async play(script) {
      const { peer } = await script.welcome();
      await script.done('handle', { name: 'echo' });
      peer.send(
        [Op.CALL, 1, 'echo', { n: 1 }, { timeoutMs: 1_000 }],
        [Op.CALL, 2, 'nothing', null, { timeoutMs: 1_000 }],
      );
      const [, , data] = await peer.take(Op.ACK, ([, id]) => id === 1);
      same('the answer', data, { n: 1 });
      const [, , code] = await peer.take(Op.NACK, ([, id]) => id === 2);
      same('the refusal', code, 102);
    },
  },
  'server-call-fails': {
    title: "A handler that fails answers the server's call with 130, and tells nothing of why",
    rules: ['RW-CAL-8'],
    async play(script) {
      const { peer } = await script.welcome();
      await script.done('handle-badly', { name: 'fails' });
      peer.send([Op.CALL, 1, 'fails', 'do not tell', { timeoutMs: 1_000 }]);
      const frame = await peer.take(Op.NACK, ([, id]) => id === 1);
      same('the refusal', frame[2], 130);
      if (JSON.stringify(frame).includes('do not tell')) throw new Mismatch('the refusal tells the reason');
    },
  },
  'server-call-over-a-cut': {
    title: 'An answer goes to the connection that its call came on, or nowhere',
    rules: ['RW-CAL-8', 'RW-FRM-2'],
    async play(script) {
      const { peer } = await script.welcome();
      await script.done('handle-later', { name: 'later' });
      peer.send([Op.CALL, 1, 'later', 'old', { timeoutMs: 60_000 }]);
      await peer.settled();
      const next = await resumed(script);
      await script.saw('status', { status: 'live' });
      next.peer.send([Op.CALL, 1, 'later', 'new', { timeoutMs: 60_000 }]);
      await next.peer.settled();
      await script.done('finish', { name: 'later' });
      const [, , data] = await next.peer.take(Op.ACK, ([, id]) => id === 1);
      same('the answer', data, 'new');
      await next.peer.settled();
      same('further answers', next.peer.frames.filter(([op]) => op === Op.ACK || op === Op.NACK).length, 0);
    },
  },
};
