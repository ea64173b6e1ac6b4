/** A server on LMDB, killed in the middle of traffic: what any client was told is there afterwards. */
import t from 'tap';
import { Op, type Position, type Value } from '../../src/protocol/frames.js';
import { startChildServer } from '../support/child-server.js';
import { WireClient } from '../support/wire-client.js';
import { until } from '../support/until.js';

type Told = Map<number, Value>;
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Everything a client was told of a topic: by events and by the ACKs of its own publishes. */
function told(client: WireClient, sent: ReadonlyMap<number, Value>): { events: Told; acks: Told } {
  const events = new Map(client.events('chat:1').map(([offset, , data]) => [offset, data]));
  const acks: Told = new Map();
  for (const [op, id, data] of client.frames) {
    if (op === Op.ACK && sent.has(id as number)) acks.set((data as { offset: number }).offset, sent.get(id as number)!);
  }
  return { events, acks };
}

t.test(
  'rule 3: what was acknowledged or delivered survives kill -9, with its epoch and offsets',
  { timeout: 60_000 },
  async (t) => {
    const path = t.testdir();
    const log: Told = new Map();
    let epoch = '';
    for (let round = 0; round < 3; round++) {
      const server = await startChildServer(t, path);
      const clients = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const client = new WireClient(server.url);
          await client.hello({ instance: `round ${round}` });
          return client;
        }),
      );
      const sent = clients.map(() => new Map<number, Value>());
      const joined = await Promise.all(clients.map((client) => client.subscribe('chat:1')));
      if (epoch === '') epoch = joined[0]!.epoch;
      for (const each of joined) t.equal(each.epoch, epoch);
      t.ok(
        joined.every(({ offset }) => offset >= Math.max(0, ...log.keys())),
        'no offset is given twice',
      );
      const before = clients.map((client) => client.frames.length);
      let publishing = true;
      for (const [i, client] of clients.entries()) {
        void client.closed.then(() => (publishing = false));
        void (async () => {
          for (let n = 0; publishing; n++) {
            const id = 10_000 + n;
            sent[i]!.set(id, [round, i, n]);
            client.send([Op.PUBLISH, id, 'chat:1', 'message', null, [round, i, n]]);
            if (n % 8 === 0) await client.barrier().catch(() => undefined);
          }
        })();
      }
      await until(() => clients.every((client, i) => client.frames.length > before[i]! + 60 * (round + 1)));
      await server.kill();
      await Promise.all(clients.map((client) => client.closed));
      for (const [i, client] of clients.entries()) {
        const { events, acks } = told(client, sent[i]!);
        t.ok(acks.size > 0 && events.size > 0);
        for (const [offset, data] of [...events, ...acks]) {
          if (log.has(offset) && !same(log.get(offset), data)) t.fail(`offset ${offset} was told twice, differently`);
          log.set(offset, data);
        }
      }
    }
    const server = await startChildServer(t, path);
    const reader = new WireClient(server.url);
    t.teardown(() => reader.cut());
    const welcome = await reader.hello({ resume: { 'chat:1': [epoch, 0] } });
    t.strictSame(welcome.topics['chat:1'], { epoch, offset: 0, recovered: true });
    await until(() => reader.events('chat:1').length >= Math.max(...log.keys()));
    const all = reader.events('chat:1');
    t.strictSame(
      all.map(([offset]) => offset),
      all.map((_, i) => i + 1),
    );
    const lost = [...log].filter(([offset, data]) => !same(all[offset - 1]?.[2], data));
    t.strictSame(lost, [], `${log.size} events were told, ${all.length} are there`);
  },
);

t.test(
  'rule 3: sessions, topics, keys and secrets survive kill -9, and a resume goes on where it was',
  { timeout: 60_000 },
  async (t) => {
    const path = t.testdir();
    let server = await startChildServer(t, path);
    const first = new WireClient(server.url);
    const { session } = await first.hello();
    await first.call('keep', { id: '1' });
    const { epoch } = await first.subscribe('chat:1');
    const keyed = await first.publish('chat:1', 'message', 1, 'key');
    await first.publish('chat:1', 'message', 2);
    const hanging = first.call('hang', 'half done', { key: 'interrupted' }).catch(() => 'disconnected');
    await first.barrier();
    await first.event('chat:1', 'message', 2);
    const second = new WireClient(server.url);
    const rotated = await second.hello({ session });
    t.equal(rotated.resumed, true);
    // Commits one after the other: when this is answered, the rotation is in the store.
    await second.call('keep', { id: '1' });
    await second.call('keep', { id: '1' });
    await server.kill();
    await hanging;
    server = await startChildServer(t, path);
    const resume: Record<string, Position> = { 'chat:1': [epoch, 1], 'kept:1': [epoch, 0] };
    const thief = new WireClient(server.url);
    t.equal((await thief.hello({ session })).resumed, false, 'a secret that died stays dead');
    thief.cut();
    const back = new WireClient(server.url);
    t.teardown(() => back.cut());
    const welcome = await back.hello({ session: rotated.session, resume });
    t.equal(welcome.resumed, true);
    t.strictSame(welcome.topics['chat:1'], { epoch, offset: 1, recovered: true });
    t.equal(welcome.topics['kept:1']?.code, undefined);
    await back.event('chat:1', 'message');
    t.strictSame(
      back.events('chat:1').map(([offset, , data]) => [offset, data]),
      [[2, 2]],
    );
    t.strictSame(await back.publish('chat:1', 'message', 1, 'key'), keyed, 'a keyed publish stays done');
    await t.rejects(back.publish('chat:1', 'message', 'other', 'key'), { code: 111 });
    await t.rejects(back.call('hang', 'half done', { key: 'interrupted' }), { code: 112 });
    t.equal((await back.publish('chat:1', 'message', 3)).offset, 3);
  },
);
