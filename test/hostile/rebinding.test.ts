/**
 * DNS rebinding: a page of attacker.example makes its own name lead to this machine, so to its browser the server is no
 * other origin. Where guests are let in, requests and sockets under such a name are refused, on both engines.
 */
import { connect } from 'node:net';
import t from 'tap';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { isLocalHost } from '../../src/server/gate/doorkeeper.js';
import type { AuditEntry } from '../../src/server/api.js';
import { roomContract } from '../support/rooms.js';
import { engine, startServer, type Test } from '../support/server.js';
import { SECRET } from '../support/tokens.js';

const local = [
  ...['localhost', 'localhost:8420', 'LOCALHOST:1', 'localhost.', 'app.localhost:3000', '127.0.0.1', '127.8.9.10:8420'],
  ...['[::1]', '[::1]:8420', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]:80', '[::ffff:7f00:1]', 'localhost:', ''],
];
const foreign = [
  ...['attacker.example', 'attacker.example:8420', 'localhost.attacker.example', 'notlocalhost', '127.0.0.1.nip.io'],
  ...['0.0.0.0', '[::]', '192.168.1.5', '10.0.0.1:8420', '[64:ff9b::7f00:1]', '[::ffff:1.2.3.4]', '128.0.0.1', '127.1'],
  ...[
    'localhost@attacker.example',
    'attacker.example@localhost',
    'localhost, attacker.example',
    'localhost/',
    'local host',
  ],
  ...[
    'localhost:8420:1',
    '::1',
    '[::1',
    '[localhost]',
    '.',
    ':8420',
    'xn--lcalhost-x1a',
    'localhost#x',
    'localhost\\x',
    '*',
  ],
];

t.test('which names are those of this machine', (t) => {
  for (const host of local) t.equal(isLocalHost(host), true, host);
  for (const host of foreign) t.equal(isLocalHost(host), false, host);
  t.end();
});

/** The status line of a request sent as it is. */
function ask(port: number, method: string, path: string, headers: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString();
      if (!answer.includes('\r\n\r\n')) return;
      socket.destroy();
      resolve(answer.split('\r\n')[0] as string);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer.split('\r\n')[0] ?? ''));
    socket.write([`${method} ${path} HTTP/1.1`, ...headers, '', ''].join('\r\n'));
  });
}

async function start(t: Test, options: object = {}, use = engine) {
  const trail: AuditEntry[] = [];
  const s = await startServer(t, {
    contract: roomContract,
    plugins: [rooms(), http()] as const,
    audit: (line: AuditEntry) => void trail.push(line),
    engine: use,
    ...options,
  });
  return { ...s, trail };
}

const paths = [
  ['GET', '/'],
  ['GET', '/api/rooms'],
  ['GET', '/api/locks'],
  ['GET', '/metrics'],
  ['GET', '/openapi.json'],
  ['GET', '/health/ready'],
  ['GET', '/api/topics'],
  ['POST', '/api/rooms/x'],
  ['OPTIONS', '/api/rooms'],
  ['GET', '/nowhere'],
] as const;

for (const use of ['uws', 'ws'] as const) {
  t.test(`${use}: each path and the socket answer to names of this machine alone`, async (t) => {
    const s = await start(t, {}, use);
    for (const host of ['attacker.example', `attacker.example:${s.port}`, '192.168.1.5', '127.0.0.1.nip.io']) {
      for (const [method, path] of paths) {
        t.match(
          await ask(s.port, method, path, [`host: ${host}`, 'content-length: 0']),
          / 403 /,
          `${host} ${method} ${path}`,
        );
      }
      const rebound = s.connect(undefined, { host });
      t.match(await rebound.closed, { code: 4006, reason: /a name of this machine/ }, host);
      const own = s.connect(undefined, { host, origin: `http://${host}` });
      t.match(await own.closed, { code: 4006 }, `${host}: its own page, too`);
    }
    t.match(s.trail[0], { event: 'denied', address: '127.0.0.1', target: 'GET /', reason: /localhost/ });
    for (const host of [`localhost:${s.port}`, `127.0.0.1:${s.port}`, `[::1]:${s.port}`, 'app.localhost']) {
      t.match(await ask(s.port, 'GET', '/api/rooms', [`host: ${host}`]), / 200 /, host);
      t.match(await s.connect(undefined, { host }).hello(), { resumed: false }, host);
    }
    t.match(
      await s.connect(undefined, { host: 'app.localhost:5173', origin: 'http://app.localhost:5173' }).hello(),
      {},
    );
  });

  t.test(`${use}: where there are keys, any name will do, as behind a proxy`, async (t) => {
    const s = await start(t, { auth: { secret: SECRET } }, use);
    t.match(await ask(s.port, 'GET', '/health/live', ['host: rooms.example']), / 200 /);
    t.match(await ask(s.port, 'GET', '/api/rooms', ['host: rooms.example']), / 401 /);
  });
}
