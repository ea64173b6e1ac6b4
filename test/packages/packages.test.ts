/**
 * Both tarballs, installed in empty projects and used there as people use them. Needs the registry that npm is configured with,
 * or its packages in the cache of an earlier run.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { skipBrowser, startBrowser } from '../support/browser.js';
import { nodes, packed, project, root, run, serve, unreachable } from './projects.js';

/** What is installed, and everything in it: `@roomwire/client` is 0.9 MB of it, ws the rest. */
const CLIENT_BYTES = 2_000_000;
/** The floor, and the newest of each line that is supported. */
const NODES = ['20.11.0', '22', '24'];
const BIN = ['npx', '--no-install', 'roomwire'];

// The first run fetches 200 MB.
t.setTimeout(600_000);

if (unreachable) {
  t.pass('nothing was packed', { skip: unreachable });
  process.exit();
}

/** Joins a room, publishes, prints what it got; with `import` or `require`, on any Node. */
const talk = (load: string): string => `${load}
const client = connect(process.argv[2]);
const room = client.room('demo');
const heard = new Promise((resolve) => room.on('chat:message:new', resolve));
room.join({ create: true })
  .then(() => room.publish('chat:message:new', { text: 'hello' }))
  .then(() => heard)
  .then(({ text }) => { console.log(text); client.close(); });
`;

const [client, server] = await packed(t);
const [alone, app, bare, [floor = '', ...newer]] = await Promise.all([
  project(t, [client], {
    files: {
      'talk.mjs': talk(`import { connect } from '@roomwire/client';`),
      'talk.cjs': talk(`const { connect } = require('@roomwire/client');`),
    },
  }),
  project(t, [server, client, 'valibot', 'react@19', 'react-dom@19', 'vite', 'esbuild']),
  project(t, [server, client], { flags: ['--omit=optional', '--ignore-scripts'] }),
  nodes(NODES),
]);
const requiring = [process.execPath, ...newer];

t.test('the client alone is small, and brings nothing native and nothing of the server', async (t) => {
  const { packages } = JSON.parse(readFileSync(join(alone, 'node_modules/.package-lock.json'), 'utf8')) as {
    packages: Record<string, { readonly hasInstallScript?: boolean }>;
  };
  t.same(Object.keys(packages).sort(), ['node_modules/@roomwire/client', 'node_modules/ws']);
  t.notOk(
    Object.values(packages).some(({ hasInstallScript }) => hasInstallScript),
    'nothing runs when it is installed',
  );
  const files = filesOf(join(alone, 'node_modules'));
  t.same(
    files.filter((file) => /\.(node|gyp)$/.test(file)),
    [],
  );
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  t.comment(`${bytes} bytes`);
  t.ok(bytes <= CLIENT_BYTES, `${bytes} ≤ ${CLIENT_BYTES}`);
});

t.test('the server brings the protocol for other clients: the document, its vectors and the schema', async (t) => {
  const installed = join(app, 'node_modules/@roomwire/server');
  const names = (folder: string): string[] =>
    filesOf(folder)
      .map((file) => file.slice(folder.length))
      .sort();
  t.same(names(join(installed, 'protocol')), names(join(root, 'protocol')));
  t.match(readFileSync(join(installed, 'PROTOCOL.md'), 'utf8'), 'roomwire.v1');
});

for (const [index, node] of [process.execPath, floor, ...newer].entries()) {
  const version = index === 0 ? process.versions.node : NODES[index - 1];
  t.test(`on Node ${version} a server of one tarball gives events to a client of the other`, async (t) => {
    // The other way to start it stands in the tutorial.
    const command = index === 0 ? BIN : [node, 'node_modules/@roomwire/server/dist/cli/main.js'];
    const url = await serve(t, app, [...command, 'serve', '--port', '0', '--data', `data-${index}`]);
    t.match(await run(alone, [node, 'talk.mjs', url]), { status: 0, stdout: 'hello\n' });
    if (requiring.includes(node)) {
      t.match(await run(alone, [node, '--no-warnings', 'talk.cjs', url]), { status: 0, stdout: 'hello\n' });
    }
  });
}

t.test('each class is there once, by whatever name it is imported', async (t) => {
  const program = `
    import { createElement } from 'react';
    import { renderToString } from 'react-dom/server';
    import * as server from '@roomwire/server';
    import * as protocol from '@roomwire/client/protocol';
    import * as client from '@roomwire/client';
    import * as react from '@roomwire/client/react';
    import * as socket from '@roomwire/client/socket';
    import * as serversClient from '@roomwire/server/client';
    import * as serversReact from '@roomwire/server/react';
    import * as serversProtocol from '@roomwire/server/protocol';
    const errors = [server, client, protocol, socket, serversClient, serversProtocol].map((module) => module.RoomwireError);
    const running = server.createServer({ contract: protocol.defineContract({ calls: {} }) });
    const { port } = await running.listen({ port: 0 });
    const connected = client.connect('ws://127.0.0.1:' + port);
    const told = await connected.call('nothing', null).catch((error) => error);
    const emitting = socket.io('http://127.0.0.1:' + port);
    const emitted = await emitting.emitWithAck('nothing').catch((error) => error);
    emitting.disconnect();
    const thrown = await running.publish('nowhere', 'nothing', null).catch((error) => error);
    function Status() { return react.useConnection().status; }
    const provided = createElement(serversReact.RoomwireProvider, { client: connected }, createElement(Status));
    console.log(JSON.stringify({
      errors: new Set(errors).size,
      told: told instanceof server.RoomwireError && told.name,
      emitted: emitted instanceof client.RoomwireError && emitted.name,
      thrown: thrown instanceof client.RoomwireError,
      provider: react.RoomwireProvider === serversReact.RoomwireProvider,
      rendered: typeof renderToString(provided),
      connect: client.connect === serversClient.connect,
    }));
    connected.close();
    await running.close();`;
  const { status, stdout, stderr } = await run(app, [process.execPath, '--input-type=module'], { stdin: program });
  t.equal(status, 0, stderr);
  t.same(JSON.parse(stdout || '{}'), {
    errors: 1,
    told: 'unknown_call',
    emitted: 'unknown_call',
    thrown: true,
    provider: true,
    rendered: 'string',
    connect: true,
  });
});

t.test('every module of the server loads, and its manifest is exported', async (t) => {
  const dist = join(app, 'node_modules/@roomwire/server/dist');
  const modules = filesOf(dist).filter(
    (file) => /\.js$/.test(file) && !/cli\/main\.js$|link\/worker\.js$|http\/page\/|client\.d/.test(file),
  );
  t.ok(modules.length > 100, `${modules.length} modules`);
  const program = `
    for (const file of ${JSON.stringify(modules)}) await import(file);
    for (const name of ['server', 'client']) {
      const { default: manifest } = await import('@roomwire/' + name + '/package.json', { with: { type: 'json' } });
      console.log(manifest.name, manifest.version, manifest.dependencies['@roomwire/client']);
    }`;
  const args = ['--no-warnings', '--input-type=module'];
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  t.match(await run(app, [process.execPath, ...args], { stdin: program }), {
    status: 0,
    stdout: `@roomwire/server ${version} ${version}\n@roomwire/client ${version} undefined\n`,
  });
});

t.test('every source map has its sources', async (t) => {
  for (const name of ['server', 'client']) {
    const maps = filesOf(join(app, 'node_modules/@roomwire', name)).filter((file) => file.endsWith('.map'));
    t.ok(maps.length > 30, `${maps.length} maps`);
    const without = maps.filter((file) => {
      const map = JSON.parse(readFileSync(file, 'utf8')) as { sources: string[]; sourcesContent?: (string | null)[] };
      return map.sources.some((_, index) => typeof map.sourcesContent?.[index] !== 'string');
    });
    t.same(without, []);
  }
});

t.test('esbuild bundles the client for a browser, without anything of Node', async (t) => {
  const url = await serve(t, app, [...BIN, 'serve', '--port', '0', '--memory']);
  writeFileSync(join(app, 'talk.mjs'), talk(`import { connect } from '@roomwire/client';`));
  const args = ['talk.mjs', '--bundle', '--format=esm', '--platform=browser', '--outfile=bundled.mjs'];
  t.match(await run(app, ['npx', '--no-install', 'esbuild', ...args]), { status: 0 });
  t.notMatch(readFileSync(join(app, 'bundled.mjs'), 'utf8'), /from "(ws|node:|@roomwire)/);
  // Node 24 has what a browser has.
  t.match(await run(app, [newer.at(-1) ?? '', 'bundled.mjs', url]), { status: 0, stdout: 'hello\n' });
});

t.test('Vite and React 19 make a page that shows a room', { skip: skipBrowser }, async (t) => {
  const url = await serve(t, app, [...BIN, 'serve', '--port', '0', '--memory']);
  writeFileSync(
    join(app, 'page.jsx'),
    `import { createElement, version } from 'react';
    import { createRoot } from 'react-dom/client';
    import { connect } from '@roomwire/client';
    import { RoomwireProvider, useRoom } from '@roomwire/client/react';
    function Room() {
      const { status, members } = useRoom('demo', { create: true });
      return createElement('p', null, 'React ' + version + ': ' + status + ', ' + members.length);
    }
    const client = () => connect(location.origin.replace('http', 'ws'));
    createRoot(document.body.appendChild(document.createElement('div'))).render(
      createElement(RoomwireProvider, { client }, createElement(Room)));`,
  );
  const lib = { entry: 'page.jsx', formats: ['iife'], name: 'page', fileName: 'page' };
  const config = { define: { 'process.env.NODE_ENV': '"production"' }, build: { lib, outDir: 'built' } };
  writeFileSync(join(app, 'vite.config.mjs'), `export default ${JSON.stringify(config)};\n`);
  const { status, stderr } = await run(app, ['npx', '--no-install', 'vite', 'build']);
  t.equal(status, 0, stderr);
  const browser = await startBrowser(t);
  const { page, problems } = await browser.open(`${url}/page`, {
    script: readFileSync(join(app, 'built/page.iife.js'), 'utf8'),
  });
  await page.getByText(/^React 19\.[\d.]+: joined, 1$/).waitFor();
  t.same(problems, []);
});

t.test(
  'without optional packages and install scripts it serves from memory, and says what the store lacks',
  async (t) => {
    const { status, stderr } = await run(bare, [...BIN, 'serve', '--port', '0']);
    t.equal(status, 1);
    t.equal(
      stderr.trim().split('\n').at(-1),
      `roomwire: the package lmdb has no binary for ${process.platform}-${process.arch} here. Install its optional dependencies too ` +
        '(npm install --include=optional), or keep nothing: roomwire serve --memory, memoryStore() in a program',
    );
    t.match(
      stderr,
      'No native build of uWebSockets.js loads on this system',
      'what runs in place of the engine is told before',
    );
    const url = await serve(t, bare, [...BIN, 'serve', '--port', '0', '--memory']);
    t.match(await run(alone, [process.execPath, 'talk.mjs', url]), { status: 0, stdout: 'hello\n' });
  },
);

function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
