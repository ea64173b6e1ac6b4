/** Answers in parts, on both engines: the head at once, then what is written, as far as the peer takes it. */
import t, { type Test } from 'tap';
import type { Gone, HttpResponse, Socket } from '../../src/server/transport/transport.js';
import { RawClient } from './raw-client.js';
import { type Engine, engines, start } from './start.js';

interface Stream {
  readonly socket: Socket;
  readonly closes: number[];
  drains: number;
}

const FILLER = Buffer.from('.');

for (const engine of engines) t.test(engine.name, async (t) => suite(t, engine));

/** Each GET is answered with a stream that begins with `begin`. */
async function streaming(t: Test, engine: Engine, options = {}) {
  const streams: Stream[] = [];
  const counts = { asked: 0, gone: 0 };
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const server = await start(t, engine, {
    request: async ({ path }: { readonly path: string }, gone: Gone): Promise<HttpResponse> => {
      counts.asked++;
      gone(() => counts.gone++);
      if (path === '/held') await held;
      if (path === '/plain') return { status: 200, headers: {}, body: 'plain' };
      return {
        status: 200,
        headers: { 'x-one': '1' },
        body: {
          filler: FILLER,
          open(socket: Socket) {
            const stream: Stream = { socket, closes: [], drains: 0 };
            streams.push(stream);
            socket.send(Buffer.from('begin'));
            return {
              message: () => t.fail('no message comes'),
              drained: () => void stream.drains++,
              closed: (code: number) => void stream.closes.push(code),
            };
          },
        },
      };
    },
    ...options,
  });
  return { ...server, streams, counts, release };
}

/** The next part of a chunked body; empty: its end. uWebSockets.js ends the line of a part with the next one. */
async function part(client: RawClient): Promise<string> {
  let length = '';
  while (!/[^\r\n]\r\n$/.test(length)) length += (await client.read(1)).toString();
  const bytes = await client.read(parseInt(length.trim(), 16));
  if (bytes.length === 0) await client.read(2);
  return bytes.toString();
}

async function ask(port: number, path = '/'): Promise<RawClient> {
  const client = await RawClient.tcp(port);
  client.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
  return client;
}

async function turn(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

function suite(t: Test, engine: Engine): void {
  t.test(
    'the head and the first part leave at once, the others as they are written, and the connection goes on',
    async (t) => {
      const server = await streaming(t, engine);
      const client = await ask(server.port);
      t.match((await client.readHead()).toLowerCase(), /^http\/1.1 200 ok\r\n(.*\r\n)*transfer-encoding: chunked\r\n/);
      t.match(client.head, /x-one: 1/);
      t.equal(await part(client), 'begin');
      const [stream] = server.streams as [Stream];
      t.equal(stream.socket.send(Buffer.from('more')), 'sent');
      t.equal(await part(client), 'more');
      stream.socket.cork(() => {
        stream.socket.send(Buffer.from('a'));
        stream.socket.send(Buffer.from('b'));
      });
      t.strictSame([await part(client), await part(client)], ['a', 'b']);
      stream.socket.end(4009, '');
      t.strictSame(stream.closes, [4009]);
      t.equal(await part(client), '', 'the end');
      t.equal(stream.socket.send(Buffer.from('late')), 'dropped');
      stream.socket.end(4009, '');
      stream.socket.terminate();
      client.write('GET /plain HTTP/1.1\r\nhost: x\r\n\r\n');
      t.match(await client.readHead(), /^HTTP\/1.1 200 OK/);
      client.destroy();
      t.strictSame(stream.closes, [4009]);
      t.strictSame(server.failures, []);
    },
  );

  t.test('a peer that reads nothing is told by `queued`, and `drained` follows once it does', async (t) => {
    const server = await streaming(t, engine, { maxBufferedBytes: 16 * 1024 * 1024 });
    const client = await ask(server.port);
    await client.readHead();
    const [stream] = server.streams as [Stream];
    client.stall();
    let sent = 5;
    const bytes = Buffer.alloc(60_000, 'x');
    while (stream.socket.send(bytes) === 'sent') sent += bytes.length;
    sent += bytes.length;
    t.ok(stream.socket.bufferedBytes() > 0);
    const { drains } = stream;
    client.resume();
    await turn(() => stream.drains > drains);
    t.equal(stream.socket.bufferedBytes(), 0);
    stream.socket.end(4009, '');
    let got = 0;
    for (let text = await part(client); text !== ''; text = await part(client)) got += text.replaceAll('.', '').length;
    t.equal(got, sent, 'all of it, in its order, and nothing but the filler beside it');
    client.destroy();
    t.strictSame(server.failures, []);
  });

  t.test('a peer that leaves is heard once, before and after the answer has begun', async (t) => {
    const server = await streaming(t, engine);
    const client = await ask(server.port);
    await client.readHead();
    const [stream] = server.streams as [Stream];
    client.destroy();
    await turn(() => stream.closes.length > 0);
    t.strictSame(stream.closes, [1006]);
    await turn(() => server.counts.gone === 1);
    t.equal(stream.socket.send(Buffer.from('late')), 'dropped');
    stream.socket.end(4009, '');
    t.strictSame(stream.closes, [1006]);
    const early = await ask(server.port, '/held');
    await turn(() => server.counts.asked === 2);
    early.destroy();
    await turn(() => server.counts.gone === 2);
    server.release();
    await (await ask(server.port, '/plain')).readHead();
    t.equal(server.streams.length, 1, 'nothing is begun for it');
    t.strictSame(server.failures, []);
  });

  t.test('terminate cuts, in the middle of the body', async (t) => {
    const server = await streaming(t, engine);
    const client = await ask(server.port);
    await client.readHead();
    t.equal(await part(client), 'begin');
    const [stream] = server.streams as [Stream];
    stream.socket.terminate();
    t.strictSame(stream.closes, [1006]);
    await client.gone;
    t.strictSame(server.failures, []);
  });

  t.test('HEAD begins no stream', async (t) => {
    const server = await streaming(t, engine);
    const client = await RawClient.tcp(server.port);
    client.write('HEAD / HTTP/1.1\r\nhost: x\r\n\r\n');
    t.match(await client.readHead(), /^HTTP\/1.1 200 OK/);
    client.write('GET /plain HTTP/1.1\r\nhost: x\r\n\r\n');
    t.match(await client.readHead(), /^HTTP\/1.1 200 OK/);
    t.equal(server.streams.length, 0);
    client.destroy();
  });

  t.test('a stream that cannot be opened is cut, and the failure is told', async (t) => {
    const server = await start(t, engine, {
      answer: () => ({
        status: 200,
        headers: {},
        body: {
          filler: FILLER,
          open() {
            throw new Error('no');
          },
        },
      }),
    });
    const client = await ask(server.port);
    await client.gone;
    t.equal(server.failures.length, 1);
  });

  t.test('close cuts open streams', async (t) => {
    const server = await streaming(t, engine);
    const client = await ask(server.port);
    await client.readHead();
    const [stream] = server.streams as [Stream];
    await server.transport.close();
    await client.gone;
    await turn(() => stream.closes.length > 0);
    t.strictSame(stream.closes, [1006]);
  });
}
