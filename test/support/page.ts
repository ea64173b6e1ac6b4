/** The page at `/` in a browser, on a server of its own. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultContract } from '../../src/cli/default-contract.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { startBrowser } from './browser.js';
import { startServer, type Test } from './server.js';

/** The server gives out the built page: it must not be older than its sources. */
function buildPage(): void {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const bundle = join(root, 'dist/http/page/app.js');
  const newest = Math.max(
    ...['src/http/page', 'src/client', 'src/protocol'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(
        (file) => statSync(join(root, folder, file)).mtimeMs,
      ),
    ),
  );
  if (existsSync(bundle) && statSync(bundle).mtimeMs >= newest) return;
  const run = spawnSync(process.execPath, [join(root, 'scripts/assets.mjs')], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`the page could not be built: ${run.stderr}`);
}

let built = false;

export async function startPage(t: Test, options = {}) {
  if (!built) buildPage();
  built = true;
  const server = await startServer(t, { contract: defaultContract, plugins: [rooms(), http()] as const, ...options });
  const { open } = await startBrowser(t);
  return { ...server, openTab: open };
}
