/**
 * `npm run pack [-- DIR]`: makes the tarballs of both packages from dist/, in DIR or here. The client's package gets its
 * parts of dist/, the server's the rest, in which imports of the client's parts lead to the client's package: in a process
 * that uses both, each class is there once. Properties that only the client's own modules name (own-names.json) get short
 * names, which an application's minifier could not give them; source maps lead to the source.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { buildSync } from 'esbuild';
import ts from 'typescript';
import { client, root, server } from './packages.mjs';

const here = fileURLToPath(root);
const dist = join(here, 'dist');
/** Where the server's package finds the client's files. Only it may: the client's README says so. */
const INTERNAL = './internal/*';
/** What a manifest says of this repository alone. */
const OWN = ['private', 'scripts', 'devDependencies', 'overrides'];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const file of pack(resolve(process.argv[2] ?? here))) console.log(file);
}

/** Makes the tarballs in `directory`; returns their paths, the client's first. */
export function pack(directory) {
  mkdirSync(directory, { recursive: true });
  const staging = mkdtempSync(join(tmpdir(), 'roomwire-pack-'));
  try {
    const files = readdirSync(dist, { recursive: true, encoding: 'utf8' })
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => /\.(?:js|d\.ts|map|html|css|svg)$/.test(file));
    const folders = [stageClient(join(staging, 'client'), files), stageServer(join(staging, 'server'), files)];
    return folders.map((folder) => tarball(folder, directory));
  } finally {
    rmSync(staging, { recursive: true });
  }
}

function stageClient(folder, files) {
  for (const file of files.filter(isClients)) put(folder, file, readFileSync(join(dist, file)));
  shorten(join(folder, 'dist', 'client'));
  const exports = { ...client.manifest.exports, [INTERNAL]: './dist/*' };
  return finish(folder, { ...client.manifest, exports, files: ['dist', 'CHANGELOG.md'] }, [
    [client.folder, 'README.md'],
    ['.', 'CHANGELOG.md'],
    ['.', 'LICENSE'],
  ]);
}

/** Gives the client's own properties their short names. */
function shorten(folder) {
  const mangleCache = JSON.parse(readFileSync(new URL('scripts/own-names.json', root), 'utf8'));
  const modules = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'));
  buildSync({
    entryPoints: modules.map((file) => join(folder, file)),
    mangleProps: new RegExp(`^(?:${Object.keys(mangleCache).join('|')})$`),
    mangleCache,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    sourcemap: 'linked',
    outdir: folder,
    outbase: folder,
    allowOverwrite: true,
  });
}

function stageServer(folder, files) {
  for (const file of files.filter((file) => !isClients(file))) {
    const bytes = readFileSync(join(dist, file));
    put(folder, file, /\.(?:js|d\.ts)$/.test(file) ? redirected(file, bytes.toString()) : bytes);
  }
  const exports = { ...server.manifest.exports };
  for (const [entry, targets] of Object.entries(exports)) {
    const [same] =
      Object.entries(client.manifest.exports).find(([, theirs]) => isDeepStrictEqual(theirs, targets)) ?? [];
    if (same === undefined || typeof targets === 'string') continue;
    const specifier = posix.join(client.name, same);
    for (const end of ['js', 'd.ts']) put(folder, `${entry}.${end}`, `export * from '${specifier}';\n`);
    exports[entry] = { types: `./dist/${entry.slice(2)}.d.ts`, default: `./dist/${entry.slice(2)}.js` };
  }
  const dependencies = { ...server.manifest.dependencies, [client.name]: client.manifest.version };
  return finish(
    folder,
    { ...server.manifest, exports, dependencies, files: ['dist', 'protocol', 'CHANGELOG.md', 'PROTOCOL.md'] },
    [
      ['.', 'README.md'],
      ['.', 'CHANGELOG.md'],
      ['.', 'PROTOCOL.md'],
      ['.', 'protocol'],
      ['.', 'LICENSE'],
    ],
  );
}

function isClients(file) {
  return client.parts.includes(file.split('/')[0]);
}

/** The text of a file of the server's package, its relative imports of the client's files made imports of the client's package. */
function redirected(file, text) {
  let out = '';
  let from = 0;
  for (const { fileName: specifier, pos } of ts.preProcessFile(text, true, true).importedFiles) {
    if (!specifier.startsWith('.')) continue;
    const target = posix.join(posix.dirname(file), specifier);
    if (!existsSync(join(dist, target)))
      throw new Error(`dist/${file} imports ${specifier}, which is not there: build first`);
    if (!isClients(target)) continue;
    // Past the quote.
    out += text.slice(from, pos + 1) + posix.join(client.name, INTERNAL.replace('*', target));
    from = pos + 1 + specifier.length;
  }
  return out + text.slice(from);
}

function put(folder, file, content) {
  const path = join(folder, 'dist', file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

function finish(folder, manifest, documents) {
  for (const [from, name] of documents) cpSync(join(here, from, name), join(folder, name), { recursive: true });
  const published = { ...manifest, publishConfig: { access: 'public' } };
  for (const key of OWN) delete published[key];
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
  return folder;
}

function tarball(folder, directory) {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', directory];
  const { status, stdout, stderr } = spawnSync('npm', args, {
    cwd: folder,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0) throw new Error(`npm pack failed: ${stderr}`);
  return join(directory, JSON.parse(stdout)[0].filename);
}
