/** A server under a path of another one: HTTP, Location, documents, the SDK, and the proxy of deploy/beside.mjs with the page. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { connect } from '../../src/client/node.js';
import { io } from '../../src/client/socket/node.js';
import { http } from '../../src/http/http.js';
import { createServer } from '../../src/server/server.js';
import { says, skipBrowser, startBrowser } from '../support/browser.js';
import { roomContract } from '../support/rooms.js';
import { startServer } from '../support/server.js';
import { rooms } from '../../src/rooms/rooms.js';
import { until } from '../support/until.js';

const beside = fileURLToPath(new URL('../../deploy/beside.mjs', import.meta.url));

const start = (t: Test) =>
  startServer(t, { contract: roomContract, plugins: [rooms(), http()] as const, basePath: '/rt/' });

t.test('everything is below the path, and says so', async (t) => {
  const { http: url } = await start(t);
  const made = await fetch(`${url}/rt/api/rooms/a`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  t.equal(made.status, 201);
  t.equal(made.headers.get('location'), '/rt/api/rooms/a');
  const document = (await (await fetch(`${url}/rt/openapi.json`)).json()) as { servers: unknown };
  t.same(document.servers, [{ url: '/rt/' }]);
  const bare = await fetch(`${url}/rt`, { redirect: 'manual' });
  t.same([bare.status, bare.headers.get('location')], [308, '/rt/']);
  for (const path of ['/', '/api/rooms', '/rtx/api/rooms']) {
    const answer = await fetch(url + path);
    t.equal(answer.status, 404, path);
    t.match(await answer.text(), 'this server is at /rt/');
  }
  t.equal((await fetch(`${url}/health/live`)).status, 200, 'whoever watches the process needs no path');
  t.equal((await fetch(`${url}/rt/health/delivery`)).status, 200);
});

t.test('the SDK finds REST where the socket is', async (t) => {
  const { url } = await start(t);
  const client = connect<typeof roomContract>(`${url}/rt/`);
  t.teardown(() => client.close());
  await client.room('a').join({ create: true });
  await client.rooms.watch();
  t.equal(client.rooms.get('a')?.id, 'a', 'the list is read over HTTP');
});

t.test('a path that is none is refused before anything starts', async (t) => {
  for (const basePath of ['rt', '/a b', 'http://x/rt', '//rt', '/rt?x'])
    t.throws(() => createServer({ contract: roomContract, basePath }), { message: /^basePath: takes a path/ });
});

async function besideServer(t: Test): Promise<string> {
  const { http: url } = await start(t);
  const child = spawn(process.execPath, [beside, '0', url], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return line;
}

t.test('beside an existing server, both clients connect through its proxy', async (t) => {
  const url = await besideServer(t);
  t.match(await (await fetch(`${url}/other`)).text(), 'the server that was here before: /other');
  const client = connect<typeof roomContract>(`${url}/rt/`);
  t.teardown(() => client.close());
  await client.room('a').join({ create: true });
  await client.rooms.watch();
  t.equal(client.rooms.get().length, 1);
  const socket = io(`${url}/rt/`);
  t.teardown(() => socket.disconnect());
  t.match(await socket.emitWithAck('join:room', { roomId: 'a' }), { status: 'joined' });
  await until(() => client.room('a').state.get().members.length === 2);
});

t.test('the page works there', { skip: skipBrowser }, async (t) => {
  const url = await besideServer(t);
  const browser = await startBrowser(t);
  const { page, problems, sockets } = await browser.open(`${url}/rt`);
  await says(page, 'body', 'live');
  t.equal(page.url(), `${url}/rt/`);
  t.same(sockets, [`${url.replace('http', 'ws')}/rt/`]);
  t.same(problems, []);
});
