/** Every test that docs/guarantees.md names is there, under the title it gives. */
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';

const root = new URL('../../', import.meta.url);
const document = readFileSync(new URL('docs/guarantees.md', root), 'utf8');
const named = [...document.matchAll(/`(test\/[\w/.-]+\.ts)`(?:: ([^|`(;]+?))?(?= \||,|;|\n| \()/g)];

t.test('what docs/guarantees.md promises is held by tests that exist', async (t) => {
  t.ok(named.length > 20, `${named.length} tests are named`);
  for (const [, file = '', title] of named) {
    const path = new URL(file, root);
    if (!t.ok(existsSync(path), file) || title === undefined) continue;
    t.ok(readFileSync(path, 'utf8').includes(title.trim()), `${file}: ${title}`);
  }
});
