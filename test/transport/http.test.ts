/** HTTP beside the WebSockets: what the server is asked, and what the peer gets. */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import type { HttpRequest, HttpResponse } from '../../src/server/transport/transport.js';
import { RawClient } from './raw-client.js';
import { type Engine, engines, start } from './start.js';

interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function ask(port: number, options: RequestOptions, body?: string | Uint8Array): Promise<Reply> {
  const asking = httpRequest({ host: '127.0.0.1', port, ...options });
  asking.end(body);
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks).toString() };
}

for (const engine of engines) t.test(engine.name, async (t) => suite(t, engine));

function suite(t: Test, engine: Engine): void {
  t.test('any method on any path reaches the server whole', async (t) => {
    const requests: HttpRequest[] = [];
    const server = await start(t, engine, {
      answer(request) {
        requests.push(request);
        return { status: 201, headers: { 'x-one': '1', 'Content-Type': 'text/plain' }, body: `[${request.method}]` };
      },
    });
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const body = method === 'GET' ? undefined : `body of ${method}`;
      const length = body === undefined ? {} : { 'content-length': body.length };
      const reply = await ask(
        server.port,
        { method, path: '/a/b%20c?q=1&r', headers: { 'X-Two': '2', ...length } },
        body,
      );
      t.match(reply, { status: 201, headers: { 'x-one': '1', 'content-type': 'text/plain' }, body: `[${method}]` });
      const request = requests.pop()!;
      t.match(request, { method, path: '/a/b%20c', query: 'q=1&r', address: '127.0.0.1', bodyTooLarge: false });
      t.equal(request.headers['x-two'], '2');
      t.equal(Buffer.from(request.body).toString(), body ?? '');
    }
    t.same(server.failures, []);
  });

  t.test('a body in many chunks arrives whole', async (t) => {
    let got = Buffer.alloc(0);
    const server = await start(t, engine, {
      bodyBytes: 1_000_000,
      answer(request) {
        got = Buffer.from(request.body);
        return { status: 200, headers: {}, body: new Uint8Array([111, 107]) };
      },
    });
    const body = Buffer.alloc(900_000, 'abcdefg');
    t.equal((await ask(server.port, { method: 'POST' }, body)).body, 'ok');
    t.ok(got.equals(body));
    t.equal((await ask(server.port, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } }, body)).body, 'ok');
    t.ok(got.equals(body));
  });

  t.test('HEAD sends the length but no body', async (t) => {
    const server = await start(t, engine, { answer: () => ({ status: 200, headers: {}, body: 'hellö' }) });
    const client = await RawClient.tcp(server.port);
    client.write('HEAD /x HTTP/1.1\r\nhost: x\r\n\r\n');
    t.match((await client.readHead()).toLowerCase(), /^http\/1.1 200 ok\r\n(.*\r\n)*content-length: 6\r\n/);
    client.write('GET /x HTTP/1.1\r\nhost: x\r\n\r\n');
    t.match(await client.readHead(), /^HTTP\/1.1 200 OK/, 'the next bytes are the next answer');
    t.equal((await client.read(6)).toString(), 'hellö');
    client.destroy();
  });

  t.test('204 has neither body nor length', async (t) => {
    const server = await start(t, engine, { answer: () => ({ status: 204, headers: {}, body: '' }) });
    const reply = await ask(server.port, { method: 'DELETE' });
    t.equal(reply.status, 204);
    t.notOk('content-length' in reply.headers);
  });

  t.test('a body over the limit is reported, not gathered, and the connection goes on', async (t) => {
    const seen: [boolean, number][] = [];
    const server = await start(t, engine, {
      bodyBytes: 1_000,
      answer(request) {
        seen.push([request.bodyTooLarge, request.body.length]);
        return { status: request.bodyTooLarge ? 413 : 200, headers: {}, body: '' };
      },
    });
    const status = async (size: number, headers = {}) =>
      (await ask(server.port, { method: 'POST', headers }, Buffer.alloc(size))).status;
    t.equal(await status(1_000), 200);
    t.equal(await status(1_001), 413);
    t.equal(await status(300_000), 413);
    t.equal(await status(1_001, { 'transfer-encoding': 'chunked' }), 413);
    t.equal(await status(300_000, { 'transfer-encoding': 'chunked' }), 413);
    t.same(seen, [
      [false, 1_000],
      [true, 0],
      [true, 0],
      [true, 0],
      [true, 0],
    ]);

    const client = await RawClient.tcp(server.port);
    client.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n');
    t.match(await client.readHead(), /^HTTP\/1.1 413 /, 'the answer does not wait for the body');
    client.write(Buffer.alloc(5_000, 'x'));
    client.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok');
    t.match(await client.readHead(), /^HTTP\/1.1 200 /);
    client.destroy();
    t.same(server.failures, []);
  });

  t.test('a peer that leaves before the answer does no harm', async (t) => {
    let release: () => void = () => undefined;
    let asked = false;
    const held = new Promise<void>((resolve) => (release = resolve));
    const server = await start(t, engine, {
      async answer(request) {
        if (request.path === '/held') {
          asked = true;
          await held;
        }
        return { status: 200, headers: {}, body: 'ok' };
      },
    });
    const client = await RawClient.tcp(server.port);
    client.write('GET /held HTTP/1.1\r\nhost: x\r\n\r\n');
    while (!asked) await ask(server.port, { path: '/poll' });
    client.destroy();
    const half = await RawClient.tcp(server.port);
    half.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf');
    half.destroy();
    await Promise.all([client.gone, half.gone]);
    t.equal((await ask(server.port, {})).body, 'ok');
    release();
    t.equal((await ask(server.port, {})).body, 'ok');
    t.same(server.failures, []);
  });

  t.test('an answer that would break HTTP becomes a 500', async (t) => {
    const bad: HttpResponse[] = [
      { status: 200, headers: { 'x-a': 'b\r\nset-cookie: c' }, body: '' },
      { status: 200, headers: { 'x a': 'b' }, body: '' },
      { status: 99, headers: {}, body: '' },
    ];
    const server = await start(t, engine, { answer: () => bad.shift()! });
    for (let left = bad.length; left > 0; left--) t.equal((await ask(server.port, {})).status, 500);
    t.equal(server.failures.length, 3);
  });

  t.test('the length and the connection are the engine’s to tell', async (t) => {
    const server = await start(t, engine, {
      answer: () => ({ status: 200, headers: { 'Content-Length': '99', connection: 'x' }, body: 'abc' }),
    });
    const reply = await ask(server.port, {});
    t.equal(reply.headers['content-length'], '3');
    t.equal(reply.body, 'abc');
  });

  t.test('headers have no prototype, and repeated ones are joined', async (t) => {
    let headers: HttpRequest['headers'] = {};
    const server = await start(t, engine, {
      answer(request) {
        headers = request.headers;
        return { status: 200, headers: {}, body: '' };
      },
    });
    const client = await RawClient.tcp(server.port);
    client.write('GET / HTTP/1.1\r\nhost: x\r\nX-A: 1\r\nx-a: 2\r\n\r\n');
    await client.readHead();
    client.destroy();
    t.equal(Object.getPrototypeOf(headers), null);
    t.equal(headers['x-a'], '1, 2');
    t.equal(headers['constructor'], undefined);
  });

  t.test('an upgrade that is none is refused with 400', async (t) => {
    const server = await start(t, engine);
    const upgrade = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n';
    const key = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
    const broken = [
      `${upgrade}sec-websocket-version: 13\r\n\r\n`,
      `${upgrade}${key}\r\n`,
      `${upgrade}${key}sec-websocket-version: 7\r\n\r\n`,
      `${upgrade}sec-websocket-key: short\r\nsec-websocket-version: 13\r\n\r\n`,
    ];
    for (const text of broken) {
      const client = await RawClient.tcp(server.port);
      client.write(text);
      t.match(await client.readHead(), /^HTTP\/1.1 400 Bad Request\r\n/, JSON.stringify(text));
      client.destroy();
    }
    t.same(server.peers, []);
    t.same(server.failures, []);
  });

  t.test('what is no HTTP does no harm', async (t) => {
    const server = await start(t, engine);
    const clients = [];
    for (const text of [
      '\x16\x03\x01\x02\r\n\r\n',
      'GET\r\n\r\n',
      'GET / HTTP/1.1\r\n: x\r\n\r\n',
      '\r\n'.repeat(100),
    ]) {
      const client = await RawClient.tcp(server.port);
      client.write(text);
      clients.push(client);
    }
    t.equal((await ask(server.port, {})).status, 404);
    for (const client of clients) client.destroy();
    t.equal((await ask(server.port, {})).status, 404);
    t.same(server.failures, []);
  });
}
