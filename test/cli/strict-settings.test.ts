/**
 * Settings mean what they say: one spelling for each kind of value, no name that nothing reads, and what Kubernetes puts
 * into the environment by itself is no setting. `--check-config` refuses what `serve` refuses.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { runCommand, type Command } from '../../src/cli/args.js';
import { readSettings, settings } from '../../src/cli/settings.js';

type Env = Readonly<Record<string, string>>;
const read = (env: Env, given: Record<string, string> = {}, file?: string) => readSettings(given, env, file);
const refusal = (env: Env, given: Record<string, string> = {}, file?: string): string => {
  try {
    read(env, given, file);
    return 'taken';
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
};

t.test('yes and no have their words, and no other word is either', async (t) => {
  const switches = settings.filter(({ kind, env }) => kind === 'boolean' && env !== undefined);
  t.ok(switches.length >= 4);
  const at = (config: object, path: string): unknown =>
    path.split('.').reduce<unknown>((part, name) => (part as Record<string, unknown>)[name], config);
  for (const { path, env = '' } of switches) {
    for (const word of ['true', 'TRUE', 'True', '1', 'yes', 'Yes', 'on', 'ON']) {
      t.equal(at(read({ [env]: word }), path), true, `${env}=${word}`);
    }
    for (const word of ['false', 'False', 'FALSE', '0', 'no', 'No', 'off', 'OFF']) {
      t.equal(at(read({ [env]: word }), path), false, `${env}=${word}`);
    }
    for (const word of ['nonsense', '2', 'y', 'truee', ' true', 'enabled', 'null', '-1', 'false ']) {
      t.match(refusal({ [env]: word }), new RegExp(`CommandError.*${env}: takes true or false`), `${env}=${word}`);
    }
  }
});

t.test('a number is written in digits', async (t) => {
  for (const text of [
    '0x50',
    '1e3',
    ' 80',
    '80 ',
    '8_0',
    '080',
    '80.0',
    '+80',
    '-1',
    '80\r',
    '٨٠',
    'Infinity',
    '65536',
  ]) {
    t.match(refusal({ ROOMWIRE_PORT: text }), /CommandError.*ROOMWIRE_PORT/, text);
    t.match(refusal({}, { port: text }), /UsageError.*--port/, text);
  }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 65_535 }), (port) => read({ ROOMWIRE_PORT: String(port) }).port === port),
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 6 }), (text) => {
      fc.pre(text !== '' && !/^(0|[1-9]\d*)$/.test(text));
      return refusal({ ROOMWIRE_PORT: text }) !== 'taken' || /^(tcp|udp|sctp):\/\//.test(text);
    }),
  );
});

t.test('a list has no item that is missing', async (t) => {
  t.same(read({ ROOMWIRE_ORIGINS: 'https://a.example , https://b.example' }).origins, [
    'https://a.example',
    'https://b.example',
  ]);
  for (const text of [',', 'https://a.example,', ',https://a.example', 'a,,b', ' ']) {
    t.match(refusal({ ROOMWIRE_ORIGINS: text }), /ROOMWIRE_ORIGINS: takes a list/, text);
    t.match(refusal({}, { 'trusted-proxies': text }), /--trusted-proxies: takes a list/, text);
  }
  t.match(refusal({}, { origins: '' }), /--origins/);
});

t.test('a text has no blank or line break at its ends, in the environment and in the file', async (t) => {
  const dir = t.testdir({ 'config.json': JSON.stringify({ host: '127.0.0.1\n', apiKeys: ['0123456789abcdef '] }) });
  t.match(refusal({}, {}, `${dir}/config.json`), /host: has blanks at an end.*apiKeys/);
  for (const name of [
    'ROOMWIRE_HOST',
    'ROOMWIRE_JWT_ISSUER',
    'ROOMWIRE_DATA',
    'ROOMWIRE_JWKS_URL',
    'ROOMWIRE_JWT_SECRET',
  ]) {
    for (const text of [' x', 'x\r', 'x\n', 'x ', '\u200bx', 'a\u0000b']) {
      t.match(refusal({ [name]: text }), new RegExp(`CommandError.*${name}: `), `${name}=${JSON.stringify(text)}`);
    }
  }
  t.equal(read({ ROOMWIRE_DATA: '/my data/ä' }).data, '/my data/ä');
});

t.test('a name that nothing reads is refused, with the one that was meant', async (t) => {
  const wrong: Env = {
    ROOMWIRE_MEMROY: 'ROOMWIRE_MEMORY',
    ROOMWIRE_APIKEYS: 'ROOMWIRE_API_KEYS',
    ROOMWIRE_NO_PAGE: 'ROOMWIRE_PAGE',
    roomwire_port: 'ROOMWIRE_PORT',
    Roomwire_Memory: 'ROOMWIRE_MEMORY',
    ROOMWIRE_LIMITS_GRACEMS: 'ROOMWIRE_LIMITS_GRACE_MS',
    ROOMWIRE_SOMETHING_ELSE_ALTOGETHER: '--help',
    ROOMWIRE_: '--help',
    ROOMWIRE_TOPICS: '',
  };
  for (const [name, meant] of Object.entries(wrong)) {
    const text = refusal({ [name]: '1' });
    t.ok(text.startsWith(`CommandError: ${name}: there is no such setting`), text);
    t.ok(text.includes(meant), text);
  }
  t.equal(refusal({ ROOMWIRE_TOKEN: 'x', ROOMWIRE_URL: 'y', ROOMWIRE_CONFIG: 'z', ROOMWIRE_MEMROY: '' }), 'taken');
  t.equal(refusal({ OTHER_PORT: 'x', ROOMWIREX: 'y' }), 'taken');
});

t.test('what Kubernetes sets for services called roomwire, or roomwire-something, is no setting', async (t) => {
  const of = (service: string, port: number): Env => ({
    [`${service}_SERVICE_HOST`]: '10.0.0.7',
    [`${service}_SERVICE_PORT`]: String(port),
    [`${service}_SERVICE_PORT_HTTP`]: String(port),
    [`${service}_SERVICE_PORT_WS_2`]: String(port),
    [`${service}_PORT`]: `tcp://10.0.0.7:${port}`,
    [`${service}_PORT_${port}_TCP`]: `tcp://10.0.0.7:${port}`,
    [`${service}_PORT_${port}_TCP_PROTO`]: 'tcp',
    [`${service}_PORT_${port}_TCP_PORT`]: String(port),
    [`${service}_PORT_${port}_TCP_ADDR`]: '10.0.0.7',
    [`${service}_PORT_53_UDP_ADDR`]: '10.0.0.7',
  });
  for (const service of ['ROOMWIRE', 'ROOMWIRE_DATA', 'ROOMWIRE_BACKEND', 'ROOMWIRE_HOOKS_2']) {
    t.equal(read({ ...of(service, 8420) }).port, 8420, service);
  }
  t.equal(read(of('ROOMWIRE', 9000)).port, 8420, 'the default, not that of the service');
  t.equal(read({ ...of('ROOMWIRE_X', 9000), ROOMWIRE_PORT: '81' }).port, 81);
  t.match(refusal({ ROOMWIRE_PORT: 'http://10.0.0.7:8420' }), /ROOMWIRE_PORT/);
  t.match(refusal({ ROOMWIRE_HOST: 'tcp://10.0.0.7:8420', ROOMWIRE_HOTS: 'x' }), /ROOMWIRE_HOTS/);
});

t.test('flags of all commands: given once, switches of the environment strict', async (t) => {
  const seen: unknown[] = [];
  const command: Command = {
    name: 'x',
    usage: '',
    summary: '',
    flags: { fast: { type: 'boolean', help: 'x', env: 'SETTINGS_TEST_FAST' }, to: { type: 'string', help: 'x' } },
    takes: [0, 0],
    run: async (flags) => void seen.push(flags),
  };
  await t.rejects(runCommand(command, ['--to', 'a', '--to', 'b']), {
    name: 'UsageError',
    message: /--to is given twice/,
  });
  await t.rejects(runCommand(command, ['--fast', '--fast']), { name: 'UsageError' });
  process.env['SETTINGS_TEST_FAST'] = 'maybe';
  t.teardown(() => delete process.env['SETTINGS_TEST_FAST']);
  await t.rejects(runCommand(command, []), {
    name: 'CommandError',
    message: /SETTINGS_TEST_FAST: takes true or false/,
  });
  process.env['SETTINGS_TEST_FAST'] = 'off';
  await runCommand(command, []);
  t.match(seen, [{ fast: false }]);
});

t.test('--check-config refuses what serve refuses, in the same words, and makes nothing', async (t) => {
  const root = new URL('../..', import.meta.url).pathname;
  const dir = t.testdir({ 'a-file': '', 'two.pem': '-----BEGIN PUBLIC KEY-----\n-----BEGIN PUBLIC KEY-----\n' });
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ROOMWIRE_')));
  const run = (args: readonly string[], env: Env) =>
    spawnSync(process.execPath, [`${root}dist/cli/main.js`, 'serve', ...args], {
      encoding: 'utf8',
      cwd: dir,
      env: { ...clean, ...env },
      timeout: 60_000,
    });
  const key = '0123456789abcdef';
  const wrong: readonly (readonly [args: readonly string[], env: Env, message: RegExp])[] = [
    [['--host', '0.0.0.0'], {}, /refusing to listen on 0\.0\.0\.0 without keys/],
    [['--data', `${dir}/a-file/data`], {}, /data: .*a-file is no directory/],
    [['--audit', dir, '--memory'], {}, /audit: .* is a directory/],
    [['--trusted-proxies', '10.0.0.0/'], {}, /10\.0\.0\.0\//],
    [['--jwt-public-key', `${dir}/two.pem`], {}, /takes one key/],
    [['--origins', 'https://app.example/', '--api-keys', key], {}, /write https:\/\/app\.example/],
    [['--limits-message-bytes', '0'], {}, /limits\.messageBytes/],
    [['--limits-data-bytes', '2000000'], {}, /limits\.dataBytes/],
    [[], { ROOMWIRE_API_KEYS: 'a key with blanks' }, /no blanks/],
    [[], { ROOMWIRE_JWT_ISSUER: 'https://issuer.example' }, /issuer: means nothing without a key/],
    [[], { ROOMWIRE_PROXY: 'export:start' }, /hooks\.url is not set/],
    [[], { ROOMWIRE_MEMORY: 'maybe' }, /ROOMWIRE_MEMORY: takes true or false/],
    // ROOMWIRE_API_KEYS is meant, or the backend of the same environment would be refused.
    [[], { ROOMWIRE_API_KEY: key }, /ROOMWIRE_API_KEY: is the key that a backend sends, and none of this server's/],
    [[], { ROOMWIRE_API_KEY: key, ROOMWIRE_API_KEYS: `ci=${key}0,${key}1` }, /none of this server's: list it/],
  ];
  for (const [args, env, message] of wrong) {
    const served = run(args, env);
    t.not(served.status, 0, String(message));
    t.match(served.stderr, message);
    t.equal(served.stderr.trim().split('\n').length, 1, `one line: ${served.stderr}`);
    t.match(run(['--check-config', ...args], env), { status: served.status, stderr: served.stderr }, String(message));
  }
  const right = run(['--check-config', '--audit', `${dir}/logs/audit.jsonl`, '--data', `${dir}/new/data`], {});
  t.match(right, { status: 0, stdout: 'the settings are right\n' });
  t.notOk(existsSync(`${dir}/logs`) || existsSync(`${dir}/new`), 'nothing was made');
  const ofService = { ROOMWIRE_PORT: 'tcp://10.0.0.7:8420', ROOMWIRE_SERVICE_HOST: '10.0.0.7' };
  t.match(run(['--check-config', '--memory'], ofService), { status: 0 }, 'a service of that name stops no start');
  const shared = { ROOMWIRE_API_KEY: key, ROOMWIRE_API_KEYS: `backend=${key}`, ROOMWIRE_URL: 'http://127.0.0.1:8420' };
  t.match(run(['--check-config', '--memory'], shared), { status: 0 }, 'one environment for the server and its backend');
});
