/** What the model test found, as the few commands it takes to see it. */
import type fc from 'fast-check';
import t, { type Test } from 'tap';
import { engine, storeName } from '../support/server.js';
import { Again, Ask } from './model/asking.js';
import { Connection, Pass, Tell } from './model/happenings.js';
import type { Model } from './model/model.js';
import { GRACE_MS, PIECE_MS } from './model/plan.js';
import { play } from './model/run.js';
import type { Op } from './model/server-model.js';
import type { World } from './model/world.js';

const ANN = 0;
const BOB = 2;

const asks = (client: number, op: Op): Ask => new Ask(client, op, 'answered');
const graceIsOver = new Pass(GRACE_MS + PIECE_MS);

async function runs(t: Test, ...commands: fc.AsyncCommand<Model, World>[]): Promise<void> {
  const store = storeName === 'lmdb' ? 'lmdb' : 'memory';
  t.equal(await play({ engine, store, path: t.testdir() }, commands), commands.length, 'each could be done');
}

t.test('a topic that is left and subscribed again in one breath is there', async (t) => {
  await runs(
    t,
    asks(BOB, { do: 'subscribe', topic: 'chat:2' }),
    new Again(BOB, 'chat:2'),
    new Tell('chat:2', 1),
    new Connection(BOB, 'cut'),
    new Again(BOB, 'chat:2'),
    new Connection(BOB, 'back'),
    new Tell('chat:2', 1),
  );
});

t.test('what is subscribed anew without a connection, and then given up, never began', async (t) => {
  await runs(
    t,
    asks(BOB, { do: 'subscribe', topic: 'chat:2' }),
    new Connection(BOB, 'cut'),
    new Again(BOB, 'chat:2'),
    new Connection(BOB, 'renew'),
  );
});

t.test('a HELLO that comes late takes no session from the connection in use', async (t) => {
  await runs(
    t,
    asks(ANN, { do: 'join', room: 'a' }),
    new Connection(ANN, 'cut'),
    new Connection(ANN, 'back: HELLO late'),
    new Connection(ANN, 'late HELLO'),
  );
});

t.test('what is published without a connection comes after the rejoin of a forgotten session', async (t) => {
  await runs(
    t,
    asks(BOB, { do: 'join', room: 'a' }),
    new Connection(BOB, 'cut'),
    asks(BOB, { do: 'publish', topic: 'room:a', n: 0, key: 'keyed' }),
    asks(BOB, { do: 'publish', topic: 'room:a', n: 0 }),
    graceIsOver,
    new Connection(BOB, 'back'),
  );
});

t.test('what is asked without a connection comes after the rejoin, also of a room that was left before', async (t) => {
  await runs(
    t,
    asks(ANN, { do: 'join', room: 'a' }),
    new Again(ANN, 'room:a'),
    new Connection(ANN, 'cut'),
    asks(ANN, { do: 'take', room: 'a' }),
    graceIsOver,
    new Connection(ANN, 'back'),
  );
});
