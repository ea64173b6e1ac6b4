/** `roomwire serve`: the server as a program, with rooms, HTTP and the page. */
import { readFileSync } from 'node:fs';
import pino from 'pino';
import { http } from '../http/http.js';
import { rooms, type RoomsApi } from '../rooms/rooms.js';
import type { TopicRules } from '../server/api.js';
import { createServer } from '../server/server.js';
import { lmdbStore } from '../store/lmdb.js';
import { memoryStore } from '../store/memory.js';
import { StoreError } from '../store/store.js';
import { choiceFlag, command, CommandError, numberFlag } from './args.js';
import { readConfig } from './config.js';
import { contractWith } from './default-contract.js';
import { version } from './version.js';

const LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;
/** At a stop, clients come back spread over this time. */
const SPREAD_MS = 2_000;

export const serve = command({
  name: 'serve',
  usage: '[options]',
  summary: 'Serves rooms over WebSocket and HTTP on one port, and prints the address of a page to open.',
  details:
    'Without keys it listens on loopback only and lets everyone in as a guest.\n' +
    'Ctrl-C or SIGTERM says goodbye to clients, writes what is open and stops.',
  takes: [0, 0],
  flags: {
    port: { type: 'string', value: 'N', default: '8420', env: 'ROOMWIRE_PORT', help: '0 takes any free port' },
    host: {
      type: 'string',
      value: 'ADDRESS',
      default: '127.0.0.1',
      env: 'ROOMWIRE_HOST',
      help: 'address to listen on',
    },
    data: {
      type: 'string',
      value: 'DIR',
      default: './data',
      env: 'ROOMWIRE_DATA',
      help: 'directory of the embedded store',
    },
    memory: { type: 'boolean', help: 'keep everything in memory only' },
    durability: {
      type: 'string',
      value: 'MODE',
      default: 'process',
      env: 'ROOMWIRE_DURABILITY',
      help: 'what a commit survives: process (kill -9) or power (also a power cut; slower)',
    },
    engine: { type: 'string', value: 'NAME', default: 'auto', env: 'ROOMWIRE_ENGINE', help: 'uws, ws or auto' },
    config: {
      type: 'string',
      value: 'FILE',
      env: 'ROOMWIRE_CONFIG',
      help: 'JSON: topics, limits, rooms, origins (docs/config.md)',
    },
    'jwt-secret': {
      type: 'string',
      value: 'TEXT',
      env: 'ROOMWIRE_JWT_SECRET',
      help: 'shared secret of HS256 tokens, 32 bytes or more',
    },
    'jwt-public-key': {
      type: 'string',
      value: 'FILE',
      env: 'ROOMWIRE_JWT_PUBLIC_KEY',
      help: 'public key of tokens, PEM',
    },
    'jwt-algorithms': { type: 'string', value: 'A,B', env: 'ROOMWIRE_JWT_ALGORITHMS', help: 'algorithms taken' },
    'jwt-issuer': { type: 'string', value: 'TEXT', env: 'ROOMWIRE_JWT_ISSUER', help: 'issuer a token must name' },
    'jwt-audience': { type: 'string', value: 'TEXT', env: 'ROOMWIRE_JWT_AUDIENCE', help: 'audience a token must name' },
    'api-keys': {
      type: 'string',
      value: 'A,B',
      env: 'ROOMWIRE_API_KEYS',
      help: 'keys of backends for HTTP, 16 characters or more',
    },
    'no-page': { type: 'boolean', help: 'do not serve the page at /' },
    'log-level': {
      type: 'string',
      value: 'LEVEL',
      default: 'warn',
      env: 'ROOMWIRE_LOG_LEVEL',
      help: LEVELS.join(', '),
    },
  },
  async run(flags) {
    const config = readConfig(flags.config);
    const log = pino(
      { level: choiceFlag('log-level', flags['log-level'], LEVELS) },
      pino.destination({ dest: 2, sync: true }),
    );
    const durability = choiceFlag('durability', flags.durability, ['process', 'power'] as const);
    const path = flags.data as string;
    const store = flags.memory ? memoryStore() : lmdbStore({ path, durability });
    const plugins = [rooms(config.rooms), http({ page: !flags['no-page'], origins: config.origins })] as const;
    const presenterOnly: TopicRules = {
      publish: { frame_update: ({ session, params }) => roomsApi().presenterOf(params['id'] ?? '') === session.sid },
    };
    const server = refuseEarly(() =>
      createServer({
        contract: contractWith(config.topics),
        plugins,
        store,
        engine: choiceFlag('engine', flags.engine, ['auto', 'uws', 'ws'] as const),
        limits: config.limits,
        policy: { 'room:{id}': presenterOnly },
        log,
        auth: {
          secret: flags['jwt-secret'],
          publicKey: flags['jwt-public-key'] === undefined ? undefined : readKey(flags['jwt-public-key']),
          algorithms: list(flags['jwt-algorithms']),
          issuer: flags['jwt-issuer'],
          audience: flags['jwt-audience'],
          apiKeys: list(flags['api-keys']),
        },
      }),
    );
    const roomsApi = (): RoomsApi => server.plugins.rooms;
    const { host } = flags;
    const port = numberFlag('port', flags.port, 0, 65_535);
    let url: string;
    try {
      ({ url } = await server.listen({ port, ...(host === undefined ? {} : { host }) }));
    } catch (error) {
      throw startError(error, port, host);
    }
    const where = flags.memory ? 'memory (nothing is kept)' : `lmdb in ${path} (durability ${durability})`;
    process.stdout.write(`roomwire ${version()} on ${url}/  engine ${server.engine ?? ''}, store ${where}\n`);
    await stopSignal();
    process.stderr.write('stopping\n');
    await server.close({ spreadMs: SPREAD_MS });
  },
});

function list(text: string | undefined): readonly string[] | undefined {
  return text
    ?.split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function readKey(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read --jwt-public-key ${path}: ${(error as Error).message}`);
  }
}

/** What the options themselves forbid is the user's to mend: one line, no stack. */
function refuseEarly<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof TypeError) throw new CommandError(error.message);
    throw error;
  }
}

function startError(error: unknown, port: number, host: string | undefined): unknown {
  if (error instanceof StoreError) return new CommandError(error.message);
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') {
    return new CommandError(`port ${port} is in use: stop the other program or choose one with --port (0: any free)`);
  }
  if (code === 'EACCES') return new CommandError(`port ${port} is not allowed for this user: choose one above 1023`);
  if (code !== undefined) return new CommandError(`cannot listen on ${host ?? ''}:${port}: ${message}`);
  return error instanceof Error ? new CommandError(message) : error;
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (): void => {
      if (asked) process.exit(1);
      asked = true;
      resolve();
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
}
