/** Each fault does what it says: what a test believes it survived must really have happened. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import t from 'tap';
import { random } from '../random.js';
import type { Test } from '../support/server.js';
import { until } from '../support/until.js';
import { FaultProxy, faults, type Proxied } from './fault-proxy.js';

interface Peer {
  readonly socket: Socket;
  bytes: string;
  /** Sizes of what came in one piece. */
  readonly pieces: number[];
  ended: boolean;
  closed: boolean;
  error: string | undefined;
}

function peer(socket: Socket): Peer {
  const it: Peer = { socket, bytes: '', pieces: [], ended: false, closed: false, error: undefined };
  socket.setNoDelay(true);
  socket.on('data', (chunk) => {
    it.bytes += chunk.toString();
    it.pieces.push(chunk.length);
  });
  socket.on('end', () => (it.ended = true));
  socket.on('close', () => (it.closed = true));
  socket.on('error', (error: NodeJS.ErrnoException) => (it.error = error.code));
  return it;
}

async function pair(t: Test) {
  const arrived: Socket[] = [];
  let over = false;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    // Accepted when the test is over: nobody else would end it.
    if (over) socket.destroy();
    else arrived.push(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await FaultProxy.start({ target: (server.address() as AddressInfo).port, random: random(1) });
  const clients: Socket[] = [];
  const taken: Proxied[] = [];
  proxy.onConnection = (connection) => taken.push(connection);
  t.teardown(async () => {
    over = true;
    for (const socket of [...clients, ...arrived]) socket.destroy();
    server.close();
    await proxy.close();
  });
  const open = async () => {
    const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
    clients.push(socket);
    const client = peer(socket);
    const before = arrived.length;
    await until(() => arrived.length > before);
    return { client, far: peer(arrived[before] as Socket), connection: taken.at(-1) as Proxied };
  };
  return { proxy, server, open };
}

/** A round trip over another connection: what was to come has come. */
async function settle({ open }: Awaited<ReturnType<typeof pair>>): Promise<void> {
  const { client, far } = await open();
  for (let i = 0; i < 20; i++) {
    client.socket.write('x');
    await until(() => far.bytes.length === i + 1);
  }
  client.socket.destroy();
  await until(() => far.closed || far.ended);
}

t.test('without a fault every byte goes through in order, both ways, and so does the end', async (t) => {
  const { open } = await pair(t);
  const { client, far } = await open();
  const much = 'abcdefghij'.repeat(200_000);
  client.socket.end(much);
  far.socket.write('down');
  await until(() => far.ended && client.bytes === 'down');
  t.ok(far.bytes === much, 'all of it');
  t.notOk(client.ended, 'the other direction is open still');
  far.socket.end('.');
  await until(() => client.ended);
  t.equal(client.bytes, 'down.');
});

t.test('a cut by RST is an error for both, a cut by FIN an end', async (t) => {
  const { open } = await pair(t);
  const reset = await open();
  reset.connection.cut('rst');
  await until(() => reset.client.closed && reset.far.closed);
  t.equal(reset.client.error, 'ECONNRESET');
  t.equal(reset.far.error, 'ECONNRESET');
  const ended = await open();
  ended.connection.cut('fin');
  await until(() => ended.client.ended && ended.far.ended);
  t.equal(ended.client.error, undefined);
});

t.test('a stall holds one direction or both until it ends, and loses nothing', async (t) => {
  const all = await pair(t);
  const { client, far, connection } = await all.open();
  connection.stall(['up']);
  client.socket.write('held');
  far.socket.write('free');
  await until(() => client.bytes === 'free');
  await settle(all);
  t.equal(far.bytes, '');
  connection.stall();
  far.socket.write(' held too');
  await settle(all);
  t.equal(client.bytes, 'free');
  connection.resume();
  await until(() => far.bytes === 'held' && client.bytes === 'free held too');
});

t.test('a delay keeps the order', async (t) => {
  const { open } = await pair(t);
  const { client, far, connection } = await open();
  connection.delay(5);
  const began = performance.now();
  client.socket.write('one ');
  await until(() => connection.up.forwarded > 0 || performance.now() - began > 1);
  client.socket.write('two');
  await until(() => far.bytes === 'one two');
  t.ok(performance.now() - began >= 4);
});

t.test('a trickle goes in pieces of so many bytes', async (t) => {
  const { open } = await pair(t);
  const { client, far, connection } = await open();
  connection.trickle(3);
  client.socket.write('0123456789');
  await until(() => far.bytes === '0123456789');
  t.ok(far.pieces.length > 1, `in ${far.pieces.length} pieces`);
  far.socket.write('abcdefghij');
  await until(() => client.bytes === 'abcdefghij');
});

t.test('a drop after n bytes lets exactly n through, in either direction', async (t) => {
  const { open } = await pair(t);
  for (const direction of ['up', 'down'] as const) {
    const { client, far, connection } = await open();
    const [from, to] = direction === 'up' ? [client, far] : [far, client];
    connection.dropAfter(direction, 7);
    from.socket.write('0123456789');
    // Bytes and a reset that come together are read as bytes and an end.
    await until(() => (from.closed || from.ended) && (to.closed || to.ended));
    t.equal(connection.link(direction).forwarded, 7);
    t.ok('0123456'.startsWith(to.bytes), 'a reset may overtake what it follows, no more');
  }
});

t.test('a drop at once, before the server side is connected, ends both', async (t) => {
  const { proxy } = await pair(t);
  proxy.onConnection = (connection) => connection.dropAfter('up', 0);
  const { closed } = await new Promise<Peer>((resolve) => {
    const early = peer(connect(proxy.port, '127.0.0.1'));
    early.socket.on('close', () => resolve(early));
    early.socket.write('x');
  });
  t.ok(closed);
  t.ok(await until(() => proxy.connections.size === 0).then(() => true));
});

t.test('a half close ends one direction alone', async (t) => {
  const { open } = await pair(t);
  for (const direction of ['up', 'down'] as const) {
    const { client, far, connection } = await open();
    const [from, to] = direction === 'up' ? [client, far] : [far, client];
    connection.halfClose(direction);
    await until(() => to.ended);
    from.socket.write('into the void');
    to.socket.write('still heard');
    await until(() => from.bytes === 'still heard');
    t.equal(to.bytes, '');
  }
});

t.test('what lingers reaches the server after its sender has gone', async (t) => {
  const all = await pair(t);
  const { client, far, connection } = await all.open();
  connection.stall(['up']);
  client.socket.write('late');
  await until(() => client.socket.writableLength === 0);
  await settle(all);
  const release = connection.linger();
  await until(() => client.closed);
  await settle(all);
  t.equal(far.bytes, '');
  t.notOk(far.ended);
  release();
  await until(() => far.bytes === 'late');
});

t.test('a target that is not there, or refusal, resets the client', async (t) => {
  const { proxy, server } = await pair(t);
  proxy.refusing = true;
  const refused = peer(connect(proxy.port, '127.0.0.1'));
  await until(() => refused.closed);
  proxy.calm();
  server.close();
  await once(server, 'close');
  const absent = peer(connect(proxy.port, '127.0.0.1'));
  await until(() => absent.closed);
  t.equal(absent.error, 'ECONNRESET');
  t.equal(proxy.did.refused, 2);
  t.equal(proxy.connections.size, 0);
});

t.test('the same seed strikes in the same way, and it is counted', async (t) => {
  const runs: object[] = [];
  for (let run = 0; run < 2; run++) {
    const { proxy, open } = await pair(t);
    for (let i = 0; i < 30; i++) {
      await open();
      proxy.strike({ lastMs: 5 });
    }
    runs.push({ ...proxy.did });
    t.equal(
      faults.reduce((sum, fault) => sum + proxy.did[fault], 0),
      30,
    );
  }
  t.strictSame(runs[0], runs[1]);
});
