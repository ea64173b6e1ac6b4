/**
 * Live updates of an election: roomwire beside a backend in Python, which lets users in, says who belongs to a
 * committee, and publishes what it has committed. This program starts both.
 */
import { spawn } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  createServer,
  hooks,
  http,
  lineLog,
  lmdbStore,
  memoryStore,
  type Plugin,
  type PluginHost,
  policy,
  type Session,
} from '@roomwire/server';
import { build } from 'esbuild';
import { contract } from './contract.js';

const { values: options } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '8420' },
    'backend-port': { type: 'string', default: '8000' },
    /** Where both keep what they have; without it, in memory. */
    data: { type: 'string' },
  },
});
const secretOf = (name: string): string => process.env[name] ?? randomBytes(32).toString('hex');
const secrets = {
  JWT_SECRET: secretOf('JWT_SECRET'),
  ROOMWIRE_API_KEY: secretOf('ROOMWIRE_API_KEY'),
  ROOMWIRE_HOOKS_SECRET: secretOf('ROOMWIRE_HOOKS_SECRET'),
};

// ---- the page, with the SDK in it; any build does the same -------------------------------------------

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
await build({
  entryPoints: [here('dashboard.ts')],
  outfile: here('dist/dashboard.js'),
  bundle: true,
  format: 'esm',
  target: 'es2022',
  logLevel: 'warning',
  tsconfigRaw: '{}',
});
copyFileSync(here('dashboard.html'), here('dist/dashboard.html'));

// ---- the backend -------------------------------------------------------------------------------------

/** It ends when its input does, hence with this program, however that ends. */
const backend = spawn('python3', [here('backend/app.py')], {
  stdio: ['pipe', 'pipe', 'inherit'],
  env: {
    ...process.env,
    ...secrets,
    // It is told on its input.
    ROOMWIRE_URL: undefined,
    BACKEND_PORT: options['backend-port'],
    PAGE_DIR: here('dist'),
    PYTHONDONTWRITEBYTECODE: '1',
    ...(options.data === undefined ? {} : { DATABASE: `${options.data}/election.sqlite3` }),
  },
});
backend.once('error', (error) => {
  console.error(`python3 could not be started: ${error.message}`);
  process.exit(1);
});
backend.once('exit', (code) => {
  console.error(`the backend ended with ${code}`);
  process.exit(1);
});
const [backendUrl] = (await once(createInterface(backend.stdout), 'line')) as [string];

// ---- the server --------------------------------------------------------------------------------------

/** Tells a client by the name that its handler has; nobody waits for an answer. */
const tell = (host: Pick<PluginHost, 'call'>, session: Session, name: string, data: unknown): void =>
  void host.call(session, name, data).catch(() => undefined);

/** Everyone who connects is in `election_updates` and their own topic before they hear that they are connected. */
const welcome: Plugin<'welcome', undefined> = {
  name: 'welcome',
  setup(host) {
    host.onSessionStart((tx, session) => {
      const groups = ['election_updates', `user:${session.user.id}`];
      for (const group of groups) tx.subscribe(session, group);
      tx.afterCommit(() => tell(host, session, 'connection_success', { user: session.user, groups }));
    });
    return undefined;
  },
};

const server = createServer({
  contract,
  plugins: [
    hooks({ url: `${backendUrl}/roomwire/`, secret: secrets.ROOMWIRE_HOOKS_SECRET, events: ['connect'] }),
    policy({ topics: { 'committee:{id}': { join: ['role:admin', 'hook'] } } }),
    http({ page: false }),
    welcome,
  ],
  store: options.data === undefined ? memoryStore() : lmdbStore({ path: `${options.data}/roomwire` }),
  auth: { secret: secrets.JWT_SECRET, apiKeys: [secrets.ROOMWIRE_API_KEY] },
  admission: { connectionsPerUser: 20 },
  rates: { calls: { ping: 5, subscribe: 5 } },
  log: lineLog,
});

server.handle('ping', ({ session }) => {
  const pong = { type: 'pong', timestamp: new Date().toISOString() };
  tell(server, session, 'pong', pong);
  return pong;
});
server.handle('subscribe', async ({ input: { groups }, session }) => {
  await server.subscribe(session, groups);
  const subscribed = { type: 'subscribed', groups };
  tell(server, session, 'subscribed', subscribed);
  return subscribed;
});
server.handleAtomic('unsubscribe', (tx, { input: { groups }, session }) => {
  for (const group of groups) tx.unsubscribe(session, group);
  return { type: 'unsubscribed', groups };
});

const { url } = await server.listen({ port: Number(options.port), host: options.host });
backend.stdin.write(`${url}\n`);
process.once('SIGTERM', () => {
  backend.removeAllListeners('exit');
  void server.close().then(() => backend.stdin.end());
});
console.log(`election-updates on ${url} with its backend on ${backendUrl}`);
if (process.env['JWT_SECRET'] === undefined) {
  console.log('JWT_SECRET is not set: made for this run, with these links to sign in:');
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  for (const [id, name] of Object.entries({ 1: 'Ada, admin', 2: 'Ben, committee 3', 3: 'Cleo, committee 5' })) {
    const claims = { sub: id, exp: Math.floor(Date.now() / 1_000) + 86_400 };
    const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
    const signature = createHmac('sha256', secrets.JWT_SECRET).update(body).digest('base64url');
    console.log(`  ${name}: ${backendUrl}/#${body}.${signature}`);
  }
}
