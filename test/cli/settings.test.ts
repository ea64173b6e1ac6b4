/** Settings of `roomwire serve`: from file, environment and flags, checked whole, and documented by their schema. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { readSettings, settingFlags, settings } from '../../src/cli/settings.js';

const root = new URL('../..', import.meta.url).pathname;

t.test('flags win over the environment, that over the file, that over the defaults', async (t) => {
  const dir = t.testdir({
    'config.json': JSON.stringify({ port: 1, host: '10.0.0.1', limits: { graceMs: 1, topics: 2 } }),
  });
  const file = `${dir}/config.json`;
  const env = { ROOMWIRE_PORT: '2', ROOMWIRE_LIMITS_GRACE_MS: '5', ROOMWIRE_API_KEYS: 'a, b', ROOMWIRE_MEMORY: '1' };
  const config = readSettings({ port: '3', 'no-page': true }, env, file);
  t.match(config, {
    port: 3,
    host: '10.0.0.1',
    page: false,
    memory: true,
    apiKeys: ['a', 'b'],
    limits: { graceMs: 5, topics: 2, keyTtlMs: 300_000 },
    admission: { tokenChecks: 64 },
  });
  t.equal(readSettings({}, { ROOMWIRE_MEMORY: '0', ROOMWIRE_PORT: '' }, undefined).memory, false);
});

t.test('PORT, which platforms set, is the port on every address, unless more is said', async (t) => {
  const of = (env: Record<string, string>, given: Record<string, string> = {}): [number, string] => {
    const { port, host } = readSettings(given, env, undefined);
    return [port, host];
  };
  t.same(of({ PORT: '3000' }), [3000, '0.0.0.0']);
  t.same(of({ PORT: '3000', ROOMWIRE_HOST: '127.0.0.1' }), [3000, '127.0.0.1']);
  t.same(of({ PORT: '3000', ROOMWIRE_PORT: '4000' }), [4000, '127.0.0.1']);
  t.same(of({ PORT: '3000' }, { port: '5000', host: '::1' }), [5000, '::1']);
  t.same(of({ PORT: '' }), [8420, '127.0.0.1']);
  t.throws(() => of({ PORT: 'http' }), { name: 'CommandError', message: /PORT: / });
  const main = `${root}dist/cli/main.js`;
  const { status, stderr } = spawnSync(process.execPath, [main, 'serve', '--memory'], {
    env: { PATH: process.env['PATH'], PORT: '3000' },
    encoding: 'utf8',
  });
  t.equal(status, 1);
  t.match(stderr, /refusing to listen on 0\.0\.0\.0 without keys: .*ROOMWIRE_JWT_SECRET.*PORT is set/);
});

t.test('what is wrong is named with where it came from, and a secret is never shown', async (t) => {
  const dir = t.testdir({ 'config.json': JSON.stringify({ limits: { graceMs: 'long', grace: 1 }, apiKeys: [4711] }) });
  const wrong = (given: Record<string, string>, env: Record<string, string>, file?: string): string => {
    try {
      readSettings(given, env, file);
      return 'taken';
    } catch (error) {
      return `${(error as Error).name} ${(error as Error).message}`;
    }
  };
  t.match(wrong({ port: '70000' }, {}), /^UsageError --port: .*65535/);
  t.match(wrong({ port: 'x' }, {}), /^UsageError --port: .*number/);
  t.match(wrong({}, { ROOMWIRE_ENGINE: 'steam' }), /^CommandError .*ROOMWIRE_ENGINE: .*"uws"/);
  const text = wrong({}, {}, `${dir}/config.json`);
  t.match(text, /config\.json: limits\.graceMs: /);
  t.match(text, /limits\.grace: /);
  t.notMatch(text, '4711');
});

t.test(
  'every setting has a help, a flag and a variable unless it is for the file alone, and no two share one',
  async (t) => {
    const flags = settings.flatMap(({ flag }) => flag ?? []);
    t.same(Object.keys(settingFlags()).sort(), [...flags].sort());
    t.equal(new Set(flags).size, flags.length);
    for (const { path, help, flag, env } of settings) {
      t.not(help, '', path);
      t.equal(flag === undefined, env === undefined, path);
    }
  },
);

t.test('--check-config says whether the settings are right, and starts nothing', async (t) => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [`${root}dist/cli/main.js`, 'serve', '--check-config', ...args], { encoding: 'utf8' });
  t.match(run('--memory'), { status: 0, stdout: 'the settings are right\n' });
  t.match(run('--jwt-secret', 'short', '--memory'), { status: 1, stderr: /32 bytes/ });
  t.match(run('--limits-topics', 'many'), { status: 2, stderr: /--limits-topics/ });
});

t.test('docs/config.md has the settings of the schema', async (t) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}scripts/config-reference.mjs`, '--check'], {
    encoding: 'utf8',
  });
  t.equal(status, 0, `${stdout}${stderr}`);
});
