/** `npm run check:package`: publint and attw on the tarballs that would be published. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pack } from './pack.mjs';
import { root } from './packages.mjs';

const directory = mkdtempSync(join(tmpdir(), 'roomwire-tarballs-'));
try {
  for (const tarball of pack(directory)) {
    check('publint', tarball, '--strict');
    check('attw', tarball, '--profile', 'esm-only');
  }
} finally {
  rmSync(directory, { recursive: true });
}

function check(tool, ...args) {
  const { status } = spawnSync('npx', ['--no-install', tool, ...args], { cwd: fileURLToPath(root), stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
