/** How connections end: by the server, by the peer, politely or not, on both engines. */
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { opcodes, RawClient } from './raw-client.js';
import { type Engine, engines, fill, open, start } from './start.js';

for (const engine of engines) t.test(engine.name, async (t) => suite(t, engine));

function suite(t: Test, engine: Engine): void {
  t.test('end in a cork sends what was sent before it, then closes', async (t) => {
    const server = await start(t, engine);
    const client = await open(server.url);
    const { socket, closes } = await server.peer();
    const messages: string[] = [];
    client.on('message', (data: Buffer) => messages.push(data.toString()));
    socket.cork(() => {
      socket.send(Buffer.from('last words'));
      socket.end(4007, 'kicked');
      t.same(closes, [{ code: 4007, reason: 'kicked' }]);
      t.equal(socket.send(Buffer.from('x')), 'dropped');
    });
    const [code, reason] = (await once(client, 'close')) as [number, Buffer];
    t.same([code, reason.toString(), messages], [4007, 'kicked', ['last words']]);
  });

  t.test('end is seen by the client with its code and reason, and reported at once', async (t) => {
    const server = await start(t, engine);
    const client = await open(server.url);
    const { socket, closes } = await server.peer();
    socket.end(4300, 'going away for a while');
    t.same(closes, [{ code: 4300, reason: 'going away for a while' }]);
    const [code, reason] = (await once(client, 'close')) as [number, Buffer];
    t.same([code, reason.toString()], [4300, 'going away for a while']);
    t.equal(closes.length, 1);
  });

  t.test('end from within a message works alike', async (t) => {
    const server = await start(t, engine, { onMessage: ({ socket }) => socket.end(4000, 'bad frame') });
    const client = await open(server.url);
    client.send('x');
    client.send('y');
    t.match(await once(client, 'close'), [4000]);
    const peer = await server.peer();
    t.equal(peer.messages.length, 1, 'nothing is heard after the end');
    t.same(peer.closes, [{ code: 4000, reason: 'bad frame' }]);
  });

  t.test('end from within open works, and close is reported when there is somebody to report to', async (t) => {
    const server = await start(t, engine, { onOpen: ({ socket }) => socket.end(4002, 'no') });
    const client = new WebSocket(server.url);
    t.match(await once(client, 'close'), [4002]);
    t.same((await server.peer()).closes, [{ code: 4002, reason: 'no' }]);
  });

  t.test('end of a stalled peer delivers what was queued before the close frame', async (t) => {
    const server = await start(t, engine);
    const client = await RawClient.open(server.port);
    const { socket, closes } = await server.peer();
    client.stall();
    const queued = await fill(socket);
    socket.end(4008, 'taken over');
    t.same(closes, [{ code: 4008, reason: 'taken over' }]);
    client.resume();
    for (let n = 0; n < queued; n++) t.equal((await client.next())?.opcode, opcodes.binary);
    const last = await client.next();
    t.equal(last?.opcode, opcodes.close);
    t.equal(last?.payload.readUInt16BE(), 4008);
    client.send(opcodes.close, last?.payload);
    await client.gone;
    t.equal(closes.length, 1);
  });

  t.test('a peer that never takes what is queued is cut', async (t) => {
    const server = await start(t, engine, { endMs: 50 });
    const client = await RawClient.open(server.port);
    const { socket } = await server.peer();
    client.stall();
    await fill(socket);
    socket.end(4008, '');
    // A stalled reader learns of the cut by writing.
    const write = () => {
      if (!client.socket.destroyed)
        client.socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0]), () => setImmediate(write));
    };
    write();
    await client.gone;
  });

  t.test('a peer that does not answer the close frame is cut', async (t) => {
    const server = await start(t, engine, { endMs: 50 });
    const client = await RawClient.open(server.port);
    (await server.peer()).socket.end(4008, '');
    t.equal((await client.next())?.opcode, opcodes.close);
    await client.gone;
  });

  t.test('terminate cuts at once', async (t) => {
    const server = await start(t, engine);
    const client = await open(server.url);
    const { socket, closes } = await server.peer();
    socket.terminate();
    t.same(closes, [{ code: 1006, reason: '' }]);
    t.match(await once(client, 'close'), [1006]);
    t.equal(closes.length, 1);
  });

  t.test('close is reported once, with the code of the peer, or 1006', async (t) => {
    const server = await start(t, engine);
    const polite = await open(server.url);
    const mute = await open(server.url);
    const rude = await open(server.url);
    polite.close(4900, 'bye');
    mute.close();
    rude.terminate();
    await server.until(() => server.peers.filter(({ closes }) => closes.length > 0).length === 3);
    t.same(
      server.peers.map(({ closes }) => closes.map(({ code }) => code)),
      [[4900], [1005], [1006]],
    );
    t.equal(server.peers[0]?.closes[0]?.reason, 'bye');
  });

  t.test('methods after close are harmless', async (t) => {
    const server = await start(t, engine);
    const client = await open(server.url);
    const { socket, closes } = await server.peer();
    client.terminate();
    await server.until(() => closes.length === 1);
    t.equal(socket.send(Buffer.from('x')), 'dropped');
    t.equal(socket.bufferedBytes(), 0);
    socket.cork(() => t.fail('not run'));
    socket.end(1000, 'again');
    socket.terminate();
    t.equal(closes.length, 1);
    t.same(server.failures, []);
  });
}
