/** The end of thousands of connections at once is worked off in turns: what others send and are sent comes in between. */
import t from 'tap';
import { dial, readAddress } from '../../src/link/address.js';
import { Op, pack, VERSIONS } from '../../src/link/frames.js';
import { inTurns, MOST_A_TURN } from '../../src/server/transport/turns.js';
import { startHub } from '../support/hub.js';
import type { Test } from '../support/server.js';
import { until } from '../support/until.js';
import { frame } from './frame.js';

const CLIENTS = 1_000;

/** An edge that says that it has so many clients. */
async function edgeOf(address: string, clients: number) {
  const socket = await dial(readAddress(address), {});
  socket.on('error', () => undefined).resume();
  const engine = { name: 'ws', package: 'ws', version: '8', origin: 'official' };
  const join = { versions: VERSIONS, name: 'many', run: 'r', package: '0', engine, host: '127.0.0.1' };
  const info = { address: '127.0.0.1', path: '/', query: '', authorization: '', origin: '', host: 'localhost' };
  const open = pack({ ...info, userAgent: '', forwardedFor: undefined, subprotocols: ['roomwire.v1'] });
  socket.write(frame(Op.JOIN, 0, pack(join)));
  for (let id = 1; id <= clients; id++) socket.write(frame(Op.OPEN, id, open));
  return socket;
}

/** By how much `count` fell in each turn of the loop, until it is 0. */
async function falls(count: () => number): Promise<number[]> {
  const found: number[] = [];
  for (let before = count(); before > 0;) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = count();
    found.push(before - now);
    before = now;
  }
  return found;
}

async function startFull(t: Test) {
  const hub = await startHub(t);
  const edge = await edgeOf(hub.address, CLIENTS);
  t.teardown(() => edge.destroy());
  const count = (): number => hub.server.stats().connections;
  await until(() => count() === CLIENTS);
  return { ...hub, edge, count };
}

t.test('connections of an edge that dies end some a turn', async (t) => {
  const { edge, count } = await startFull(t);
  edge.destroy();
  t.ok(Math.max(...(await falls(count))) <= MOST_A_TURN);
});

t.test('those of an edge that is drained are told some a turn', async (t) => {
  const { server, count } = await startFull(t);
  server.drainEdge('many');
  t.ok(Math.max(...(await falls(count))) <= MOST_A_TURN);
});

t.test('a server that stops says goodbye to some a turn, and to all before it has closed', async (t) => {
  const { server, count } = await startFull(t);
  const closed = server.close();
  t.ok(Math.max(...(await falls(count))) <= MOST_A_TURN);
  await closed;
});

t.test('work in turns keeps its order, and one that takes long has a turn of its own', async (t) => {
  const done: number[] = [];
  const perTurn: number[] = [];
  let before = 0;
  const look = (): void => {
    perTurn.push(done.length - before);
    before = done.length;
    if (before < 9) setImmediate(look);
  };
  const numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9];
  const working = inTurns(numbers, (n) => {
    const end = performance.now() + 6;
    while (performance.now() < end);
    done.push(n);
  });
  look();
  await working;
  t.strictSame(done, numbers);
  t.equal(Math.max(...perTurn), 1);
});
