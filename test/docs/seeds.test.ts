/** Every test that docs/seeds.md names is there under its title, every example has its part, and no part is empty. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import t from 'tap';

const root = new URL('../../', import.meta.url);
const document = readFileSync(new URL('docs/seeds.md', root), 'utf8');
const examples = readdirSync(new URL('examples', root), { withFileTypes: true }).filter((entry) => entry.isDirectory());

t.test('what docs/seeds.md says of each system is held by tests that exist', async (t) => {
  const parts = document.split(/^## /m).filter((part) => part.includes('\n| promise |'));
  t.equal(parts.length, examples.length);
  for (const part of parts) {
    const title = part.slice(0, part.indexOf('\n'));
    const rows = part.split('\n').filter((line) => /^\| (?!---|promise )/.test(line));
    t.ok(rows.length > 4, `${title}: ${rows.length} promises`);
    for (const row of rows) {
      t.match(row, /^\| .+ \| (`serve`|a backend|a program) \| /, 'what keeps it');
      const tests = [...row.matchAll(/`(test\/[\w/.-]+\.ts)`(?:: ([^|`]+?))?(?= \||,? `|$)/g)];
      t.ok(tests.length > 0, `a test for: ${row}`);
      for (const [, file = '', words] of tests) {
        if (!t.ok(existsSync(new URL(file, root)), file) || words === undefined) continue;
        // A title may be broken over lines where it is written.
        t.ok(readFileSync(new URL(file, root), 'utf8').includes(words.trim()), `${file}: ${words}`);
      }
    }
  }
});

t.test(
  'each example has its part in docs/seeds.md, its README with one command, its test, and its line in the README',
  async (t) => {
    const readme = readFileSync(new URL('README.md', root), 'utf8');
    t.ok(examples.length > 0);
    for (const { name } of examples) {
      t.ok(document.includes(`\`examples/${name}\``), `docs/seeds.md: ${name}`);
      t.ok(readme.includes(`(examples/${name})`), `README.md: ${name}`);
      t.ok(existsSync(new URL(`test/examples/${name}.test.ts`, root)), `the test of ${name}`);
      const own = readFileSync(new URL(`examples/${name}/README.md`, root), 'utf8');
      t.ok(own.includes(`npm run example -- ${name}`), `the command of ${name}`);
      const server = readFileSync(new URL(`examples/${name}/server.ts`, root), 'utf8');
      t.ok(server.split('\n').length <= 220, `${name} is short`);
    }
  },
);
