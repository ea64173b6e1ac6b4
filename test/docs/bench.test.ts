/** The README's benchmark is the one in bench/results/, not one written by hand. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const script = fileURLToPath(new URL('../../scripts/bench-readme.mjs', import.meta.url));

t.test('the tables in the README come from the last full run', async (t) => {
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  t.equal(status, 0, stderr);
});
