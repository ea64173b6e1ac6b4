/** `npm run soak`: starts test/chaos/soak.ts, whose header says what it does, with a loader for its types. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../test/chaos/soak.ts', import.meta.url));
const { status, signal } = spawnSync(process.execPath, ['--import', 'tsx', program, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
if (signal !== null) console.error(`soak: ended by ${signal}`);
process.exit(status ?? 1);
