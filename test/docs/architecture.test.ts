/** docs/architecture.md names files: they are there. That its drawing is true, scripts/check-imports.mjs sees. */
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';

const root = new URL('../../', import.meta.url);

t.test('every file that the architecture names is there', async (t) => {
  const text = readFileSync(new URL('docs/architecture.md', root), 'utf8');
  const named = [...new Set([...text.matchAll(/`([a-z-]+\/[a-z/-]+\.(?:ts|mjs))`/g)].map(([, path = '']) => path))];
  t.ok(named.length > 20, 'it names files');
  for (const path of named) {
    const places = [`src/server/${path}`, `src/${path}`, path];
    t.ok(
      places.some((place) => existsSync(new URL(place, root))),
      path,
    );
  }
});
