/** Floods of names and things: what outsiders can make the server remember has an end, and is forgotten when they go. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { concat, encode } from '../../src/protocol/codec.js';
import { Op } from '../../src/protocol/frames.js';
import type { Limits } from '../../src/protocol/limits.js';
import { WireClient } from '../support/wire-client.js';
import { arena, attacker, count, each } from './attack.js';

/** No rate gets in the way: it is the sizes that are tried. */
const unlimited: Partial<Limits> = {
  ...{ callsPerSecond: 0, publishesPerSecond: 0, joinsPerSecond: 0, straysPerSecond: 0 },
  ...{ userCallsPerSecond: 0, userPublishesPerSecond: 0, userJoinsPerSecond: 0, userStraysPerSecond: 0 },
};
/** A twentieth, too: as many come in one message, so that the bound is met however slow the machine. */
const KEYS = count(10_000);
const attack = await arena(t, { limits: { ...unlimited, keyTtlMs: 1_000, keys: KEYS } });
const EACH = 500;

/** `[code, count]` of the answers so far. */
function codes(client: WireClient): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [op, , code] of client.frames) {
    if (op !== Op.NACK && op !== Op.ACK) continue;
    const name = op === Op.ACK ? 'ACK' : `${Number(code)}`;
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

t.test('100,000 topics that come and go are forgotten; a session is in `topics` of them at most (202)', async (t) => {
  await attack(t, {
    async strike(target, share) {
      const client = await attacker(target.url, { token: await target.token('namer'), grace: 0 });
      const total = Math.ceil(count(100_000) * share);
      for (let i = 0; i < total; i += EACH) {
        const names = Array.from({ length: EACH }, (_, k) => `chat:${'n'.repeat(150)}${i + k}`);
        client.socket.send(concat(names.map((name, k) => encode([Op.SUBSCRIBE, 2 * k + 10, name, null]))));
        client.socket.send(concat(names.map((name, k) => encode([Op.UNSUBSCRIBE, 2 * k + 11, name]))));
        // Not faster than it can: more would be refused as waiting.
        await new Promise((resolve) => client.socket.once('message', resolve).once('close', resolve));
        await delay(5);
      }
      t.equal(client.socket.readyState, 1, 'it is still served');
      client.cut();
      const greedy = new WireClient(target.url);
      await greedy.hello({ token: await target.token('greedy'), grace: 0 });
      for (let i = 0; i < 1_200; i += 100) {
        greedy.send(...Array.from({ length: 100 }, (_, k) => [Op.SUBSCRIBE, i + k + 10, `chat:${i + k}`, null]));
      }
      await greedy.answer(1_209).catch(() => undefined);
      t.match(codes(greedy), { ACK: 1_000, 202: 200 });
      greedy.cut();
    },
  });
});

t.test('100,000 names of calls, events and topics that do not exist leave nothing behind', async (t) => {
  await attack(t, {
    async strike(target, share) {
      const client = new WireClient(target.url);
      await client.hello({ token: await target.token('liar'), grace: 0 });
      await client.subscribe('chat:1');
      const total = Math.ceil(count(100_000) * share);
      for (let i = 0; i < total; i += EACH) {
        const odd = Array.from({ length: EACH }, (_, k) => {
          const name = `${'n'.repeat(150)}${i + k}`;
          return [
            [Op.CALL, k + 10, name, null],
            [Op.SUBSCRIBE, k + 10, name, null],
            [Op.PUBLISH, k + 10, 'chat:1', name, null, 1],
          ][k % 3] as unknown[];
        });
        client.send(...odd);
        await client.barrier();
        t.match(codes(client), { 102: Number, 103: Number, 104: Number });
        client.frames.length = 0;
      }
      client.cut();
    },
  });
});

t.test('a user has `keys` idempotency keys at once (202), and they are forgotten after their time', async (t) => {
  await attack(t, {
    topics: 1,
    async strike(target, share) {
      const client = new WireClient(target.url);
      await client.hello({ token: await target.token(`keeper ${share}`), grace: 0 });
      await client.subscribe('chat:keys');
      const total = Math.ceil(count(240_000) * share);
      const found: Record<string, number> = {};
      /** Resolves when a key is taken: of those before, enough are forgotten. */
      const free = async (): Promise<void> => {
        for (let tries = 0; ; tries++) {
          try {
            await client.publish('chat:keys', 'message', 1, `after ${share} ${tries}`);
            return;
          } catch (error) {
            if ((error as { code?: number }).code !== 202) throw error;
            await delay(100);
          }
        }
      };
      for (let i = 0; i < total; i += 1_000) {
        client.send(
          ...Array.from({ length: 1_000 }, (_, k) => [
            Op.PUBLISH,
            k + 10,
            'chat:keys',
            'message',
            `${share}-${i + k}`,
            1,
          ]),
        );
        await client.answer(1_009).catch(() => undefined);
        for (const [code, n] of Object.entries(codes(client))) found[code] = (found[code] ?? 0) + n;
        client.frames.length = 0;
      }
      t.strictSame(
        Object.keys(found).filter((code) => !['ACK', '202'].includes(code)),
        [],
        `answers: ${JSON.stringify(found)}`,
      );
      if (total > 1.1 * KEYS) t.ok((found['202'] ?? 0) > 0, 'the bound was reached');
      t.ok((found['ACK'] ?? 0) >= Math.min(total, KEYS), 'until then each was taken');
      await free();
      client.cut();
    },
  });
});

t.test('volatile slots of a topic, waiters of a lock and calls under way have their bounds', async (t) => {
  await attack(t, {
    topics: 3,
    async strike(target, share) {
      const [slots, waits] = [new WireClient(target.url), new WireClient(target.url)];
      await slots.hello({ token: await target.token('slots'), grace: 0 });
      await slots.subscribe('chat:slots');
      const total = Math.ceil(count(100_000) * share);
      for (let i = 0; i < total; i += EACH) {
        slots.send(
          ...Array.from({ length: EACH }, (_, k) => [
            Op.VOLATILE,
            'chat:slots',
            'message',
            `slot ${i + k}`,
            'x'.repeat(100),
          ]),
        );
        await slots.barrier();
      }
      t.ok(
        (codes(slots)['202'] ?? 0) > 0,
        'slots are refused with 202, and of those without an id 100 a second are told',
      );
      slots.cut();
      await waits.hello({ token: await target.token('waits'), grace: 0 });
      await waits.call('join:room', { roomId: 'attacked', create: true });
      await waits.call('lock:acquire', { roomId: 'attacked', target: 'x', ttl: 60_000 });
      waits.frames.length = 0;
      const other = new WireClient(target.url);
      await other.hello({ token: await target.token('waits too'), grace: 0 });
      await other.call('join:room', { roomId: 'attacked' });
      other.frames.length = 0;
      other.send(
        ...Array.from({ length: 500 }, (_, k) => [
          Op.CALL,
          k + 10,
          'lock:acquire',
          { roomId: 'attacked', target: 'x', wait: 60_000 },
          { timeoutMs: 90_000 },
        ]),
      );
      await other.answer(509).catch(() => undefined);
      // How many are over pendingCalls depends on how many slices their message took.
      const { 201: over = 0, 202: waiting = 0 } = codes(other);
      t.equal(over + waiting, 499, `one waits, ${waiting} find that it does, ${over} are over pendingCalls`);
      t.ok(waiting > 0);
      await waits.call('leave:room', { roomId: 'attacked' });
      waits.cut();
      other.cut();
    },
  });
});

t.test('40,000 sessions that come and go: a user has `waitingSessionsPerUser` in their grace at most', async (t) => {
  const attack = await arena(t, { admission: { waitingSessionsPerUser: 100 }, limits: { graceMaxMs: 2_000 } });
  await attack(t, {
    async strike(target, share) {
      const token = await target.token('comer');
      const before = await target.holdings();
      await each(Math.ceil(count(40_000) * share), 50, async () => {
        const client = new WireClient(target.url);
        await client.hello({ token, grace: 300_000 });
        client.cut();
      });
      await target.until('100 wait', 5_000, ({ sessions }) => sessions <= before.sessions + 100);
    },
  });
});
