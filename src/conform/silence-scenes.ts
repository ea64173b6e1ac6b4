/** Scenes of silence: networks that stall, servers that do not answer. Each of them waits. */
import { Op } from '../protocol/frames.js';
import { answered, news, same, subscribed, TOPIC, type Scenarios } from './scene.js';

/** To a sign of life, where the client cannot be told another time; and from connecting to WELCOME (RW-CON-7). */
const PATIENCE = { pongMs: 10_000, welcomeMs: 15_000 };
/** A busy machine, and the backoff. */
const MARGIN_MS = 10_000;

export const silenceScenes: Scenarios = {
  'stall-of-a-moment': {
    title: 'A connection that stalls for a moment is kept: what waited comes once, in order',
    rules: ['RW-CON-6', 'RW-EVT-5'],
    async play(script) {
      const { peer } = await script.welcome();
      await subscribed(script, peer);
      const answer = script.ask('call', { name: 'a', data: null });
      const { id } = await peer.call('a');
      await script.fault({ do: 'stall' });
      peer.send(news(TOPIC, 1, 'note', 1), [Op.ACK, id, 'late']);
      const second = script.ask('call', { name: 'b', data: null });
      await script.fault({ do: 'resume' });
      same('the answer', (await answer())['ok'], 'late');
      await script.saw('event', { data: 1 });
      peer.send([Op.ACK, (await peer.call('b')).id, null]);
      await answered(second);
      same('connections', script.server.peers.length, 1);
    },
  },
  silence: {
    title:
      'After pingEvery of silence the client sends PING; without an answer it gives the connection up, and resumes',
    rules: ['RW-CON-7', 'RW-CLO-6'],
    connect: { pingTimeoutMs: 300 },
    async play(script) {
      const { peer, secret } = await script.welcome({ pingEvery: 200 });
      await peer.take(Op.PING);
      const { hello } = await script.hello(PATIENCE.pongMs + MARGIN_MS);
      same('session', hello['session'], ['sid-1', secret]);
    },
  },
  stall: {
    title: 'A network that stalls is given up, and the session goes on over another connection',
    rules: ['RW-CON-7', 'RW-SES-2'],
    connect: { pingTimeoutMs: 300 },
    async play(script) {
      const { secret } = await script.welcome({ pingEvery: 200 });
      await script.saw('status', { status: 'live' });
      await script.fault({ do: 'stall' });
      const { peers } = script.server;
      await script.until(
        () => peers.length > 1,
        () => 'the client keeps a connection that stalls',
        PATIENCE.pongMs + MARGIN_MS,
      );
      await script.fault({ do: 'resume' });
      const { hello } = await script.hello();
      same('session', hello['session'], ['sid-1', secret]);
    },
  },
  'alive-without-words': {
    title: 'PONG alone keeps a connection',
    rules: ['RW-CON-7'],
    connect: { pingTimeoutMs: 1_000 },
    async play(script) {
      const { peer } = await script.welcome({ pingEvery: 200 });
      for (let n = 0; n < 6; n++) {
        const [, stamp] = await peer.take(Op.PING);
        peer.send([Op.PONG, stamp, Date.now()]);
      }
      same('connections', script.server.peers.length, 1);
    },
  },
  'no-welcome': {
    title: 'A connection without a WELCOME is given up after 15 s',
    rules: ['RW-CON-7'],
    async play(script) {
      await script.hello();
      await script.hello(PATIENCE.welcomeMs + MARGIN_MS);
    },
  },
};
