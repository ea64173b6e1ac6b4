/** Scenes of the session: HELLO, resume, what is delivered and published. */
import { Op } from '../protocol/frames.js';
import type { Line } from './driver.js';
import { news, refusal, resumed, same, subscribed, TOPIC, type Scenarios } from './scene.js';
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
      let { secret } = first;
      for (const n of [1, 2, 3]) {
        const next = await resumed(script, { [TOPIC]: { epoch: 'e', offset: n, recovered: true } });
        same('session', next.hello['session'], ['sid-1', secret]);
        same('instance', next.hello['instance'], first.hello['instance']);
        same('resume', next.hello['resume'], { [TOPIC]: ['e', n] });
        secret = next.secret;
        const { peer } = next;
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
  volatile: {
    title: 'LATEST is handed over as it comes, and moves no cursor',
    rules: ['RW-VOL-6', 'RW-EVT-5'],
    async play(script) {
      const { peer } = await script.welcome();
      await subscribed(script, peer);
      peer.send(news(TOPIC, 1, 'note', 'logged'), [Op.LATEST, TOPIC, 'note', 'pointer', 'newest', 'sid-2']);
      await script.saw('event', { data: 'logged', offset: 1 });
      await script.saw('event', { data: 'newest', offset: null });
      await script.fault({ do: 'cut' });
      const { hello } = await script.hello();
      same('resume', hello['resume'], { [TOPIC]: ['e', 1] });
    },
  },
  'volatile-out': {
    title: 'Of a slot the newest value is sent at last, and none after it',
    rules: ['RW-VOL-1', 'RW-VOL-3'],
    async play(script) {
      const { peer } = await script.welcome();
      await subscribed(script, peer);
      for (const data of [1, 2, 3]) await script.done('volatile', { topic: TOPIC, event: 'note', slot: 'p', data });
      let newest = 0;
      while (newest < 3) {
        const frame = await peer.take(Op.VOLATILE);
        const data = Number(frame[4]);
        same('VOLATILE', frame, [Op.VOLATILE, TOPIC, 'note', 'p', data]);
        if (data < newest) throw new Mismatch(`${data} comes after ${newest}`);
        newest = data;
      }
      await peer.settled();
      if (peer.frames.some(([op, , , , data]) => op === Op.VOLATILE && data !== 3))
        throw new Mismatch('an older value comes after the newest');
    },
  },
  publish: {
    title: 'A publish waits for the subscription; its ACK and its refusal reach the caller',
    rules: ['RW-SUB-6', 'RW-PUB-1', 'RW-PUB-3', 'RW-FRM-8'],
    async play(script) {
      const { peer } = await script.welcome();
      const subscribing = script.ask('subscribe', { topic: TOPIC });
      const first = script.ask('publish', { topic: TOPIC, event: 'note', data: 1 });
      const [, id] = await peer.take(Op.SUBSCRIBE);
      await peer.settled();
      same('publishes before the ACK', peer.frames.filter(([op]) => op === Op.PUBLISH).length, 0);
      peer.send([Op.ACK, id, { epoch: 'e', offset: 0, recovered: true }]);
      await subscribing();
      const published = await peer.take(Op.PUBLISH);
      same('PUBLISH', published, [Op.PUBLISH, published[1], TOPIC, 'note', null, 1]);
      peer.send([Op.ACK, published[1], { epoch: 'e', offset: 1, matched: 1 }], news(TOPIC, 1, 'note', 1));
      same('the answer', ((await first())['ok'] as Line)['offset'], 1);
      const second = script.ask('publish', { topic: TOPIC, event: 'note', data: 2 });
      const [, other] = await peer.take(Op.PUBLISH);
      peer.send([Op.NACK, other, 106, 'no']);
      same('the refusal', refusal(await second()), 106);
    },
  },
  'publishes-again': {
    title: 'Keyed publishes are repeated after the resume: the same bytes in their old order, before anything newer',
    rules: ['RW-PUB-2', 'RW-PUB-5', 'RW-SES-8'],
    async play(script) {
      const { peer } = await script.welcome();
      await subscribed(script, peer);
      const publish = (n: number): unknown =>
        script.ask('publish', { topic: TOPIC, event: 'note', data: n, key: `k${n}` });
      for (const n of [1, 2, 3]) publish(n);
      for (const n of [1, 2, 3]) {
        const [, , , , key, data] = await peer.take(Op.PUBLISH);
        same('the order', [key, data], [`k${n}`, n]);
      }
      await script.fault({ do: 'cut' });
      await script.saw('status', { status: 'offline' });
      publish(4);
      const { peer: next } = await script.welcome({
        resumed: true,
        topics: { [TOPIC]: { epoch: 'e', offset: 0, recovered: true } },
      });
      for (const n of [1, 2, 3, 4]) {
        const [, , , , key, data] = await next.take(Op.PUBLISH);
        same('the order', [key, data], [`k${n}`, n]);
      }
    },
  },
  unsubscribe: {
    title: 'Who unsubscribes says so, and hears no more',
    rules: ['RW-SUB-7', 'RW-SUB-9'],
    async play(script) {
      const { peer } = await script.welcome();
      await subscribed(script, peer);
      const leaving = script.ask('unsubscribe', { topic: TOPIC });
      const [, id, topic] = await peer.take(Op.UNSUBSCRIBE);
      same('the topic', topic, TOPIC);
      peer.send(news(TOPIC, 1, 'note', 'late'), [Op.REMOVED, TOPIC, 0, 'unsubscribed'], [Op.ACK, id, null]);
      await leaving();
      await peer.settled();
      await script.fault({ do: 'cut' });
      const { hello } = await script.hello();
      same('resume', Object.keys(hello['resume'] ?? {}), []);
      same('removals', script.count('removed'), 0);
    },
  },
  'goes-on-elsewhere': {
    title: 'A subscription that is gone on with from another offset than asked for is told as a reset',
    rules: ['RW-HEL-5', 'RW-SUB-1', 'RW-RST-1'],
    async play(script) {
      const { peer } = await script.welcome();
      await subscribed(script, peer);
      const next = await resumed(script, { [TOPIC]: { epoch: 'e2', offset: 5, recovered: false } });
      await script.saw('reset', { topic: TOPIC });
      next.peer.send(news(TOPIC, 6, 'note', 6));
      await script.saw('event', { data: 6, offset: 6 });
      await script.fault({ do: 'cut' });
      const { hello } = await script.hello();
      same('resume', hello['resume'], { [TOPIC]: ['e2', 6] });
    },
  },
  'subscribes-again': {
    title: 'A new session subscribes what the old one was subscribed to, from where it stood',
    rules: ['RW-HEL-5', 'RW-SUB-1', 'RW-SES-7'],
    async play(script) {
      const { peer } = await script.welcome();
      await subscribed(script, peer);
      peer.send(news(TOPIC, 1, 'note', 1));
      await script.saw('event', { data: 1 });
      await script.fault({ do: 'restart' });
      const next = await script.welcome({ session: ['sid-2', 'other'] });
      const [, id, topic, position] = await next.peer.take(Op.SUBSCRIBE);
      same('SUBSCRIBE', [topic, position], [TOPIC, ['e', 1]]);
      next.peer.send([Op.ACK, id, { epoch: 'e2', offset: 0, recovered: false }]);
      await script.saw('reset', { topic: TOPIC });
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
      await script.fault({ do: 'cut' });
      const { peer: next, hello } = await script.hello();
      const bytes = next.last?.length ?? 0;
      if (bytes > 600) throw new Mismatch(`RW-HEL-1: HELLO has ${bytes} bytes`);
      if (Object.keys(hello['resume'] as Line).length === 0) throw new Mismatch('RW-HEL-5: resume is empty');
    },
  },
};
