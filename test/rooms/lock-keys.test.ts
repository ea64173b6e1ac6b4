/** A keyed lock call belongs to its session: repeated, also over a resume, it is answered the same and takes no second place. */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Op, type Value } from '../../src/protocol/frames.js';
import { gatedStore } from '../support/gated-store.js';
import { startRooms } from '../support/rooms.js';
import { testStore } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';
import type { WireClient } from '../support/wire-client.js';

type Server = Awaited<ReturnType<typeof startRooms>>;
type Client = Awaited<ReturnType<Server['client']>>;

interface Lease {
  readonly token: number;
}

const TARGET = { roomId: 'r', target: 'x' };

/** The id of a keyed call; what else is given follows in the same message. */
function send(client: WireClient, name: string, input: object, key: string, cancel = false): number {
  const id = client.nextId();
  const call = [Op.CALL, id, name, { ...TARGET, ...input }, { key, timeoutMs: 60_000 }];
  client.send(call, ...(cancel ? [[Op.CANCEL, id]] : []));
  return id;
}

/** What was sent before has had its transaction. */
function settled(client: WireClient): Promise<unknown> {
  return client.call('presenter:release', { roomId: 'r' }).catch(() => undefined);
}

async function answer(client: WireClient, id: number): Promise<readonly [op: Value, first: Value]> {
  const [op = null, , first = null] = await client.frame(([op, of]) => (op === Op.ACK || op === Op.NACK) && of === id);
  return [op, first];
}

async function room(t: Test, ...users: string[]) {
  const server = await startRooms(t, { auth: { secret: SECRET } });
  const join = async (i: number): Promise<Client> => {
    const client = await server.client({ token: await tokenFor(users[i] as string), instance: `i${i}` });
    await client.call('join:room', { roomId: 'r', create: true });
    return client;
  };
  const clients: Client[] = [];
  for (const i of users.keys()) clients.push(await join(i));
  /** Cuts a session's connection, and gives its next one. */
  const resume = async (i: number): Promise<Client> => {
    const { session } = (clients[i] as Client).welcome;
    clients[i]?.cut();
    const next = await server.client({ token: await tokenFor(users[i] as string), instance: `i${i}`, session });
    t.equal(next.welcome.resumed, true);
    await settled(next);
    return (clients[i] = next);
  };
  const waiting = (): number => server.server.plugins.rooms.holders().waiting;
  return {
    clients: clients as [Client, Client, Client],
    resume,
    waiting,
    holders: () => server.server.plugins.rooms.holders(),
  };
}

t.test(
  'a repetition of a call that waits in line waits with it, in one place, on the same connection and after a resume',
  async (t) => {
    const { clients, resume, waiting } = await room(t, 'a', 'b', 'c');
    const [a, b, c] = clients;
    const lease = await a.call<Lease>('lock:acquire', TARGET);
    const ids = [send(b, 'lock:acquire', { wait: 60_000 }, 'k'), send(b, 'lock:acquire', { wait: 60_000 }, 'k')];
    await settled(b);
    t.equal(waiting(), 1);
    const behind = send(c, 'lock:acquire', { wait: 60_000 }, 'c');
    await settled(c);
    const back = await resume(1);
    t.equal(waiting(), 2, 'its place is kept while it is away');
    const again = send(back, 'lock:acquire', { wait: 60_000 }, 'k');
    await settled(back);
    t.equal(waiting(), 2);
    await a.call('lock:release', { ...TARGET, token: lease.token });
    const [op, granted] = await answer(back, again);
    t.equal(op, Op.ACK, 'before the one behind it');
    t.equal(
      c.frames.some(([, of]) => of === behind),
      false,
    );
    const once = send(back, 'lock:acquire', { wait: 60_000 }, 'k');
    t.strictSame(await answer(back, once), [Op.ACK, granted], 'the same answer, again');
    t.equal(ids.length, 2);
  },
);

t.test('a grant that its session was not there to hear is the answer of the repetition', async (t) => {
  const { clients, resume, holders } = await room(t, 'a', 'b');
  const [a, b] = clients;
  const lease = await a.call<Lease>('lock:acquire', TARGET);
  send(b, 'lock:acquire', { wait: 60_000 }, 'k');
  await settled(b);
  b.cut();
  await a.call('lock:release', { ...TARGET, token: lease.token });
  t.same(holders(), { lock: 1, presenter: 0, waiting: 0 }, 'it has it');
  const back = await resume(1);
  const [op, granted] = await answer(back, send(back, 'lock:acquire', { wait: 60_000 }, 'k'));
  t.equal(op, Op.ACK);
  t.strictSame(await back.call('lock:release', { ...TARGET, token: (granted as unknown as Lease).token }), {
    target: 'x',
    released: true,
  });
});

t.test(
  'a repetition that is cancelled in the same breath tells what there is to give back, or ends the wait',
  async (t) => {
    const { clients, resume, waiting, holders } = await room(t, 'a', 'b');
    const [a] = clients;
    const lease = await a.call<Lease>('lock:acquire', TARGET);
    send(clients[1], 'lock:acquire', { wait: 60_000 }, 'k');
    await settled(clients[1]);
    let back = await resume(1);
    t.strictSame(await answer(back, send(back, 'lock:acquire', { wait: 60_000 }, 'k', true)), [Op.NACK, 113]);
    await until(() => waiting() === 0);
    await a.call('lock:release', { ...TARGET, token: lease.token });
    t.equal(holders().lock, 0, 'nobody has it');

    const id = send(back, 'lock:acquire', {}, 'granted');
    const granted = await answer(back, id);
    back = await resume(1);
    t.strictSame(await answer(back, send(back, 'lock:acquire', {}, 'granted', true)), granted, 'ACK: it is held');
    t.strictSame(await answer(back, send(back, 'lock:acquire', { target: 'y' }, 'never seen', true)), [Op.NACK, 113]);
    t.equal(holders().lock, 1, 'and no other was taken for it');
  },
);

for (const name of ['lock:acquire', 'lock:refresh', 'lock:msg', 'lock:release', 'lock:force']) {
  t.test(
    `the key of a ${name} is its session's: another of the same user gets 111, while it waits and after`,
    async (t) => {
      const { clients } = await room(t, 'a', 'b', 'b');
      const [a, b, other] = clients;
      const { token } = await b.call<Lease>('lock:acquire', {
        ...TARGET,
        target: name === 'lock:acquire' ? 'y' : 'x',
      });
      const input = name === 'lock:acquire' ? {} : name === 'lock:force' ? {} : { token, msg: 'm' };
      // The host is the first in the room.
      const [first, second] = name === 'lock:force' ? [a, a] : [b, other];
      const answered = await answer(first, send(first, name, input, 'k'));
      t.equal(answered[0], Op.ACK);
      t.strictSame(await answer(first, send(first, name, input, 'k')), answered, 'the session itself gets the same');
      if (second !== first) t.strictSame(await answer(second, send(second, name, input, 'k')), [Op.NACK, 111]);
      if (name !== 'lock:acquire') return;
      send(other, name, { wait: 60_000 }, 'w');
      await settled(other);
      t.strictSame(await answer(b, send(b, name, { wait: 60_000 }, 'w')), [Op.NACK, 111], 'while it waits');
      t.strictSame(await answer(other, send(other, name, { wait: 1 }, 'w')), [Op.NACK, 111], 'and so is other data');
    },
  );
}

t.test('a session that ends while it is away leaves the line', async (t) => {
  const { clients, waiting } = await room(t, 'a', 'b');
  const [a, b] = clients;
  await a.call<Lease>('lock:acquire', TARGET);
  send(b, 'lock:acquire', { wait: 60_000 }, 'k');
  await settled(b);
  b.send([Op.BYE]);
  await until(() => waiting() === 0);
});

t.test(
  'whatever is repeated, cut and cancelled: one place, one lease, and nothing held that nobody wants',
  async (t) => {
    const step = fc.constantFrom('repeat', 'cancel', 'come back', 'come back and cancel', 'free');
    const { clients, resume, waiting, holders } = await room(t, 'a', 'b');
    let key = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        key++;
        const [a] = clients;
        const { token } = await a.call<Lease>('lock:acquire', TARGET);
        let free = false;
        /** Calls in line, of the connection there is. */
        let wanted = 0;
        let held: Value | undefined;
        const ask = async (cancel: boolean): Promise<void> => {
          const id = send(clients[1], 'lock:acquire', { wait: 60_000 }, `k${key}`, cancel);
          await settled(clients[1]);
          if (held === undefined && !free && !cancel) wanted++;
          if (held === undefined && !free && !cancel) return;
          const [op, lease] = await answer(clients[1], id);
          if (held !== undefined) t.strictSame([op, lease], [Op.ACK, held], steps.join());
          else t.equal(op, cancel ? Op.NACK : Op.ACK, steps.join());
          if (op === Op.ACK) held = lease;
        };
        await ask(false);
        for (const one of steps) {
          if (one === 'free' && !free) {
            await a.call('lock:release', { ...TARGET, token });
            free = true;
            await settled(clients[1]);
            if (wanted > 0) {
              const [, lease] = await answer(clients[1], send(clients[1], 'lock:acquire', { wait: 60_000 }, `k${key}`));
              held = lease;
            }
            wanted = 0;
          } else if (one !== 'free') {
            if (one.startsWith('come back')) {
              await resume(1);
              wanted = 0;
            }
            await ask(one.endsWith('cancel'));
          }
          t.equal(waiting(), Math.min(wanted, 1), `${steps.join()}: one place`);
          t.equal(holders().lock, (free ? 0 : 1) + (held === undefined ? 0 : 1), `${steps.join()}: one lease`);
        }
        // Clean for the next run.
        await resume(1);
        if (held === undefined) await ask(true);
        else await clients[1].call('lock:release', { ...TARGET, token: (held as unknown as Lease).token });
        if (!free) await a.call('lock:release', { ...TARGET, token });
        t.equal(holders().lock, 0);
      }),
      { numRuns: 40, seed: 7 },
    );
  },
);

t.test('a keyed acquire that was cancelled, and whose connection ends before its turn, is not run', async (t) => {
  const store = gatedStore(testStore(t));
  const s = await startRooms(t, { store });
  const [a, b] = [await s.client({ instance: 'a' }), await s.client({ instance: 'b' })];
  await a.call('join:room', { roomId: 'r', create: true });
  await b.call('join:room', { roomId: 'r' });
  store.hold();
  const published = a.publish('room:r', 'chat:message:new', { text: 'a commit that is under way' });
  await store.held();
  b.send([Op.CALL, 90, 'lock:acquire', { roomId: 'r', target: 'x' }, { key: 'k' }], [Op.CANCEL, 90]);
  await b.barrier();
  b.cut();
  await until(() => s.server.stats().connections === 1);
  store.release();
  await published;
  await a.call('lock:acquire', { roomId: 'r', target: 'x' });
  t.strictSame(s.log.errors, []);
});
