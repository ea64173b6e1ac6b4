/** Which build of uWebSockets.js is taken, of those that a project has: with stand-ins, as no machine can load them all. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadUws } from '../../src/server/transport/uws-load.js';

const NATIVE =
  'const f = () => 0; module.exports = { App: f, SSLApp: f, us_listen_socket_close: f, us_socket_local_port: f };';
const IMITATION = 'module.exports = { App: () => 0 };';
const FAILING = "throw new Error('This version supports only others.\\n\\nError: it is cut short')";
const { platform, arch, versions } = process;

const official = { folder: 'uWebSockets.js', name: 'uWebSockets.js', version: '20.57.0' };
const newer = { folder: 'uws-20.57', name: '@btc-vision/uwebsockets.js', version: '20.57.0' };
const older = { folder: 'uws-20.30', name: '@trufflesuite/uws-js-unofficial', version: '20.30.0-unofficial.0' };
type Package = typeof official;

/** Loads what a project with these packages has. */
function loadIn(t: Test, packages: readonly (Package & { readonly code: string })[]) {
  // Not below this repository: its own packages would be found.
  const project = mkdtempSync(join(tmpdir(), 'roomwire-builds-'));
  t.teardown(() => rmSync(project, { recursive: true }));
  for (const { folder, name, version, code } of packages) {
    const root = join(project, 'node_modules', folder);
    mkdirSync(join(root, 'binaries'), { recursive: true });
    writeFileSync(join(root, 'package.json'), JSON.stringify({ name, version, main: 'uws.js' }));
    writeFileSync(join(root, 'uws.js'), folder === older.folder ? IMITATION : code);
    // A folder is what a file can be called without being read as a native module.
    if (folder !== older.folder) continue;
    const file = join(root, 'binaries', `uws_${platform}_${arch}_${versions.modules}.node`);
    mkdirSync(file);
    writeFileSync(join(file, 'index.js'), code);
  }
  return loadUws(createRequire(join(project, 'program.js')));
}

t.test('the official build is taken before its copies, and the newer copy before the older', async (t) => {
  const all = [official, newer, older].map((found) => ({ ...found, code: NATIVE }));
  for (const [index, { name, version }] of all.entries()) {
    const loaded = loadIn(t, all.slice(index));
    if (!('module' in loaded)) return void t.fail(JSON.stringify(loaded.failures));
    const origin = index === 0 ? 'official' : 'repackaged';
    t.strictSame(loaded.info, { name: 'uws', package: name, version, origin });
    t.same(
      loaded.failures,
      all.slice(0, index).map((absent) => ({ package: absent.name, why: 'absent' })),
    );
  }
});

t.test('one that fails is passed over, and what it said is kept in one line', async (t) => {
  const loaded = loadIn(t, [
    { ...official, code: FAILING },
    { ...newer, code: NATIVE },
  ]);
  if (!('module' in loaded)) return void t.fail(JSON.stringify(loaded.failures));
  t.equal(loaded.info.package, newer.name);
  const why = { why: 'broken', cause: 'it is cut short' };
  t.strictSame(loaded.failures, [{ package: official.name, version: official.version, ...why }]);
});

t.test('an imitation in JavaScript is not taken', async (t) => {
  const loaded = loadIn(t, [{ ...newer, code: IMITATION }]);
  t.notOk('module' in loaded);
  t.match(loaded.failures, [{ why: 'absent' }, { package: newer.name, why: 'imitation' }, { why: 'absent' }]);
});

t.test('a copy under the official name is called what it calls itself', async (t) => {
  const loaded = loadIn(t, [{ ...newer, folder: official.folder, code: NATIVE }]);
  if (!('module' in loaded)) return void t.fail(JSON.stringify(loaded.failures));
  t.match(loaded.info, { package: newer.name, origin: 'repackaged' });
});

t.test('what loads on this machine is native, and each build that does not has its reason', async (t) => {
  const loaded = loadUws();
  if ('module' in loaded) t.type(loaded.module.App, 'function');
  else t.equal(loaded.failures.length, 3);
  for (const failure of loaded.failures) t.notMatch(JSON.stringify(failure), /\\n/);
  t.comment(JSON.stringify({ ...loaded, module: undefined }));
});
