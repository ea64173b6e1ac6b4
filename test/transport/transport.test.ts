/** The promises of the seam in transport.ts, on both engines. */
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import t, { type Test } from 'tap';
import { freePort } from '../support/free-port.js';
import { WebSocket } from 'ws';
import type { Socket, TransportOptions } from '../../src/server/transport/transport.js';
import { type Engine, engines, open, start } from './start.js';
import { RawClient } from './raw-client.js';

async function nextMessage(client: WebSocket): Promise<Buffer> {
  const [data] = (await once(client, 'message')) as [Buffer];
  return data;
}

for (const engine of engines) t.test(engine.name, async (t) => suite(t, engine));

function suite(t: Test, engine: Engine): void {
  t.test('carries binary messages both ways, small and large and empty', async (t) => {
    const server = await start(t, engine);
    const client = await open(server.url);
    for (const size of [0, 1, 125, 126, 20_000, 64 * 1024]) {
      const sent = Buffer.alloc(size, size & 0xff);
      client.send(sent);
      t.ok((await nextMessage(client)).equals(sent), `${size} bytes come back`);
    }
    t.same(server.failures, []);
  });

  t.test('flags text messages', async (t) => {
    const server = await start(t, engine);
    const client = await open(server.url);
    client.send('grüß dich');
    client.send(Buffer.from([1]));
    const peer = await server.peer();
    await server.until(() => peer.messages.length === 2);
    t.same(
      peer.messages.map(({ bytes, binary }) => [bytes.toString('latin1'), binary]),
      [
        [Buffer.from('grüß dich').toString('latin1'), false],
        ['\x01', true],
      ],
    );
  });

  t.test('echoes the chosen subprotocol', async (t) => {
    const server = await start(t, engine);
    t.equal((await open(server.url, ['other', 'roomwire.v1'])).protocol, 'roomwire.v1');
    t.same((await server.peer()).info.subprotocols, ['other', 'roomwire.v1']);
    const refused = new WebSocket(server.url, ['other']);
    t.match(await once(refused, 'error'), [/no subprotocol/], 'none is echoed when none was chosen');
    t.equal((await open(server.url)).protocol, '');
  });

  t.test('tells what was in the upgrade request', async (t) => {
    const server = await start(t, engine);
    await open(`${server.url}/a/b?x=1&y=%20`, [], {
      headers: { authorization: 'Bearer abc', 'user-agent': 'test/1', origin: 'https://example.org' },
    });
    t.same((await server.peer()).info, {
      address: '127.0.0.1',
      host: new URL(server.url).host,
      forwardedFor: undefined,
      path: '/a/b',
      query: 'x=1&y=%20',
      authorization: 'Bearer abc',
      origin: 'https://example.org',
      userAgent: 'test/1',
      subprotocols: [],
    });
    await open(server.url);
    t.match((await server.peer(1)).info, { path: '/', query: '', authorization: '', origin: '', userAgent: '' });
  });

  t.test('spells addresses alike on a dual-stack port', async (t) => {
    const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some((a) => a.family === 'IPv6'));
    if (!hasIpv6) return void t.comment('No IPv6 here.');
    const addresses: string[] = [];
    const transport = engine.create({
      ...idleOptions(t),
      open(_socket, info) {
        addresses.push(info.address);
        return { message: () => undefined, drained: () => undefined, closed: () => undefined };
      },
    });
    t.teardown(() => transport.close());
    const port = await transport.listen({ host: '::', port: 0 });
    await open(`ws://127.0.0.1:${port}`);
    await open(`ws://[::1]:${port}`);
    t.same(addresses, ['127.0.0.1', '::1']);
  });

  t.test('a stalled peer is told as queued, then dropped, and drains', async (t) => {
    const server = await start(t, engine);
    const client = await RawClient.open(server.port);
    const { socket, ...rest } = await server.peer();
    client.stall();
    const results: string[] = [];
    const message = (number: number) => {
      const bytes = Buffer.alloc(50_000);
      bytes.writeUInt32BE(number);
      return bytes;
    };
    while (results.at(-1) !== 'dropped' && results.length < 2_000) {
      results.push(socket.send(message(results.length)));
      // The kernel's side of the connection needs turns of the loop to fill up.
      if (results.at(-1) === 'sent') await new Promise((resolve) => setImmediate(resolve));
    }
    t.equal(results[0], 'sent');
    t.equal(results.at(-1), 'dropped');
    t.ok(results.includes('queued'));
    t.notOk(results.slice(results.indexOf('queued')).includes('sent'), 'nothing is sent past what is queued');
    t.ok(socket.bufferedBytes() > 1024 * 1024);

    client.resume();
    for (let number = 0; number < results.length - 1; number++) {
      const frame = await client.next();
      if (frame?.payload.readUInt32BE() !== number) t.fail(`message ${number} is missing`);
    }
    const peer = server.peers[0]!;
    await server.until(() => peer.drains > 0 && socket.bufferedBytes() === 0);
    t.equal(socket.send(Buffer.from('on')), 'sent');
    t.equal((await client.next())?.payload.toString(), 'on');
    t.same(rest.closes, []);
    t.same(server.failures, []);
  });

  t.test('the bytes that are sent are not changed', async (t) => {
    const bytes = Buffer.alloc(30_000, 7);
    const server = await start(t, engine, { onMessage: ({ socket }) => void socket.send(bytes) });
    const clients = await Promise.all([open(server.url), open(server.url)]);
    for (const client of clients) client.send('x');
    for (const got of await Promise.all(clients.map(nextMessage))) t.ok(got.equals(Buffer.alloc(30_000, 7)));
    t.ok(bytes.equals(Buffer.alloc(30_000, 7)));
  });

  t.test('cork keeps the order, and what throws in it is reported', async (t) => {
    const server = await start(t, engine);
    const client = await RawClient.open(server.port);
    const { socket } = await server.peer();
    socket.send(Buffer.from('0'));
    socket.cork(() => {
      socket.send(Buffer.from('1'));
      socket.cork(() => void socket.send(Buffer.from('2')));
      throw new Error('in cork');
    });
    socket.send(Buffer.from('3'));
    for (const expected of '0123') t.equal((await client.next())?.payload.toString(), expected);
    t.match(server.failures, [{ message: 'in cork' }]);
  });

  t.test('what the server throws is reported, and it lives on', async (t) => {
    const boom = () => {
      throw new Error('boom');
    };
    const server = await start(t, engine, { onMessage: boom });
    const client = await open(server.url);
    client.send('1');
    await server.until(() => server.failures.length === 1);
    client.send('2');
    await server.until(() => server.failures.length === 2);
    t.match(server.failures, [{ message: 'boom' }, { message: 'boom' }]);
    t.same(server.peers[0]?.closes, [], 'the connection stays');

    const opening = await start(t, engine, { open: boom });
    const refused = new WebSocket(opening.url).on('error', () => undefined);
    await once(refused, 'close').catch(() => undefined);
    t.match(opening.failures, [{ message: 'boom' }]);

    const choosing = await start(t, engine, { chooseSubprotocol: boom });
    await once(new WebSocket(choosing.url, ['a']), 'error');
    t.match(choosing.failures, [{ message: 'boom' }]);

    const asking = await start(t, engine, { answer: boom });
    t.equal((await fetch(`http://127.0.0.1:${asking.port}/`)).status, 500);
    t.match(asking.failures, [{ message: 'boom' }]);

    const failing = await start(t, engine, { onMessage: boom, failed: boom });
    const talker = await open(failing.url);
    talker.send('1');
    talker.close(4900);
    t.match(await once(talker, 'close'), [4900], 'even when the report itself throws');
  });

  t.test('an oversized message ends the connection, whole or in fragments', async (t) => {
    const server = await start(t, engine, { messageBytes: 1_000 });
    const client = await open(server.url);
    client.send(Buffer.alloc(1_000));
    await nextMessage(client);
    client.send(Buffer.alloc(1_001));
    await once(client, 'close');
    const fragmented = await open(server.url);
    fragmented.send(Buffer.alloc(600), { fin: false });
    fragmented.send(Buffer.alloc(600), { fin: true });
    await once(fragmented, 'close');
    t.same(
      server.peers.map(({ messages, closes }) => [messages.length, closes.map(({ code }) => code)]),
      [
        [1, [1006]],
        [0, [1006]],
      ],
    );
    t.same(server.failures, []);
  });

  t.test('a port in use is refused with its code', async (t) => {
    const first = await start(t, engine);
    for (const other of engines) {
      const second = other.create(idleOptions(t));
      await t.rejects(second.listen({ host: '127.0.0.1', port: first.port }), { code: 'EADDRINUSE' });
      await t.rejects(second.listen({ host: '192.0.2.1', port: 0 }), { code: 'EADDRNOTAVAIL' });
      await second.close();
    }
  });

  t.test('stopListening keeps open sockets', async (t) => {
    const server = await start(t, engine);
    const client = await open(server.url);
    server.transport.stopListening();
    server.transport.stopListening();
    t.match(await once(new WebSocket(server.url), 'error'), [{ code: 'ECONNREFUSED' }]);
    client.send('still here');
    t.equal((await nextMessage(client)).toString(), 'still here');
    await server.transport.close();
    t.same(
      (await server.peer()).closes.map(({ code }) => code),
      [1006],
    );
  });

  t.test('close cuts everything', async (t) => {
    const server = await start(t, engine, { answer: () => ({ status: 200, headers: {}, body: 'x' }) });
    const client = await open(server.url);
    const silent = await RawClient.tcp(server.port);
    const keptAlive = await RawClient.tcp(server.port);
    keptAlive.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await keptAlive.readHead();
    const cut = once(client, 'close');
    await server.transport.close();
    t.match(await cut, [1006]);
    await Promise.all([silent.gone, keptAlive.gone]);
    t.same(
      (await server.peer()).closes.map(({ code }) => code),
      [1006],
    );
    await server.transport.close();
  });

  t.test('close frees the port, also of connections that the server closed', async (t) => {
    // Not port 0: uWebSockets.js sets SO_REUSEADDR on the others only.
    const port = await freePort();
    for (let round = 0; round < 3; round++) {
      const server = await start(t, engine, { port });
      t.equal(server.port, port);
      const client = await open(server.url);
      await open(server.url);
      (await server.peer()).socket.end(1001, '');
      await once(client, 'close');
      await server.transport.close();
    }
    const idle = await start(t, engine, { port });
    await idle.transport.close();
    t.match(await once(new WebSocket(idle.url), 'error'), [{ code: 'ECONNREFUSED' }]);
  });

  t.test('close cuts everything, too, when the server closes one socket in answer to another', async (t) => {
    const sockets = new Set<Socket>();
    const server = await start(t, engine, {
      open(socket) {
        sockets.add(socket);
        return {
          message: () => undefined,
          drained: () => undefined,
          closed() {
            sockets.delete(socket);
            for (const other of [...sockets].slice(0, 2)) other.terminate();
          },
        };
      },
    });
    const clients = await Promise.all(Array.from({ length: 20 }, () => open(server.url)));
    const cut = Promise.all(clients.map((client) => once(client, 'close')));
    await server.transport.close();
    await cut;
    t.equal(sockets.size, 0);
    t.same(server.failures, []);
  });

  t.test('a transport that never listened can be closed', async () => {
    const transport = engine.create(idleOptions(t));
    transport.stopListening();
    await transport.close();
  });
}

/** For a transport that nobody connects to. */
function idleOptions(t: Test): TransportOptions {
  return {
    messageBytes: 1,
    bodyBytes: 1,
    maxBufferedBytes: 1,
    chooseSubprotocol: () => undefined,
    open: () => t.fail('nobody should come') as never,
    request: () => Promise.reject(new Error('nobody should ask')),
    failed: (error) => void t.fail(String(error)),
  };
}
