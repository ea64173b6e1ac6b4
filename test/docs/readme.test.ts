/** The README's first screen is run as printed: only the port is another one. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { freePort } from '../support/free-port.js';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const root = new URL('../..', import.meta.url).pathname;

function snippet(name: string): string {
  for (const [, code = ''] of readme.matchAll(/```ts\n([\s\S]*?)```/g)) if (code.startsWith(`// ${name}`)) return code;
  throw new Error(`README.md has no ${name}`);
}

/** Runs a program of the snippets until it has printed all of `wanted`; returns what it printed. */
async function runUntil(
  t: { teardown(fn: () => unknown): void },
  file: string,
  wanted: readonly RegExp[],
): Promise<string[]> {
  const child = spawn(process.execPath, ['--import', 'tsx', file], {
    cwd: root,
    // The package's name leads to what is built, not to the sources.
    env: { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tsconfig.build.json') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  let errors = '';
  child.stderr.on('data', (chunk) => (errors += String(chunk)));
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (wanted.every((pattern) => lines.some((printed) => pattern.test(printed)))) return lines;
  }
  throw new Error(`${file} ended early: ${errors}`);
}

t.test('the first screen of the README type-checks and works as printed', async (t) => {
  const port = String(await freePort());
  const dir = t.testdir();
  for (const name of ['contract.ts', 'server.ts', 'client.ts']) {
    writeFileSync(join(dir, name), snippet(name).replaceAll('8420', port));
  }
  writeFileSync(join(dir, 'run.ts'), `await import('./server.js');\nconsole.log('listening');\n`);
  writeFileSync(
    join(dir, 'tsconfig.json'),
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { noEmit: true, paths: {} },
      include: ['*.ts'],
    }),
  );
  const types = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', dir], {
    encoding: 'utf8',
  });
  t.equal(types.stdout, '', 'the compiler has nothing to say');

  await runUntil(t, join(dir, 'run.ts'), [/^listening$/]);
  const printed = await runUntil(t, join(dir, 'client.ts'), [/hello$/, /^mine, under token/]);
  t.match(
    printed.find((line) => line.endsWith('hello')),
    /^\w+-\d+ hello$/,
  );
  t.match(
    printed.find((line) => line.startsWith('mine')),
    /^mine, under token \d+ false$/,
  );
});
