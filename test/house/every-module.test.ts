/** Every module of src loads by itself. */
import { readdirSync } from 'node:fs';
import { sep } from 'node:path';
import t from 'tap';

const src = new URL('../../src/', import.meta.url);
/** The command and the worker run as they load, and the page needs a browser. */
const leftOut = /^(cli\/main\.ts|link\/worker\.ts|http\/page\/.*)$/;

const modules = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll(sep, '/'))
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts') && !leftOut.test(file))
  .sort();

t.ok(modules.length > 0, 'there are modules');
for (const file of modules) {
  t.test(`src/${file} loads`, async (t) => {
    await t.resolves(import(`../../src/${file.replace(/\.ts$/, '.js')}`));
  });
}
