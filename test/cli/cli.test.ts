import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startCli, type CliTest } from '../support/cli.js';

/** Runs to the end. */
async function run(
  t: CliTest,
  args: readonly string[],
  options: { env?: Record<string, string>; input?: string } = {},
) {
  const child = startCli(t, args, options.env);
  child.stdin?.end(options.input ?? '');
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk) => (out += String(chunk)));
  child.stderr?.on('data', (chunk) => (err += String(chunk)));
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

/** A served roomwire on a free port; resolves when it has printed its address. */
async function serve(t: CliTest, args: readonly string[], env: Record<string, string> = {}) {
  const child = startCli(
    t,
    ['serve', '--port', '0', '--engine', process.env['ROOMWIRE_ENGINE'] ?? 'auto', ...args],
    env,
  );
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const url = /http:\/\/[^\s/]+/.exec(line.toString())?.[0] as string;
  return { child, url, line: line.toString() };
}

t.test('every command explains itself with --help and exits 0', async (t) => {
  const help = await run(t, ['--help']);
  t.equal(help.code, 0);
  const explain = async (name: string): Promise<void> => {
    t.match(help.out, name);
    const own = await run(t, [name, '--help']);
    t.equal(own.code, 0);
    t.match(own.out, `roomwire ${name}`);
  };
  await Promise.all(['serve', 'tail', 'publish', 'call', 'token', 'decode'].map(explain));
});

t.test('a mistake in the command line is one line and exit code 2', async (t) => {
  const mistakes = [
    [],
    ['sing'],
    ['serve', '--prot', '1'],
    ['serve', '--port', 'x'],
    ['serve', '--port', '70000', '--memory'],
    ['serve', '--engine', 'steam', '--memory'],
    ['serve', 'extra'],
    ['publish', 'topic'],
    ['publish', 'topic', 'event', '{not json'],
    ['token'],
    ['decode', 'xyz'],
  ];
  const refused = async (args: readonly string[]): Promise<void> => {
    const { code, err, out } = await run(t, args);
    t.equal(code, 2, args.join(' '));
    if (args.length > 0) t.match(`${out}${err}`, /^roomwire: [^\n]+\n$/, err);
  };
  await Promise.all(mistakes.map(refused));
});

t.test('serve prints one line with the page, answers, and stops in order at SIGTERM', async (t) => {
  const { child, url, line } = await serve(t, ['--memory']);
  t.match(
    line,
    /^roomwire \d+\.\d+\.\d+ on http:\/\/127\.0\.0\.1:\d+\/ {2}engine (uws \(\w+ \S+ 20\.\S+\)|ws 8\.\S+)( in \d workers?)?, store memory/,
  );
  t.equal((await fetch(`${url}/health/ready`)).status, 200);
  const page = await fetch(`${url}/`);
  t.equal(page.status, 200, 'the page that the line names');
  t.match(await page.text(), '<title>roomwire</title>');
  child.kill('SIGTERM');
  const [code] = (await once(child, 'close')) as [number];
  t.equal(code, 0);
});

t.test('a flag that is not given leaves the config file its say', async (t) => {
  const config = join(t.testdir({ 'config.json': '{"memory": true, "page": false}' }), 'config.json');
  const { url, line } = await serve(t, ['--config', config]);
  t.match(line, 'store memory');
  t.equal((await fetch(`${url}/`)).status, 404);
});

t.test('publish, call and tail talk to a running server', async (t) => {
  const { url } = await serve(t, ['--memory']);
  const joined = await run(t, ['call', 'join:room', '{"roomId":"demo","create":true}', '--url', url]);
  t.match(JSON.parse(joined.out), { status: 'joined', created: true });
  const tail = startCli(t, ['tail', 'room:demo', '--count', '2', '--url', url]);
  await once(tail.stderr as NodeJS.ReadableStream, 'data');
  const ended = once(tail, 'close');
  let lines = '';
  tail.stdout?.on('data', (chunk) => (lines += String(chunk)));
  for (const text of ['one', 'two']) {
    const args = ['publish', 'room:demo', 'chat:message:new', JSON.stringify({ text }), '--url', url, '--key', text];
    t.match(JSON.parse((await run(t, args)).out), { matched: 1 });
  }
  await ended;
  t.match(
    lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    [{ topic: 'room:demo', event: 'chat:message:new', from: null, data: { text: 'one' } }, { data: { text: 'two' } }],
  );
  const refused = await run(t, ['call', 'join:room', '{"roomId":"none"}', '--url', url]);
  t.match(refused, { code: 1, err: /room_not_found \(120\)/ });
  const unknown = await run(t, ['publish', 'no:topic', 'event', '1', '--url', url]);
  t.match(unknown, { code: 1, err: /no topic/ });
  const nobody = await run(t, ['call', 'x', '--url', 'http://127.0.0.1:1']);
  t.match(nobody, { code: 1, err: /cannot connect/ });
});

t.test('tokens made by the token command open a server that has the secret, and no others do', async (t) => {
  const env = {
    ROOMWIRE_JWT_SECRET: 'a-secret-of-at-least-32-bytes-length!',
    ROOMWIRE_API_KEYS: 'backend=the-key-of-the-backend',
    ROOMWIRE_API_KEY: 'the-key-of-the-backend',
  };
  const { url } = await serve(t, ['--memory'], env);
  const { out } = await run(t, ['token', '--sub', 'ann', '--name', 'Ann'], { env });
  const joined = await run(t, [
    'call',
    'join:room',
    '{"roomId":"r","create":true}',
    '--url',
    url,
    '--token',
    out.trim(),
  ]);
  t.match(JSON.parse(joined.out), { members: [{ userId: 'ann', name: 'Ann' }] });
  const refused = await run(t, ['call', 'join:overview', '{}', '--url', url]);
  t.match(refused, { code: 1, err: /cannot connect.*token/ });
  const publishing = ['publish', 'user:ann', 'note', '1', '--url', url];
  t.match(await run(t, publishing, { env }), { code: 0, out: /"matched":0/ }, "the backend's key, where it has one");
  t.match(await run(t, publishing), { code: 1, err: /token/ });
});

t.test('decode shows frames and refuses what is none', async (t) => {
  t.same(await run(t, ['decode', '9203c0', '9204c3']), { code: 0, out: 'PING [3,null]\nPONG [4,true]\n', err: '' });
  t.match(await run(t, ['decode', '-'], { input: '9203 c4 01 ff\n' }), { code: 0, out: 'PING [3,{"$bin":"ff"}]\n' });
  t.match(await run(t, ['decode', '92c1']), { code: 1, err: /^roomwire: not a roomwire message: [^\n]+\n$/ });
});

t.test('what keeps the server from starting is one clear line and exit code 1', async (t) => {
  const dir = t.testdir({ file: 'in the way', 'bad.json': '{"topics": {"a": {}}}', 'no.json': '{' });
  const failing = async (args: readonly string[], wanted: RegExp, env = {}): Promise<void> => {
    const { code, err } = await run(t, ['serve', ...args], { env });
    t.equal(code, 1, args.join(' '));
    t.match(err, wanted);
    t.match(err, /^roomwire: [^\n]+\n$/, 'one line');
  };
  const { url } = await serve(t, ['--memory']);
  await failing(['--memory', '--port', new URL(url).port], /port \d+ is in use/);
  await failing(['--memory', '--host', '0.0.0.0'], /ROOMWIRE_JWT_SECRET/);
  await failing(['--memory'], /32 bytes/, { ROOMWIRE_JWT_SECRET: 'short' });
  await failing(['--memory', '--jwt-public-key', join(dir, 'missing.pem')], /cannot read/);
  await failing(['--memory', '--config', join(dir, 'bad.json')], /topics\.a/);
  await failing(['--memory', '--config', join(dir, 'no.json')], /not JSON/);
  await failing(['--port', '0', '--data', join(dir, 'file')], /file/);
  const data = join(dir, 'data');
  const { child } = await serve(t, ['--data', data]);
  await failing(['--port', '0', '--data', data], /used by another server/);
  child.kill('SIGKILL');
  await once(child, 'close');
  const again = await serve(t, ['--data', data]);
  t.match(again.line, 'lmdb', 'after a kill the directory is free');
  again.child.kill('SIGTERM');
  await once(again.child, 'close');
  mkdirSync(join(dir, 'corrupt'));
  writeFileSync(join(dir, 'corrupt', 'data.mdb'), 'this is no database '.repeat(1000));
  await failing(['--port', '0', '--data', join(dir, 'corrupt')], /corrupt|damaged|not a/i);
});
