/** docs/react.md: its application type-checks as printed, and works in a browser; only the address is another one. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, transformSync } from 'esbuild';
import t from 'tap';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { memoryStore } from '../../src/store/memory.js';
import { eventually, skipBrowser as skip, startBrowser } from '../support/browser.js';
import { startServer } from '../support/server.js';

const root = new URL('../..', import.meta.url).pathname;
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

function block(text: string, begin: string): string {
  const found = [...text.matchAll(/```tsx?\n([^]*?)```/g)]
    .map(([, code = '']) => code)
    .find((code) => code.startsWith(begin));
  if (found === undefined) throw new Error(`there is no block ${begin}`);
  return found;
}

t.test('the application of docs/react.md type-checks, and two people use it as it says', { skip }, async (t) => {
  const dir = t.testdir();
  const contractSource = block(read('README.md'), '// contract.ts');
  writeFileSync(join(dir, 'contract.ts'), contractSource);
  writeFileSync(join(dir, 'contract.mjs'), transformSync(contractSource, { loader: 'ts' }).code);
  const { contract } = (await import(join(dir, 'contract.mjs'))) as {
    contract: import('../../src/protocol/contract.js').Contract;
  };
  const s = await startServer(t, { contract, plugins: [rooms(), http()] as const, store: memoryStore() });
  s.server.handle('chat:send' as never, async ({ input, session, publish }) => {
    const { roomId, text } = input as { roomId: string; text: string };
    await publish(`room:${roomId}` as never, 'chat:message:new' as never, { user: session.user.name, text, at: 1 });
    return null;
  });
  writeFileSync(
    join(dir, 'app.tsx'),
    block(read('docs/react.md'), '// app.tsx').replace('127.0.0.1:8420', `127.0.0.1:${s.port}`),
  );
  writeFileSync(
    join(dir, 'tsconfig.json'),
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { noEmit: true, paths: {} },
      include: ['*'],
    }),
  );
  const types = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', dir], {
    encoding: 'utf8',
  });
  t.equal(types.stdout, '', 'the compiler has nothing to say');

  const bundle = await build({
    entryPoints: [join(dir, 'app.tsx')],
    bundle: true,
    jsx: 'automatic',
    format: 'iife',
    define: { 'process.env.NODE_ENV': '"development"' },
    logLevel: 'error',
    write: false,
  });
  const browser = await startBrowser(t);
  const app = bundle.outputFiles[0]?.text ?? '';
  const tabs = [
    await browser.open(`${s.http}/app`, { script: app }),
    await browser.open(`${s.http}/app`, { script: app }),
  ];
  const [a, b] = tabs.map(({ page }) => page);
  if (!a || !b) throw new Error('two tabs');
  const says = (page: typeof a, text: string) => page.getByText(text).first().waitFor();
  await a.click('text=demo');
  await a.click('text=Edit');
  await says(a, 'Done');
  await says(b, 'locked by');
  await b.click('p > button:text("demo")');
  await b.click('text=/Locked by .*: Editing/');
  await says(b, 'Waiting for');
  await a.click('text=Done');
  await says(b, 'Done');
  await b.click('text=Say hello');
  for (const page of [a, b]) await says(page, ': hello');
  await a.click('text=Rooms');
  await says(a, 'locked by');
  await b.click('text=Rooms');
  await eventually(async () => (await s.server.plugins.rooms.locks.list('demo')).length === 0);
  for (const { problems, sockets } of tabs) {
    t.same(problems, []);
    t.equal(sockets.length, 1, 'one WebSocket');
  }
});
