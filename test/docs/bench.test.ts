/** The README's benchmark and its charts are those of bench/results/, not made by hand. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const script = fileURLToPath(new URL('../../scripts/bench-readme.mjs', import.meta.url));

t.test('the tables and charts in the README come from the last full run', async (t) => {
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  t.equal(status, 0, stderr);
});
