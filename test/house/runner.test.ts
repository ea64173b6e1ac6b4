/** scripts/test.mjs: what fails, fails the run, wherever and however it does, with the lines of the source. */
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PROGRAMS = {
  passes: `t.test('one', async (t) => t.ok(true)); t.test('another', { skip: 'why not' }, async () => undefined);`,
  fails: `\n\nt.equal(1 as number, 2, 'a sum');`,
  'throws-later': `t.test('one', async () => { setTimeout(() => { throw new Error('late'); }, 1); await new Promise((r) => setTimeout(r, 500)); });`,
  'exits-early': `t.test('one', async (t) => { t.ok(true); process.exit(0); });`,
  'never-ends': `t.test('one', { timeout: 100 }, async () => new Promise((resolve) => setTimeout(resolve, 2_000)));`,
  dies: `process.kill(process.pid, 'SIGKILL');`,
  'fails-once': `import { existsSync, writeFileSync } from 'node:fs';
    const second = existsSync(process.env.MARK as string); writeFileSync(process.env.MARK as string, ''); t.ok(second);`,
};

t.test('a file passes when its process does, and what fails is told by its place in the source', async (t) => {
  const mark = `${t.testdir()}/mark`;
  const file = (name: string): string => `test/house/made-${process.pid}-${name}.test.ts`;
  t.teardown(() => {
    for (const name of Object.keys(PROGRAMS)) rmSync(root + file(name), { force: true });
  });
  for (const [name, program] of Object.entries(PROGRAMS))
    writeFileSync(root + file(name), `import t from 'tap';${program}\n`);
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ['scripts/test.mjs', ...args], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '', TAP: undefined, MARK: mark },
    });

  const { stdout, status } = run('--again', ...Object.keys(PROGRAMS).map(file));
  t.equal(status, 1);
  t.match(stdout, `ok  ${file('passes')}  1 passed  `);
  for (const name of ['fails', 'throws-later', 'exits-early', 'never-ends', 'dies']) {
    t.match(stdout, `not ok  ${file(name)}  `);
    t.match(/FAILED: .*/.exec(stdout)?.[0], file(name));
  }
  t.match(stdout, /not ok 1 - a sum\n[^]*?fileName: test\/house\/made-\d+-fails\.test\.ts\n +lineNumber: 3\n/);
  t.match(stdout, `failed once, passed alone: ${file('fails-once')}\n`);
  t.match(stdout, /\n3 passed, \d+ failed, 1 skipped in \d+ s\n$/);

  const good = run(file('passes'));
  t.equal(good.status, 0, good.stdout);
  t.match(good.stdout, /\n1 passed, 0 failed, 1 skipped in \d+ s\n$/);
  t.equal(run('test/house/absent.test.ts').status, 1);
});
