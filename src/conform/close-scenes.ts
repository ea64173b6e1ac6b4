/** Scenes of ends: which close code brings the client back, when, and with which token. */
import { Op } from '../protocol/frames.js';
import { resumed, same, waited, type Scenario, type Scenarios } from './scene.js';

/** Longer than anyone waits for: a client that takes this for its backoff does not come in time. */
const NEVER_MS = 3_600_000;

export const closeScenes: Scenarios = {
  ...Object.fromEntries(
    [4006, 4008, 4099].map((code): [string, Scenario] => [
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
    [1000, 1001, 1009, 1011, 4200, 4202, 4203, 4299, 4300, 4450, 4900].map((code): [string, Scenario] => [
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
  kick: {
    title: '4007: the client stays away',
    rules: ['RW-SES-10', 'RW-CLO-1', 'RW-CLO-2'],
    async play(script) {
      await script.welcome();
      await script.saw('status', { status: 'live' });
      await script.fault({ do: 'kick' });
      await script.saw('status', { status: 'refused', code: 4007 });
    },
  },
  'goaway-counts': {
    title: 'GOAWAY counts where the close code is lost',
    rules: ['RW-CLO-2'],
    async play(script) {
      const { peer } = await script.welcome();
      await script.saw('status', { status: 'live' });
      peer.send([Op.GOAWAY, 4007, 'kicked', 0]);
      await peer.settled();
      await script.fault({ do: 'cut' });
      await script.saw('status', { status: 'refused', code: 4007 });
    },
  },
  'taken-over-by-itself': {
    title: "4008 by the late HELLO of the client's own failed attempt: it comes back, with the newest secret",
    rules: ['RW-SES-5', 'RW-SES-3'],
    async play(script) {
      await script.welcome();
      await script.fault({ do: 'cut' });
      // An attempt that fails: its HELLO came, its WELCOME does not.
      await script.hello();
      await script.fault({ do: 'cut' });
      const { peer, secret } = await script.welcome({ resumed: true });
      await script.saw('status', { status: 'live' });
      peer.goaway(4008);
      const { hello } = await script.hello();
      same('session', hello['session'], ['sid-1', secret]);
    },
  },
  drain: {
    title: 'A drain spreads its clients: the first wait is within retryAfterMs, however short the backoff',
    rules: ['RW-CLO-4'],
    random: 1,
    async play(script) {
      const { peer } = await script.welcome();
      await script.saw('status', { status: 'live' });
      const closed = peer.goaway(4202, 300);
      const { peer: next } = await script.hello();
      waited(closed, next, 300);
    },
  },
  'drain-of-a-moment': {
    title: 'retryAfterMs stands instead of the backoff, however long that is',
    rules: ['RW-CLO-4'],
    connect: { backoffMs: NEVER_MS },
    random: 1,
    async play(script) {
      const { peer } = await script.welcome();
      await script.saw('status', { status: 'live' });
      peer.goaway(4202, 20);
      await script.hello();
    },
  },
  'restart-with-calls': {
    title: 'A restart drains: what was made meanwhile goes to the new server',
    rules: ['RW-CLO-1', 'RW-SES-8'],
    async play(script) {
      await script.welcome();
      await script.saw('status', { status: 'live' });
      await script.fault({ do: 'restart' });
      await script.saw('status', { status: 'offline', code: 4202 });
      const answer = script.ask('call', { name: 'meanwhile', data: 1 });
      const { peer } = await script.welcome({ session: ['sid-2', 'other'] });
      const { id } = await peer.call('meanwhile');
      peer.send([Op.ACK, id, 2]);
      same('the answer', (await answer())['ok'], 2);
    },
  },
  'backoff-grows': {
    title: 'Backoff doubles with each end in a row; a WELCOME alone does not begin it anew',
    rules: ['RW-CLO-1', 'RW-CLO-4'],
    connect: { backoffMs: 60 },
    random: 1,
    async play(script) {
      let { peer } = await script.welcome();
      for (const ms of [60, 120, 240]) {
        const closed = peer.close(1011);
        ({ peer } = await script.welcome({ resumed: true }));
        waited(closed, peer, ms);
      }
    },
  },
  'backoff-asked-for': {
    title: '42xx asks for backoff: the first wait is twice as long',
    rules: ['RW-CLO-1', 'RW-CLO-4'],
    connect: { backoffMs: 150 },
    random: 1,
    async play(script) {
      const { peer } = await script.welcome();
      const closed = peer.goaway(4201);
      waited(closed, (await script.hello()).peer, 300);
    },
  },
  'at-once': {
    title: '43xx: at once the first time, whatever retryAfterMs says',
    rules: ['RW-CLO-1', 'RW-CLO-4'],
    connect: { backoffMs: NEVER_MS },
    random: 1,
    async play(script) {
      const { peer } = await script.welcome();
      peer.goaway(4300, NEVER_MS);
      await script.hello();
    },
  },
  'at-once-once': {
    title: '43xx: with backoff the second time',
    rules: ['RW-CLO-1', 'RW-CLO-4'],
    connect: { backoffMs: 150 },
    random: 1,
    async play(script) {
      (await script.welcome()).peer.goaway(4300);
      const closed = (await script.welcome({ resumed: true })).peer.goaway(4300);
      waited(closed, (await script.hello()).peer, 300);
    },
  },
  'upgrade-refused': {
    title: 'A failed upgrade is a lost connection: the client tries again, with its session',
    rules: ['RW-CON-11', 'RW-CLO-1'],
    async play(script) {
      const { secret } = await script.welcome();
      script.server.refusals.push(503, 429);
      await script.fault({ do: 'cut' });
      const { hello } = await script.hello();
      same('session', hello['session'], ['sid-1', secret]);
      same('refused upgrades', script.server.refused, 2);
    },
  },
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
  'token-at-once': {
    title: '41xx: at once the first time',
    rules: ['RW-CLO-1', 'RW-CLO-4'],
    connect: { backoffMs: NEVER_MS },
    random: 1,
    async play(script) {
      const { peer } = await script.welcome();
      peer.goaway(4101, NEVER_MS);
      await script.hello();
    },
  },
  'tokens-refused': {
    title: 'After five refusals of tokens in a row the client gives up',
    rules: ['RW-CLO-1'],
    async play(script) {
      for (let n = 0; n < 5; n++) (await script.hello()).peer.goaway(4100);
      await script.saw('status', { status: 'refused', code: 4100 });
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
  'auth-refused': {
    title: 'A refused AUTH changes nothing; at the end of the old rights the client comes back with a new token',
    rules: ['RW-AUT-4', 'RW-AUT-5'],
    async play(script) {
      const { peer, secret } = await script.welcome({ expiresAt: Date.now() + 1_500 });
      const [, id] = await peer.take(Op.AUTH);
      peer.send([Op.NACK, id, 301, 'expired']);
      await peer.settled();
      same('connections', script.server.peers.length, 1);
      await script.done('token', { token: 'token-2' });
      peer.goaway(4101);
      const { hello } = await script.hello();
      same('token and session', [hello['token'], hello['session']], ['token-2', ['sid-1', secret]]);
    },
  },
  'auth-again': {
    title: 'The next renewal is counted from what AUTH was answered, and the new token is in the next HELLO',
    rules: ['RW-AUT-5'],
    async play(script) {
      const { peer } = await script.welcome({ expiresAt: Date.now() + 1_500 });
      await script.done('token', { token: 'token-2' });
      const [, first] = await peer.take(Op.AUTH);
      peer.send([Op.ACK, first, { expiresAt: Date.now() + 1_500 }]);
      await script.done('token', { token: 'token-3' });
      const [, second, token] = await peer.take(Op.AUTH);
      same('the token', token, 'token-3');
      peer.send([Op.ACK, second, { expiresAt: Date.now() + 3_600_000 }]);
      const { hello } = await resumed(script);
      same('the token', hello['token'], 'token-3');
    },
  },
};
