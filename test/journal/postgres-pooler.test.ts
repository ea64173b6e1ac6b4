/** The log in PostgreSQL behind a pooler in transaction mode, where each question may be another session's. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import pg from 'pg';
import t from 'tap';
import { Connection } from '../../src/journal/postgres-connection.js';
import { postgresJournal } from '../../src/journal/postgres.js';
import { noPostgres, startPostgres, type PostgresTest } from '../support/postgres.js';

const READY = 'Z'.charCodeAt(0);

/** Each connection is two sessions, which answer in turns. */
async function startPooler(t: PostgresTest, port: number): Promise<string> {
  const sockets = new Set<Socket>();
  const pooler = createServer((down) => {
    const sessions = [0, 1].map((index) => {
      const socket = connect(port, '127.0.0.1');
      let unread = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        if (index === turn) down.write(chunk);
        unread = Buffer.concat([unread, chunk]);
        while (unread.length >= 5 && unread.length > unread.readUInt32BE(1)) {
          const isReady = unread[0] === READY;
          unread = unread.subarray(1 + unread.readUInt32BE(1));
          if (isReady) ready(index);
        }
      });
      return socket;
    });
    let turn = 0;
    const begun = new Set<number>();
    const ready = (index: number): void => {
      if (begun.has(index)) turn = 1 - turn;
      begun.add(index);
      if (begun.size === 2) down.resume();
    };
    // Both take what a connection begins with; the first one answers it.
    down.once('data', (startup) => {
      down.pause();
      for (const session of sessions) session.write(startup);
      down.on('data', (chunk) => sessions[turn]?.write(chunk));
    });
    for (const socket of [down, ...sessions]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => [down, ...sessions].forEach((each) => each.destroy()));
    }
  }).listen(0, '127.0.0.1');
  await once(pooler, 'listening');
  t.teardown(() => {
    pooler.close();
    sockets.forEach((socket) => socket.destroy());
  });
  return `postgres://roomwire@127.0.0.1:${(pooler.address() as AddressInfo).port}/postgres`;
}

t.test('PostgreSQL behind a pooler', { skip: noPostgres }, async (t) => {
  const postgres = await startPostgres(t);
  const pooled = await startPooler(t, postgres.port);
  const connection = (url: string): Connection => {
    const made = new Connection(pg as never, { url, tell: () => undefined, look: () => Promise.resolve() });
    t.teardown(() => made.close());
    return made;
  };

  await t.test('two writers race 100 times, over several segments: one winner each, and no gap', async (t) => {
    const options = { name: 'pooled', segment: 8, pollMs: 5 };
    const writers = [postgresJournal(pooled, options), postgresJournal(pooled, options)];
    t.teardown(() => Promise.all(writers.map((writer) => writer.close())));
    for (const writer of writers) await writer.open();
    for (let after = 0; after < 100; after++) {
      const appends = writers.map((writer, i) => writer.append(after, `${i}-${after}`, Uint8Array.of(i)));
      const won = (await Promise.allSettled(appends)).filter(({ status }) => status === 'fulfilled');
      t.equal(won.length, 1, `${after}`);
    }
    t.strictSame(await writers[0]?.answers(), { head: 100 });
  });

  await t.test('what is asked again and again is answered there, too, and done once each time', async (t) => {
    await postgres.sql('create table asked (n int)');
    const asks = connection(pooled);
    for (let n = 1; n <= 5; n++) await asks.askAgain('insert into asked values ($1)', [n]);
    t.strictSame(
      await postgres.sql('select n from asked order by n'),
      [1, 2, 3, 4, 5].map((n) => ({ n })),
    );
  });

  await t.test('a session without a pooler keeps the last statement only', async (t) => {
    const direct = connection(postgres.url);
    for (let n = 1; n <= 3; n++)
      for (let again = 0; again < 2; again++) {
        t.strictSame(await direct.askAgain(`select $1::int + ${n} as sum`, [1]), [{ sum: 1 + n }]);
      }
    const kept = await direct.ask('select statement from pg_prepared_statements');
    t.strictSame(kept, [{ statement: 'select $1::int + 3 as sum' }]);
  });
});
