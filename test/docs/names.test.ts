/** What is written of the packages names those that are ours: `roomwire`, without a scope, is somebody else's program on npm. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private: boolean;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly engines: unknown;
}

interface Tsconfig {
  readonly compilerOptions: { readonly paths?: Readonly<Record<string, unknown>> };
}

const root = new URL('../..', import.meta.url).pathname;
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const server = JSON.parse(read('package.json')) as Manifest;
const client = JSON.parse(read('packages/client/package.json')) as Manifest;

const places = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'PROTOCOL.md',
  'deploy',
  'docs',
  'examples',
  'packages',
  'src',
];
const listed = spawnSync('git', ['ls-files', '--', ...places], { cwd: root, encoding: 'utf8' }).stdout.trim();
const files = listed.split('\n').filter((file) => !/\.(png|svg|json)$/.test(file));
/** A command that fetches what it does not find, and its arguments. */
const fetching =
  /\b(?:npx|npm exec|npm (?:i|install|add)|pnpm (?:add|dlx)|yarn (?:add|dlx)|bunx|bun add)\b(?! --no-install)([^\n`]*)/g;

t.test('nothing that is written fetches a package from npm that is not ours, or not there yet', async (t) => {
  t.ok(files.length > 100, `${files.length} files`);
  for (const file of files) {
    for (const [command, given = ''] of read(file).matchAll(fetching))
      for (const name of given.match(/\S*roomwire\S*/g) ?? [])
        t.match(name, /^(?:\.{1,2}|~)?\/?\S*roomwire-(?:server|client)-[\d.]+\.tgz$/, `${file}: ${command}`);
  }
});

t.test('every name of a package is one of the two, with an entry that it has', async (t) => {
  const entries = [server, client].flatMap(({ name, exports }) =>
    Object.keys(exports).map((entry) => join(name, entry)),
  );
  for (const file of files) {
    for (const [name] of read(file).matchAll(/(?<=[\s`'"(])@roomwire\/[\w-]+(?:\/(?!internal\b)[\w.-]*\w)?/g)) {
      t.ok(entries.includes(name), `${file}: ${name}`);
    }
    t.notMatch(read(file), /(?:from|import|require\() ?['"]roomwire['"/]/, file);
  }
});

t.test('the tarballs are called in README.md and the tutorial as npm run pack calls them', async (t) => {
  for (const file of ['README.md', 'docs/tutorial.md']) {
    for (const { name, version } of [server, client]) {
      t.match(read(file), `${name.slice(1).replace('/', '-')}-${version}.tgz`, `${file}: ${name}`);
    }
    t.match(read(file), 'npm run pack', file);
  }
});

t.test('the compiler knows the names that examples use', async (t) => {
  const { paths = {} } = (JSON.parse(read('tsconfig.json').replace(/^\s*\/\/.*$/gm, '')) as Tsconfig).compilerOptions;
  const used = Object.keys(client.exports).filter((entry) => !entry.endsWith('.json'));
  t.same(Object.keys(paths).sort(), [server.name, ...used.map((entry) => join(client.name, entry))].sort());
});

t.test('both manifests say the same, and neither folder can be published by mistake', async (t) => {
  t.equal(client.version, server.version);
  t.same(client.engines, server.engines);
  t.ok(server.private && client.private, 'what is published comes from npm run pack');
  for (const [name, version] of Object.entries(client.dependencies)) t.equal(server.dependencies[name], version, name);
});
