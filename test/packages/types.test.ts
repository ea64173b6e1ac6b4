/** The declarations of both tarballs are read by the oldest TypeScript that README.md names, and by ours, in strict projects. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packed, printedIn, project, root, run, unreachable } from './projects.js';

const OLDEST = '5.2.2';

if (unreachable) {
  t.pass('nothing was packed', { skip: unreachable });
  process.exit();
}
t.setTimeout(600_000);

/** Without `skipLibCheck`: whatever the entries lead to is checked too, but not what TypeScript itself brings. */
const options = {
  strict: true,
  skipLibCheck: false,
  skipDefaultLibCheck: true,
  noEmit: true,
  target: 'es2022',
  jsx: 'react-jsx',
};
const modes = {
  nodenext: { ...options, module: 'nodenext', moduleResolution: 'nodenext', lib: ['es2023', 'dom', 'dom.iterable'] },
  bundler: { ...options, module: 'esnext', moduleResolution: 'bundler', lib: ['es2023', 'dom', 'dom.iterable'] },
};

const [client, server] = await packed(t);
const [alone, all] = await Promise.all([
  project(t, [client], {
    files: { 'alone.ts': `import { connect } from '@roomwire/client';\nconnect('ws://127.0.0.1').close();\n` },
  }),
  project(
    t,
    [server, client, 'valibot', `typescript@${OLDEST}`, '@types/node@20', '@types/react@19', '@types/react-dom@19'],
    { flags: ['--omit=optional'], files: { ...printedIn('README.md'), ...printedIn('docs/react.md') } },
  ),
]);
const oldest = join(all, 'node_modules');
const ours = join(root, 'node_modules');
/** Ours in nodenext: so the programs of the docs are checked, each by its own test. */
const compilers = { nodenext: { oldest }, bundler: { oldest, ours } };

t.test('README.md names the oldest TypeScript that is tried here', async (t) => {
  t.match(readFileSync(join(root, 'README.md'), 'utf8'), `TypeScript ${OLDEST.replace(/\.\d+$/, '')} or newer`);
});

for (const mode of ['nodenext', 'bundler'] as const) {
  t.test(
    `${mode}: the programs of README.md and docs/react.md, and a client without contract, types of Node or valibot`,
    async (t) => {
      const files = ['contract.ts', 'server.ts', 'client.ts', 'app.tsx'];
      writeFileSync(
        join(all, `${mode}.json`),
        JSON.stringify({ compilerOptions: { ...modes[mode], types: ['node'] }, files }),
      );
      writeFileSync(
        join(alone, `${mode}.json`),
        JSON.stringify({ compilerOptions: { ...modes[mode], types: [] }, files: ['alone.ts'] }),
      );
      await Promise.all(
        Object.entries(compilers[mode]).map(async ([which, modules]) => {
          const tsc = [process.execPath, join(modules, 'typescript/lib/tsc.js'), '-p', `${mode}.json`];
          t.match(await run(all, tsc), { status: 0, stdout: /^$/ }, which);
          t.match(await run(alone, tsc), { status: 0, stdout: /^$/ }, `${which}, the client alone`);
        }),
      );
    },
  );
}
