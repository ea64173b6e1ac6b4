/** `npm run stress`: starts test/chaos/stress.ts, whose header says what it does, with a loader for its types. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../test/chaos/stress.ts', import.meta.url));
const { status, signal } = spawnSync(
  process.execPath,
  ['--expose-gc', '--import', 'tsx', program, ...process.argv.slice(2)],
  { stdio: 'inherit' },
);
if (signal !== null) console.error(`stress: ended by ${signal}`);
process.exit(status ?? 1);
