/** A plain handler that takes its time and ends in a transaction: its last work, its topics and its answer, or none of them. */
import * as v from 'valibot';
import t from 'tap';
import { defineContract } from '../../src/protocol/contract.js';
import { Op } from '../../src/protocol/frames.js';
import type { Finish, Transaction } from '../../src/server/api.js';
import { startServer, type Test } from '../support/server.js';

const contract = defineContract({
  topics: { 'kept:{id}': { subscribe: 'by-call', events: { note: v.unknown() } } },
  calls: { join: { input: v.unknown() } },
});

function start(t: Test, ending: (n: number) => Finish<unknown>) {
  let runs = 0;
  return startServer(t, {
    contract,
    setup: (server) => {
      (server as unknown as Awaited<ReturnType<typeof startServer<typeof contract>>>['server']).handle(
        'join',
        async ({ finish }) => {
          await Promise.resolve();
          return finish(ending(++runs));
        },
      );
    },
  });
}

const note = (tx: Transaction, n: number): number => {
  tx.publish('kept:1', 'note', n);
  return n;
};

t.test('what it does last, the topics and the answer are one transaction', async (t) => {
  const s = await start(t, (n) => ({ subscribe: ['kept:1'], work: (tx) => note(tx, n) }));
  const client = await s.client();
  t.equal(await client.call('join'), 1);
  t.same(
    client.frames.map(([op]) => op).slice(-3),
    [Op.SUBSCRIBED, Op.ACK, Op.EVENTS],
    'the answer leaves in the block of its effects, as an atomic handler’s does',
  );
  t.same(client.events('kept:1')[0]?.slice(0, 3), [1, 'note', 1]);
});

t.test('without work the answer is nil; a session leaves first, then enters', async (t) => {
  const s = await start(t, (n) =>
    n === 1 ? { subscribe: ['kept:1'] } : { unsubscribe: ['kept:1', 'kept:9'], subscribe: ['kept:2'] },
  );
  const client = await s.client();
  t.equal(await client.call('join'), null);
  t.equal(await client.call('join'), null);
  t.same([...(s.server.session(client.welcome.session[0])?.topics ?? [])], ['kept:2']);
});

t.test('a repetition with its key gets the first answer and the topics; the work is not done again', async (t) => {
  const s = await start(t, (n) => ({ subscribe: ['kept:1'], work: (tx) => note(tx, n) }));
  const [one, two] = [await s.client(), await s.client()];
  const token = { key: 'k' };
  t.equal(await one.call('join', 1, token), 1);
  t.equal(await one.call('join', 1, token), 1);
  t.equal((await s.server.inspect('kept:1')).head, 1);
  await t.rejects(one.call('join', 2, token), { code: 111 });
  // Guests are each a user of their own.
  t.equal(await two.call('join', 1, token), 2);
});

t.test('what throws, or cannot be sent, undoes all of it, and the key may be used again', async (t) => {
  const s = await start(t, (n) => ({
    subscribe: ['kept:1'],
    work: (tx) => {
      note(tx, n);
      if (n === 1) throw new Error('no');
      return n === 2 ? { at: Symbol('unsendable') } : n;
    },
  }));
  const client = await s.client();
  for (const _ of [1, 2]) await t.rejects(client.call('join', 1, { key: 'k' }), { code: 130 });
  t.equal((await s.server.inspect('kept:1')).head, 0);
  t.same([...(s.server.session(client.welcome.session[0])?.topics ?? [])], []);
  t.equal(await client.call('join', 1, { key: 'k' }), 3);
  t.equal(s.log.errors.length, 2);
});

t.test('a topic that the contract lacks is a mistake of the program: 130, and the log says which', async (t) => {
  const s = await start(t, (n) => ({ subscribe: ['kept:1', 'nowhere'], work: (tx) => note(tx, n) }));
  const client = await s.client();
  await t.rejects(client.call('join'), { code: 130 });
  t.match(String((s.log.errors[0]?.fields as { err: Error }).err), /TypeError: subscribe\[1\]: no topic 'nowhere'/);
  t.equal((await s.server.inspect('kept:1')).head, 0);
});
