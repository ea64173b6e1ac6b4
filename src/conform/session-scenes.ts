/** Scenes of the connection: HELLO, resume, closes, tokens, events, calls in both directions. */
import { Op } from '../protocol/frames.js';
import { same, subscribed, TOPIC, type Scenario, type Scenarios } from './scene.js';
import type { Line } from './script.js';
import { Mismatch } from './wire.js';

export const sessionScenes: Scenarios = {
  'hello-and-ping': {
    title: 'HELLO has the token and is alone; PING is answered at once',
    rules: ['RW-HEL-1', 'RW-AUT-1', 'RW-CON-1', 'RW-CON-9'],
    async play(script) {
      const { peer, hello } = await script.welcome();
      same('the token', hello['token'], 'token-1');
      peer.send([Op.PING, 'stamp']);
      const [, stamp] = await peer.take(Op.PONG);
      same('the stamp of PONG', stamp, 'stamp');
    },
  },
  'events-once': {
    title: 'Events come in order, what was seen before is ignored, and a gap is told as a reset',
    rules: ['RW-SUB-1', 'RW-EVT-1', 'RW-EVT-5', 'RW-FRM-4', 'RW-FRM-5'],
    async play(script) {
      const { peer } = await script.welcome();
      await subscribed(script, peer);
      peer.send([Op.EVENTS, TOPIC, 1, ['note', 1, null], ['note', 2, null, 'more']], [200, 'unknown']);
      peer.send([Op.EVENTS, TOPIC, 2, ['note', 2, null], ['note', 3, null]]);
      for (const data of [1, 2, 3]) await script.saw('event', { data });
      peer.send([Op.EVENTS, TOPIC, 9, ['note', 9, null]]);
      await script.saw('reset', { topic: TOPIC });
      await script.saw('event', { data: 9 });
      same('further events', script.count('event'), 0);
    },
  },
  resume: {
    title: 'After a cut HELLO has the newest secret and the delivery cursor; missed events come once',
    rules: ['RW-SES-2', 'RW-SES-3', 'RW-HEL-5', 'RW-EVT-5', 'RW-CLO-1'],
    async play(script) {
      const first = await script.welcome();
      await subscribed(script, first.peer);
      first.peer.send([Op.EVENTS, TOPIC, 1, ['note', 1, null]]);
      await script.saw('event', { data: 1 });
      let { secret, peer } = first;
      for (const n of [1, 2, 3]) {
        peer.cut();
        const topics = { [TOPIC]: { epoch: 'e', offset: n, recovered: true } };
        const next = await script.welcome({ resumed: true, topics });
        same('session', next.hello['session'], ['sid-1', secret]);
        same('instance', next.hello['instance'], first.hello['instance']);
        same('resume', next.hello['resume'], { [TOPIC]: ['e', n] });
        ({ secret, peer } = next);
        const { messages } = peer;
        // A sign that the new secret is stored.
        await script.until(
          () => messages.length > 1,
          () => 'RW-SES-3: the client sends nothing after a resume',
        );
        peer.send([Op.EVENTS, TOPIC, n + 1, ['note', n + 1, null]]);
        await script.saw('event', { data: n + 1 });
      }
      same('further events', script.count('event'), 0);
    },
  },
  ...Object.fromEntries(
    [4006, 4007, 4008].map((code): [string, Scenario] => [
      `close-${code}`,
      {
        title: `${code}: the client stays away`,
        rules: ['RW-CLO-1', 'RW-CLO-2'],
        async play(script) {
          const { peer } = await script.welcome();
          await script.saw('status', { status: 'live' });
          peer.send([Op.GOAWAY, code, 'conform', 0]);
          peer.socket.close(code, 'conform');
          await script.saw('status', { status: 'refused', code });
        },
      },
    ]),
  ),
  ...Object.fromEntries(
    [4200, 4202, 4203, 4300, 1001, 1011].map((code): [string, Scenario] => [
      `close-${code}`,
      {
        title: `${code}: the client comes back with its session`,
        rules: ['RW-CLO-1', 'RW-CLO-4'],
        async play(script) {
          const { peer, secret } = await script.welcome();
          await script.saw('status', { status: 'live' });
          if (code === 4202) peer.send([Op.GOAWAY, code, 'conform', 50]);
          peer.socket.close(code, 'conform');
          const { hello } = await script.hello();
          same('session', hello['session'], ['sid-1', secret]);
        },
      },
    ]),
  ),
  'token-again': {
    title: '4101: a new token is asked for before the client comes back',
    rules: ['RW-CLO-1', 'RW-AUT-5'],
    async play(script) {
      const { peer } = await script.welcome();
      await script.done('token', { token: 'token-2' });
      peer.socket.close(4101, 'expired');
      const { hello } = await script.hello();
      same('the token', hello['token'], 'token-2');
    },
  },
  auth: {
    title: 'AUTH renews the token before it expires',
    rules: ['RW-AUT-4', 'RW-AUT-5'],
    async play(script) {
      await script.done('token', { token: 'token-2' });
      const { peer } = await script.welcome({ expiresAt: Date.now() + 2_000 });
      const [, id, token] = await peer.take(Op.AUTH);
      same('the token', token, 'token-2');
      peer.send([Op.ACK, id, { expiresAt: Date.now() + 3_600_000 }]);
    },
  },
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
      const refusal = (await a?.())?.['error'] as Line | undefined;
      same('the refusal', [refusal?.['code'], refusal?.['details']], [105, { issues: [] }]);
      same('the unknown refusal', ((await b?.())?.['error'] as Line | undefined)?.['code'], 199);
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
      peer.cut();
      const next = await script.welcome({ resumed: true });
      const again = await next.peer.call('keyed');
      // What is left of `timeoutMs` may be less.
      same('the data of the repetition', again.data, sent.data);
      same('the key of the repetition', again.options['key'], 'k1');
      next.peer.send([Op.ACK, again.id, 'done']);
      same('the answer', (await keyed())['ok'], 'done');
      same('the refusal', ((await plain())['error'] as Line | undefined)?.['code'], 204);
      same('repetitions of the other', next.peer.frames.filter(([op]) => op === Op.CALL).length, 0);
    },
  },
  'calls-within-limits': {
    title: 'No more calls wait at a time than pendingCalls says; what was made offline goes in order',
    rules: ['RW-CAL-9', 'RW-LIM-1'],
    async play(script) {
      const { peer } = await script.welcome();
      await script.saw('status', { status: 'live' });
      peer.cut();
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
  'bad-message': {
    title: 'A message that is none, and an unknown opcode below 128, end the connection; the client comes back',
    rules: ['RW-ENC-1', 'RW-FRM-5', 'RW-CLO-1'],
    async play(script) {
      const first = await script.welcome();
      await script.saw('status', { status: 'live' });
      first.peer.socket.send(Buffer.from('9203d40100', 'hex'));
      await first.peer.gone();
      const second = await script.welcome({ resumed: true });
      await script.saw('status', { status: 'live' });
      second.peer.send([99, 'unknown']);
      await second.peer.gone();
      await script.hello();
    },
  },
  'hello-fits': {
    title: 'HELLO stays within helloBytes: what finds no room in resume is left out, and asked for after WELCOME',
    rules: ['RW-HEL-1', 'RW-HEL-5', 'RW-SUB-4'],
    async play(script) {
      const { peer } = await script.welcome({ limits: { messageBytes: 1_048_576, helloBytes: 600 } });
      const names = Array.from({ length: 40 }, (_, n) => `news:${'x'.repeat(20)}-${n}`);
      for (const topic of names) await subscribed(script, peer, topic);
      peer.cut();
      const { peer: next, hello } = await script.hello();
      const bytes = next.last?.length ?? 0;
      if (bytes > 600) throw new Mismatch(`RW-HEL-1: HELLO has ${bytes} bytes`);
      if (Object.keys(hello['resume'] as Line).length === 0) throw new Mismatch('RW-HEL-5: resume is empty');
    },
  },
};
