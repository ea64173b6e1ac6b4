/** Requests that proxies, load balancers and attackers send in odd forms: answered, or refused and not done; never done unanswered. */
import { connect } from 'node:net';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { type Engine, engines, start } from './start.js';

const HEAD = 'POST /a HTTP/1.1\r\nHost: x\r\n';
const CHUNKS = '4\r\nbody\r\n0\r\n\r\n';
const chunked = (encoding: string): string => `${HEAD}Transfer-Encoding: ${encoding}\r\n\r\n${CHUNKS}`;

const refused: Record<string, string> = {
  'two Content-Lengths that differ': `${HEAD}Content-Length: 2\r\nContent-Length: 4\r\n\r\nbody`,
  'the other way round': `${HEAD}Content-Length: 4\r\nContent-Length: 2\r\n\r\nbody`,
  'the same one twice': `${HEAD}Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody`,
  'a list of lengths': `${HEAD}Content-Length: 2, 4\r\n\r\nbody`,
  'a length with a sign': `${HEAD}Content-Length: +4\r\n\r\nbody`,
  'a negative length': `${HEAD}Content-Length: -4\r\n\r\nbody`,
  'a length in hex': `${HEAD}Content-Length: 0x4\r\n\r\nbody`,
  'an empty length': `${HEAD}Content-Length: \r\n\r\nbody`,
  'a length and chunks': `${HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`,
  'chunks and a length': `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${CHUNKS}`,
  gzip: chunked('gzip'),
  'gzip in chunks': chunked('gzip, chunked'),
  xchunked: chunked('xchunked'),
  'chunks, then more': chunked('chunked, identity'),
  'chunked twice': chunked('chunked\r\nTransfer-Encoding: chunked'),
  'two Hosts': 'GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n',
  'chunked and identity': chunked('chunked\r\nTransfer-Encoding: identity'),
};

const answered: Record<string, readonly string[]> = {
  chunked: [chunked('chunked')],
  'chunked in capitals': [chunked('CHUNKED')],
  'a GET with a body': ['GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody'],
  // What Java's HttpClient sends.
  'an upgrade to h2c': [
    `${HEAD}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 4\r\n\r\nbody`,
  ],
  'one whose body comes later': [`${HEAD}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\n`, 'bo', 'dy'],
  'one in chunks, later': [
    `${HEAD}Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo`,
    'dy\r\n0\r\n\r\n',
  ],
  'an upgrade to TLS': [`${HEAD}Connection: upgrade\r\nUpgrade: TLS/1.2\r\nContent-Length: 4\r\n\r\nbody`],
  'one that would also take a WebSocket': [
    `${HEAD}Connection: Upgrade\r\nUpgrade: foo, websocket\r\nContent-Length: 4\r\n\r\nbody`,
  ],
};

for (const engine of engines) t.test(engine.name, async (t) => suite(t, engine));

function suite(t: Test, engine: Engine): void {
  const begin = async (t: Test) => {
    const done: string[] = [];
    const server = await start(t, engine, {
      answer(request) {
        done.push(`${request.method} ${request.path} ${Buffer.from(request.body).toString()}`);
        return { status: 200, headers: {}, body: 'answer' };
      },
    });
    const raw = () => {
      const socket = connect(server.port, '127.0.0.1');
      t.teardown(() => socket.destroy());
      const peer = { got: '', ended: false, socket, gone: once(socket, 'close') };
      socket.on('data', (bytes) => (peer.got += bytes.toString('latin1')));
      socket.on('error', () => undefined);
      socket.on('close', () => (peer.ended = true));
      const wait = async (test: () => boolean): Promise<void> => {
        while (!test() && !peer.ended) await Promise.race([once(socket, 'data'), once(socket, 'close')]);
      };
      return Object.assign(peer, { wait, answers: () => peer.got.split('answer').length - 1 });
    };
    return { server, done, raw };
  };

  t.test('a request whose end, or whose host, is told in two ways is not done', async (t) => {
    const { server, done, raw } = await begin(t);
    for (const [what, text] of Object.entries(refused)) {
      const peer = raw();
      peer.socket.write(text);
      await peer.gone;
      t.match(peer.got, /^(HTTP\/1\.1 400 |$)/, `${what}: 400, or the engine's cut`);
      t.strictSame(done.splice(0), [], what);
    }
    t.same(server.failures, []);
  });

  t.test('odd, but clear: done once and answered, and the connection stays good', async (t) => {
    const { server, done, raw } = await begin(t);
    for (const [what, [first = '', ...later]] of Object.entries(answered)) {
      const peer = raw();
      peer.socket.write(first);
      for (const part of later) {
        // On another turn, so that it comes by itself.
        await new Promise((resolve) => setImmediate(resolve));
        peer.socket.write(part);
      }
      await peer.wait(() => peer.answers() === 1);
      peer.socket.write('GET /again HTTP/1.1\r\nHost: x\r\n\r\n');
      await peer.wait(() => peer.answers() === 2);
      t.match(done.splice(0), [/^(POST|GET) \/a body$/, /^GET \/again $/], what);
      t.equal(peer.answers(), 2, what);
    }
    t.same(server.failures, []);
  });

  t.test('two requests in one packet are both answered, or neither is done', async (t) => {
    const { done, raw } = await begin(t);
    for (const first of [
      'GET /a HTTP/1.1\r\nHost: x\r\n\r\n',
      `${HEAD}Content-Length: 4\r\n\r\nbody`,
      chunked('chunked'),
    ]) {
      const peer = raw();
      peer.socket.write(`${first}GET /b HTTP/1.1\r\nHost: x\r\n\r\n`);
      await peer.wait(() => peer.answers() === 2);
      t.equal(done.splice(0).length, peer.answers(), first);
      t.equal(peer.answers(), engine.name === 'ws' ? 2 : 0);
    }
  });

  t.test('HTTP/1.0, or no Host: nothing is done that is not answered', async (t) => {
    const { done, raw } = await begin(t);
    for (const text of ['GET /a HTTP/1.0\r\n\r\n', 'GET /a HTTP/1.0\r\nHost: x\r\n\r\n', 'GET /a HTTP/1.1\r\n\r\n']) {
      const peer = raw();
      peer.socket.write(text);
      // uws says nothing for 10 s and more: docs/operating.md tells proxies what to send.
      if (engine.name === 'ws') await peer.wait(() => peer.got !== '');
      const other = raw();
      other.socket.write('GET /other HTTP/1.1\r\nHost: x\r\n\r\n');
      await other.wait(() => other.answers() === 1);
      const requests = done.splice(0).filter((request) => request !== 'GET /other ');
      t.equal(requests.length, peer.answers(), text);
    }
  });
}
