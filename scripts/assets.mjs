/**
 * The part of the build that tsc does not do: bundles and copies the page, makes the command
 * executable, and removes from dist what no longer has a source.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');
const dist = join(root, 'dist');
const page = join(src, 'http', 'page');
const command = join(dist, 'cli', 'main.js');

for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  const [, name] = /^(.+?)\.(?:js|d\.ts)(?:\.map)?$/.exec(file) ?? [];
  if (name !== undefined && !existsSync(join(src, `${name}.ts`))) rmSync(join(dist, file));
}

if (existsSync(page)) {
  const out = join(dist, 'http', 'page');
  mkdirSync(out, { recursive: true });
  for (const file of readdirSync(page)) {
    if (/\.(html|css|svg)$/.test(file)) copyFileSync(join(page, file), join(out, file));
  }
  if (existsSync(join(page, 'app.ts'))) {
    const { build } = await import('esbuild');
    await build({
      entryPoints: [join(page, 'app.ts')],
      outfile: join(out, 'app.js'),
      bundle: true,
      minify: true,
      platform: 'browser',
      format: 'esm',
      target: 'es2022',
      logLevel: 'warning',
    });
  }
}

if (existsSync(command)) chmodSync(command, 0o755);
