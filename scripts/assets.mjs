/**
 * The part of the build that tsc does not do: bundles and copies the page, makes the command
 * executable, removes from dist what no longer has a source, and gives the client's package the one dist there is.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
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
  copyFileSync(join(page, 'favicon.svg'), join(out, 'favicon.svg'));
  writeFileSync(join(out, 'index.html'), whole('index.html'));
  const { build } = await import('esbuild');
  await build({
    entryPoints: [join(page, 'app.ts'), join(page, 'style.css')],
    outdir: out,
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    logLevel: 'warning',
  });
}

/** A file of HTML with what its comments name in their place: `<!-- panels/wire.html -->`. */
function whole(file) {
  return readFileSync(join(page, file), 'utf8').replace(/<!-- (\S+\.html) -->\n/g, (_, part) => whole(part));
}

if (existsSync(command)) chmodSync(command, 0o755);

// A link, not a copy: within this repository, too, each class is there once.
const shared = join(root, 'packages', 'client', 'dist');
if (!existsSync(shared)) {
  rmSync(shared, { force: true });
  symlinkSync(process.platform === 'win32' ? dist : '../../dist', shared, 'junction');
}
