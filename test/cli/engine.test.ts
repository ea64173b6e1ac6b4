/**
 * What `roomwire serve` says of its engine: on its start line, in the log and at /health. A project of its own has the
 * packages that a user may have: the official build (a stand-in of that name around the build of this machine), or none.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadUws } from '../../src/server/transport/uws-load.js';
import { until } from '../support/until.js';

const root = new URL('../../', import.meta.url).pathname;
const found = loadUws();
const native = 'module' in found ? found.info : undefined;

/** The built server with all that it depends on but engines. */
function project(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'roomwire-engine-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  mkdirSync(join(folder, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!/^(uws-|uWebSockets|\.)/.test(name))
      symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  }
  return folder;
}

async function serve(t: Test, folder: string) {
  const args = ['serve', '--memory', '--port', '0', '--engine', 'auto', '--log-level', 'info'];
  const child = spawn(process.execPath, [join(folder, 'dist/cli/main.js'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  await until(() => out.includes('\n') && err.includes('"listening"'));
  const [, url = '', told = ''] = /on (http:\S+)\/ {2}engine (.+), store/.exec(out) ?? [];
  const lines = err
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const health = (await (await fetch(`${url}/health`)).json()) as Record<string, unknown>;
  return { told, lines, listening: lines.find(({ msg }) => msg === 'listening'), health };
}

const skip = native === undefined && 'no native build loads here';
t.test('the official build is taken where it is installed, and named as such', { skip }, async (t) => {
  const folder = project(t);
  const official = join(folder, 'node_modules/uWebSockets.js');
  mkdirSync(official);
  const { package: name, version } = native ?? { package: '', version: '' };
  const copy = name === '@btc-vision/uwebsockets.js' ? 'uws-20.57' : 'uws-20.30/src/uws.js';
  writeFileSync(join(official, 'package.json'), JSON.stringify({ name: 'uWebSockets.js', version, main: 'uws.js' }));
  writeFileSync(
    join(official, 'uws.js'),
    `module.exports = require(${JSON.stringify(join(root, 'node_modules', copy))});`,
  );
  // A copy that would load too is not asked.
  symlinkSync(join(root, 'node_modules/uws-20.30'), join(folder, 'node_modules/uws-20.30'));
  symlinkSync(join(root, 'node_modules/uws-20.57'), join(folder, 'node_modules/uws-20.57'));

  const { told, listening, health, lines } = await serve(t, folder);
  const engine = { name: 'uws', package: 'uWebSockets.js', version, origin: 'official' };
  t.equal(told, `uws (official uWebSockets.js ${version})`);
  t.match(listening, { level: 30, engine });
  t.match(health, { status: 'ok', version: /^\d+\.\d+\.\d+/, engine });
  t.notOk(
    lines.some(({ level }) => (level as number) >= 40),
    'and nothing is warned of',
  );
});

t.test('a repackaged build is named by its package', { skip }, async (t) => {
  const folder = project(t);
  for (const name of ['uws-20.57', 'uws-20.30'])
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  const { told, listening, health } = await serve(t, folder);
  t.equal(told, `uws (repackaged ${native?.package} ${native?.version})`);
  t.match(listening, { engine: native });
  t.match(health, { engine: native });
});

t.test('where optional packages were left out the server runs on ws, and one warning says so', async (t) => {
  const { told, listening, health, lines } = await serve(t, project(t));
  t.match(told, /^ws 8\.\d+\.\d+$/);
  const engine = { name: 'ws', package: 'ws', version: told.slice('ws '.length), origin: 'official' };
  t.match(listening, { engine });
  t.match(health, { status: 'ok', engine });
  const warnings = lines.filter(({ level }) => (level as number) >= 40);
  t.equal(warnings.length, 1);
  t.match(warnings[0], {
    level: 40,
    msg: /^No native build .+ \(left out, as by --omit=optional\)\. The server runs on ws .+ "ws"\.$/,
  });
});
