/** The end of thousands of connections at once is worked off in turns: what others send and are sent comes in between. */
import { Duplex } from 'node:stream';
import t from 'tap';
import { dial, readAddress } from '../../src/link/address.js';
import { EdgeLink, type EdgeLinkOwner } from '../../src/link/edge-link.js';
import { Op, pack, VERSIONS } from '../../src/link/frames.js';
import { Doorkeeper } from '../../src/server/gate/doorkeeper.js';
import type { Socket } from '../../src/server/transport/transport.js';
import { inTurns, MOST_A_TURN } from '../../src/server/transport/turns.js';
import { startHub } from '../support/hub.js';
import type { Test } from '../support/server.js';
import { until } from '../support/until.js';
import { frame } from './frame.js';

const CLIENTS = 1_000;
const engine = { name: 'ws', package: 'ws', version: '8', origin: 'official' } as const;
const join = { versions: VERSIONS, name: 'many', run: 'r', package: '0', engine, host: '127.0.0.1' };
const info = {
  ...{ address: '127.0.0.1', path: '/', query: '', authorization: '', origin: '', host: 'localhost' },
  ...{ userAgent: '', forwardedFor: undefined, subprotocols: ['roomwire.v1'] },
};

/** An edge that says that it has so many clients. */
async function edgeOf(address: string, clients: number) {
  const socket = await dial(readAddress(address), {});
  socket.on('error', () => undefined).resume();
  const open = pack(info);
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

t.test('an edge whose hub is gone tells some of its clients a turn, and knows when all are told', async (t) => {
  const stream = new Duplex({ read: () => undefined, write: (_bytes, _encoding, taken) => taken() });
  let told = 0;
  const end = new Promise<void>((closed) => {
    const owner: EdgeLinkOwner = {
      settings: () => undefined,
      shun: () => undefined,
      stop: () => undefined,
      gauges: () => ({ cpuSeconds: 0, rssBytes: 0, loopDelay: [0, 0, 0] }),
      closed: (_link, _why, goodbyes) => closed(goodbyes),
      failed: (error) => void t.fail(String(error)),
    };
    const link = new EdgeLink(stream, { join, isOwned: true }, owner);
    const door = new Doorkeeper({}, () => 0);
    for (let i = 0; i < CLIENTS; i++) {
      const socket: Socket = {
        send: () => 'sent',
        bufferedBytes: () => 0,
        cork: (fn) => fn(),
        end(code, reason) {
          told++;
          events.closed(code, reason);
        },
        terminate: () => t.fail('it was cut'),
      };
      const events = link.open(socket, info, { address: info.address, door });
    }
    stream.push(frame(Op.FAREWELL, 4202, Buffer.from('farewell')));
  });
  setImmediate(() => stream.destroy());
  const most = Math.max(...(await falls(() => CLIENTS - told)));
  t.ok(most <= MOST_A_TURN, `${most} in one turn`);
  await end;
  t.equal(told, CLIENTS);
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
