/** Programs of the tests that run in a process of their own: compiled, where scripts/test.mjs did so, else by tsx. */
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What node is given to run it. */
export function programArgs(source: URL): string[] {
  const path = fileURLToPath(source);
  const compiled = process.env.COMPILED_TESTS;
  if (compiled === undefined) return ['--import', 'tsx', path];
  return ['--enable-source-maps', join(compiled, relative(root, path).replace(/ts$/, 'js'))];
}
