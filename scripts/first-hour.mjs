/**
 * What a team with a backend in Python does in its first hour, in an empty folder, with the packed tarballs and not a line
 * of TypeScript on the server: config and keys, a connect hook, a proxied `join_room` that joins, a page with the shape of
 * a Socket.IO client, publishing after the commit (with the module and through the outbox), following with curl, and why
 * somebody did not get an event. Says how long each step took. The team's files are in first-hour/.
 *
 *   node scripts/first-hour.mjs --database postgres://… [--chromium FILE] [--client TARBALL --server TARBALL]
 *
 * Without tarballs it packs what is built; without a browser the page's module runs in Node.
 */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { pack } from './pack.mjs';

/** For one thing that is awaited; npm on a slow line takes longer. */
const WAIT_MS = 60_000;
const INSTALL_MS = 240_000;
const { fetch } = globalThis;
const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options } = parseArgs({
  options: {
    database: { type: 'string' },
    chromium: { type: 'string' },
    client: { type: 'string' },
    server: { type: 'string' },
  },
});
if (options.database === undefined) {
  console.error('--database is needed: the postgres:// address of the database that the outbox is in');
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'roomwire-first-hour-'));
const children = [];
process.on('exit', () => {
  for (const child of children) stop(child);
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

const [port, backendPort] = await freePorts(2);
const secret = () => randomBytes(32).toString('hex');
const apiKey = secret();
const url = `http://127.0.0.1:${port}`;
const backend = `http://127.0.0.1:${backendPort}`;
/** One file for both sides: roomwire reads its settings, the backend its key and the address. */
const dotEnv = {
  ROOMWIRE_PORT: port,
  ROOMWIRE_JWT_SECRET: secret(),
  ROOMWIRE_API_KEYS: `backend=${apiKey}`,
  ROOMWIRE_HOOKS_URL: `${backend}/hooks`,
  ROOMWIRE_HOOKS_SECRET: secret(),
  ROOMWIRE_OUTBOX: options.database,
  ROOMWIRE_URL: url,
  ROOMWIRE_API_KEY: apiKey,
  BACKEND_PORT: backendPort,
};
const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
const roomwire = join(folder, 'node_modules/.bin/roomwire');

const began = performance.now();
await step('install the tarballs, and pg for the outbox', async () => {
  const [client, server] =
    options.client && options.server ? [options.client, options.server] : pack(join(folder, 'tarballs'));
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  await run('npm', ['install', '--no-audit', '--no-fund', client, server, 'pg', 'esbuild'], INSTALL_MS);
});

await step('write the config, and one .env for roomwire and the backend', async () => {
  cpSync(join(root, 'scripts/first-hour'), folder, { recursive: true });
  cpSync(join(root, 'clients/python/roomwire'), join(folder, 'roomwire'), { recursive: true });
  writeFileSync(
    join(folder, '.env'),
    Object.entries(dotEnv)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  // As `set -a; . ./.env`, or a container's env_file, does.
  Object.assign(env, dotEnv);
  await run(roomwire, ['serve', '--config', 'roomwire.json', '--check-config']);
});

await step('start the backend and roomwire', async () => {
  const server = start(roomwire, ['serve', '--config', 'roomwire.json']);
  await Promise.all([start('python3', ['backend.py']).says('listens'), server.says(`on ${url}/`)]);
});

const page = await step('sign in, and join by a call that the backend answers', async () => {
  await run(join(folder, 'node_modules/.bin/esbuild'), [
    'inbox.js',
    '--bundle',
    '--format=esm',
    '--outfile=inbox.bundle.js',
  ]);
  const opened =
    options.chromium === undefined ? start(process.execPath, ['terminal.js', 'ann', 'CustomerApp']) : await browse();
  await opened.says('in CustomerApp');
  return opened;
});
const follower = await step('follow with curl', async () => {
  const stream = `${url}/api/topics/CustomerApp/events?live=sse`;
  const curl = start('curl', ['-sN', stream, '-H', `authorization: Bearer ${apiKey}`]);
  await curl.says('id: ');
  return curl;
});
const stranger = start(process.execPath, ['terminal.js', 'bob', 'CustomersApp']);
await step('be refused with the reason', () => stranger.says('not in: Invalid room: CustomersApp'));

const first = await step('publish after the commit, with the module', async () => {
  const answer = await post('/messages', { chat_id: '65a1', text: 'Where is my order?' });
  expect(answer.ok && answer.matched === 1, answer);
  await page.says('65a1: Where is my order?');
  return answer.offset;
});

await step('publish after the commit, through the outbox', async () => {
  const row = (text) =>
    `insert into messages (chat_id, text) values ('65a1', '${text}'); insert into roomwire_outbox (topic, event, data)
     values ('CustomerApp', 'room_update_customer', '{"chat_id": "65a1", "last_message": "${text}"}');`;
  // roomwire makes the outbox's table as it starts.
  const made = () => sql("select 'made' from pg_trigger where tgname = 'roomwire_outbox_put'");
  await until(async () => (await made()) !== '', "the outbox's table");
  await sql('create table messages (id bigserial primary key, chat_id text, text text)');
  await sql(`begin; ${row('It never was')} rollback;`);
  await sql(`begin; ${row('It came!')} commit;`);
  await page.says('65a1: It came!');
});

await step('see both in curl, which followed', async () => {
  await follower.says('It came!');
  expect(/Where is my order\?[^]*It came!/.test(follower.printed()), follower.printed());
});

await step('ask why bob did not get it', async () => {
  const sentence = await run(roomwire, ['why', 'CustomerApp', String(first), 'bob']);
  expect(sentence.includes('was never subscribed to CustomerApp'), sentence);
  process.stdout.write(`         ${sentence}`);
});
told(began, 'all of it');
process.exit();

// ---- what a person would do in terminals -------------------------------------------------------------

async function step(what, work) {
  const begun = performance.now();
  try {
    return await work();
  } finally {
    told(begun, what);
  }
}

function told(since, what) {
  console.log(`${((performance.now() - since) / 1000).toFixed(1).padStart(6)} s  ${what}`);
}

/** What the command printed, once it has ended well. */
async function run(command, args, timeout = WAIT_MS) {
  const { stdout } = await promisify(execFile)(command, args, { cwd: folder, env, timeout, killSignal: 'SIGKILL' });
  return stdout;
}

function sql(text) {
  return run('psql', [options.database, '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-c', text]);
}

/** A program that goes on; `says` waits until it has printed a line with this text. */
function start(command, args) {
  const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let printed = '';
  let failed;
  child.once('error', (error) => (failed = error.message));
  child.once('exit', (code) => (failed = `it ended with ${code}`));
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (printed += String(bytes)));
  const says = (text) =>
    until(
      () => {
        if (failed !== undefined) throw new Error(`${command} ${args.join(' ')}: ${failed}\n${printed}`);
        return printed.includes(text);
      },
      `${args.join(' ')} to say ${text}`,
    );
  return { says, printed: () => printed };
}

function stop(child) {
  if (child.exitCode === null) child.kill('SIGKILL');
}

/** The page, in a browser. */
async function browse() {
  const { chromium } = await import('playwright-core');
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
  const browser = await chromium.launch({ executablePath: options.chromium, args });
  const tab = await browser.newPage();
  await tab.goto(`${backend}/`);
  return { says: (text) => tab.getByText(text, { exact: true }).waitFor({ timeout: WAIT_MS }) };
}

async function post(path, body) {
  return (await fetch(backend + path, { method: 'POST', body: JSON.stringify(body) })).json();
}

async function until(condition, what = String(condition)) {
  const end = performance.now() + WAIT_MS;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function expect(holds, found) {
  if (!holds) throw new Error(`not what was expected: ${JSON.stringify(found)}`);
}

/** Free on loopback, now. */
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => String(server.address().port));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
