/** What comes in floods is let go of when everybody has gone: calls, publishes, keys, sessions, HELLOs, requests. */
import { Op } from '../../src/protocol/frames.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';
import { cut, fat, KB, MANY, testFloods } from './held.js';

testFloods([
  {
    name: 'calls behind a policy that never answers, cancelled or left behind',
    async run({ come, policy }) {
      const clients = [await come(), await come()] as const;
      const before = policy.asked;
      clients.forEach((client, k) => {
        for (let i = 0; i < MANY / 2; i++) client.send([Op.CALL, 100 + i, 'judged', fat(i), { key: `${k} ${i}` }]);
      });
      await until(() => policy.asked === before + MANY);
      for (let i = 0; i < MANY / 2; i++) clients[0].send([Op.CANCEL, 100 + i]);
      await clients[0].barrier();
      await cut(clients);
    },
  },
  {
    name: 'publishes and volatile values behind a policy that never answers',
    async run({ come, policy }) {
      const client = await come();
      await client.subscribe('chat:1');
      const before = policy.asked;
      for (let i = 0; i < MANY / 2; i++) {
        client.send([Op.PUBLISH, 100 + i, 'chat:1', 'judged', null, fat(i)]);
        client.send([Op.VOLATILE, 'chat:1', 'judged', `${i}`, fat(i)]);
      }
      await until(() => policy.asked === before + MANY);
      await cut([client]);
    },
  },
  {
    name: 'calls to a handler that hangs, until it answers',
    async run({ come, policy }) {
      const client = await come();
      for (let i = 0; i < MANY; i++) client.send([Op.CALL, 100 + i, 'stuck', fat(i), { key: `k${i}` }]);
      await until(() => policy.asked >= MANY);
      await cut([client]);
      policy.answer();
    },
  },
  {
    name: 'idempotency keys with their results',
    async run({ come }, n) {
      const client = await come();
      await client.subscribe('chat:1');
      for (let i = 0; i < MANY; i++) {
        await client.call('echo', fat(i), { key: `${n} ${i}` }).catch(() => undefined);
        await client.publish('chat:1', 'said', i, `${n} ${i}`).catch(() => undefined);
      }
      await cut([client]);
    },
  },
  {
    name: 'volatile values',
    async run({ come }) {
      const clients = [await come(), await come(), await come()];
      for (const [i, client] of clients.entries()) {
        await client.subscribe('chat:1');
        for (let slot = 0; slot < MANY / 4; slot++) client.send([Op.VOLATILE, 'chat:1', 'said', `${slot}`, fat(i)]);
        await client.barrier();
        client.frames.length = 0;
      }
      await cut(clients);
    },
  },
  {
    name: 'subscriptions to topics that nobody wrote, and those whose policy answers when the client has gone',
    async run({ come, policy }) {
      for (let i = 0; i < 4; i++) {
        const client = await come();
        for (let k = 0; k < 500; k++) {
          client.send(
            [Op.SUBSCRIBE, 2 * k + 100, `chat:${i} ${k}`, null],
            [Op.SUBSCRIBE, 2 * k + 101, `closed:${i} ${k}`, null],
          );
        }
        await client.answer(1_098);
        await cut([client]);
      }
      policy.answer();
    },
  },
  {
    name: 'sessions that are kicked, and users that come and go',
    async run({ come, server }) {
      for (let i = 0; i < MANY; i++) {
        const client = await come();
        const sid = client.frames[0]?.[2] as unknown as { session: [string, string] };
        if (i % 2 === 0) await server.kick(server.session(sid.session[0])!);
        else client.send([Op.BYE]);
        await client.closed;
      }
    },
  },
  {
    name: 'HELLOs that wait for a hook while their clients have gone',
    async run({ url, state, arrivals }) {
      state.slowly = true;
      const clients: WireClient[] = [];
      for (let i = 0; i < MANY; i++) {
        const client = await new WireClient(url).open();
        client.send([Op.HELLO, 1, { instance: 'x', agent: 'y'.repeat(100), resume: {}, pad: 'z'.repeat(12 * KB) }]);
        clients.push(client);
      }
      await until(() => arrivals.asked === MANY);
      await cut(clients);
      state.slowly = false;
      arrivals.answer();
    },
  },
  {
    name: 'HTTP requests that wait, and whose clients have gone',
    async run({ http, arrivals }) {
      const stop = new AbortController();
      const asked = Array.from({ length: MANY / 2 }, (_, i) =>
        fetch(`${http}/stuck`, { method: 'POST', body: fat(i), signal: stop.signal }).catch(() => undefined),
      );
      await until(() => arrivals.asked === MANY / 2);
      stop.abort();
      await Promise.all(asked);
      arrivals.answer();
    },
  },
  {
    name: 'questions of diagnosis about names without end',
    async run({ server }, n) {
      for (let i = 0; i < 2_000; i++) {
        const topic = `chat:${n} ${i} ${'n'.repeat(150)}`;
        await server.inspect(topic);
        await server.why(topic, 1, `user ${n} ${i}`).catch(() => undefined);
      }
    },
  },
]);
