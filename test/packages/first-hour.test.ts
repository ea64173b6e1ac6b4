/** scripts/first-hour.mjs: from an empty folder to a page that receives, with a backend in Python alone. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { CHROMIUM, skipBrowser } from '../support/browser.js';
import { noPostgres, startPostgres } from '../support/postgres.js';
import { packed, root, run, unreachable } from './projects.js';

const isThere = (command: string): boolean => spawnSync(command, ['--version']).status === 0;
const isRequired = process.env['ROOMWIRE_REQUIRE_PYTHON'] === '1' && process.env['ROOMWIRE_REQUIRE_POSTGRES'] === '1';
const missing = ['python3', 'curl', 'psql'].find((command) => !isThere(command));
const skip = unreachable || noPostgres || (!isRequired && missing !== undefined && `${missing} is not here`);

// The first run of a machine fetches 200 MB.
t.setTimeout(600_000);

t.test(
  'a team with a backend in Python goes from an empty folder to a page that receives, and knows why one does not',
  { skip },
  async (t) => {
    const [client, server] = await packed(t);
    const { url } = await startPostgres(t);
    const browser = skipBrowser === false ? ['--chromium', CHROMIUM] : [];
    const script = join(root, 'scripts/first-hour.mjs');
    const args = ['--client', client, '--server', server, '--database', url, ...browser];
    const { status, stdout, stderr } = await run(root, [process.execPath, script, ...args]);
    t.equal(status, 0, stdout + stderr);
    t.match(stdout, /bob is connected .* never subscribed to CustomerApp.*\n[^]* s {2}all of it\n$/);
    // For who reads what CI did.
    process.stderr.write(stdout);
  },
);
