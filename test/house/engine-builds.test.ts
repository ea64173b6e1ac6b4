/** docs/operating.md names the repackaged engine builds as they are installed: versions, sizes, glibc, SHA-256. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const operating = read('docs/operating.md');
const manifest = JSON.parse(read('package.json')) as {
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
};

interface Row {
  readonly name: string;
  readonly version: string;
  readonly file: string;
  readonly glibc: string;
  readonly bytes: number;
  readonly sha256: string;
}
const CELLS = /^\| `([^`]+)` \| (\S+) \| `(uws-[^`]+\.node)` \| \d+ \| ([\d.]+) \| (\d+) \| `([0-9a-f]{64})` \|$/gm;
const rows = [...operating.matchAll(CELLS)].map((cells): Row => {
  const [, name = '', version = '', file = '', glibc = '', bytes, sha256 = ''] = cells;
  return { name, version, file, glibc, bytes: Number(bytes), sha256 };
});
const folderOf = (file: string): string => file.split('/')[0] as string;

t.test('each binary that the page lists is the one that is installed', async (t) => {
  t.equal(rows.length, 5);
  for (const { name, version, file, glibc, bytes, sha256 } of rows) {
    const folder = `node_modules/${folderOf(file)}`;
    if (!existsSync(new URL(folder, root))) {
      t.comment(`SKIPPED ${file}: the optional dependency ${name} is not installed`);
      continue;
    }
    const installed = JSON.parse(read(`${folder}/package.json`)) as { readonly name: string; readonly version: string };
    t.match(installed, { name, version }, folder);
    const binary = readFileSync(new URL(`node_modules/${file}`, root));
    t.equal(binary.length, bytes, `${file}: size`);
    t.equal(createHash('sha256').update(binary).digest('hex'), sha256, `${file}: SHA-256`);
    const minors = [...binary.toString('latin1').matchAll(/GLIBC_2\.(\d+)\b/g)].map(([, minor]) => Number(minor));
    t.equal(`2.${Math.max(...minors)}`, glibc, `${file}: the newest glibc that it names`);
  }
  const { platform, arch, versions } = process;
  const own = `uws_${platform}_${arch}_${versions.modules}.node`;
  if (!rows.some(({ file }) => file.endsWith(`/${own}`)))
    t.comment(`NOT LISTED: no ${own}, the binary for this machine`);
});

t.test('the package pins the versions that the page lists, and no other copy', async (t) => {
  const pinned = new Set(rows.map(({ name, version, file }) => `${folderOf(file)} npm:${name}@${version}`));
  const copies = Object.entries(manifest.optionalDependencies).filter(([folder]) => folder.startsWith('uws-'));
  t.strictSame(new Set(copies.map((entry) => entry.join(' '))), pinned);
  t.match(
    manifest.peerDependenciesMeta,
    { 'uWebSockets.js': { optional: true } },
    'and lets the official build be found',
  );
});

t.test('the official release that the page leads with is the one of the image and of the advice', async (t) => {
  const [, release] = /npm install uNetworking\/uWebSockets\.js#(v[\d.]+)/.exec(operating) ?? [];
  t.ok(release);
  t.match(read('deploy/Dockerfile'), new RegExp(`^ARG UWS=${release}$`, 'm'));
  t.match(read('src/server/transport/uws-advice.ts'), `NEWEST: Release = { tag: '${release}'`);
});
