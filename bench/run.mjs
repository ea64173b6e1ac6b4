/**
 * `npm run bench`: strips the types from bench/ into dist-bench/ (no bundling) and starts it there,
 * so that no loader stands between Node and the code that is measured. The servers themselves run
 * from dist/: build first.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const bench = fileURLToPath(new URL('.', import.meta.url));
const out = fileURLToPath(new URL('../dist-bench', import.meta.url));

if (!existsSync(fileURLToPath(new URL('../dist/server/server.js', import.meta.url)))) {
  console.error('bench: there is no dist/: run npm run build first');
  process.exit(1);
}
const { outputFiles } = await build({
  entryPoints: readdirSync(bench, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(bench, file)),
  outbase: bench,
  outdir: out,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
  write: false,
});
// A file is replaced whole and only by another text: a bench that runs beside this one reads the same files.
for (const { path, text } of outputFiles) {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
}
await import(new URL('../dist-bench/main.js', import.meta.url).href);
