/** `roomwire serve`: the server as a program, with rooms, HTTP and the page. */
import { readFileSync } from 'node:fs';
import pino from 'pino';
import { hooks } from '../hooks/hooks.js';
import { http } from '../http/http.js';
import { policy } from '../policy/policy.js';
import { rooms, type RoomsApi } from '../rooms/rooms.js';
import type { AuditLine, EdgeReport, EngineInfo, Plugin, TopicPolicy } from '../server/api.js';
import { createServer } from '../server/server.js';
import { lmdbStore } from '../store/lmdb.js';
import { memoryStore } from '../store/memory.js';
import { StoreError } from '../store/store.js';
import { command, CommandError } from './args.js';
import { Lines } from './lines.js';
import { contractWith } from './default-contract.js';
import type { Config } from './config.js';
import { linkSecurity } from './link-flags.js';
import type { workers as Workers } from '../link/workers.js';
import { requireDirectory, requireFile } from './places.js';
import { readSettings, settingFlags } from './settings.js';
import { version } from '../http/version.js';

/** What no log line may hold, whoever writes it. */
const SECRETS = ['token', 'secret', 'authorization', '*.token', '*.secret', '*.authorization'];
/** At a stop, clients come back spread over this time. */
const SPREAD_MS = 2_000;

export const serve = command({
  name: 'serve',
  usage: '[options]',
  summary: 'Serves rooms over WebSocket and HTTP on one port, and prints the address of a page to open.',
  details:
    'Without keys it listens on loopback only and lets everyone in as a guest.\n' +
    'PORT, as hosting platforms set it, is its port, on 0.0.0.0 unless a host is named.\n' +
    'Ctrl-C or SIGTERM says goodbye to clients, writes what is open and stops.',
  takes: [0, 0],
  flags: {
    config: { type: 'string', value: 'FILE', env: 'ROOMWIRE_CONFIG', help: 'JSON file with these settings and more' },
    'check-config': { type: 'boolean', help: 'check all settings, say what is wrong, and do not start' },
    ...settingFlags(),
  },
  async run(flags) {
    const config = readSettings(flags, process.env, flags.config);
    const [out, err] = [new Lines(1), new Lines(2)];
    // What Node itself writes there, such as a warning.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
    const log = pino({ level: config.logLevel, redact: SECRETS }, err);
    const stop = new Stop();
    const { data: path, durability, memory, origins, page, metrics } = config;
    let trail: ((line: AuditLine) => void) | undefined;
    const store = memory ? memoryStore() : lmdbStore({ path, durability });
    const transport = await transportOf(config);
    const presenterOnly: TopicPolicy = {
      publish: { frame_update: ({ session, params }) => roomsApi().presenterOf(params['id'] ?? '') === session.sid },
    };
    const server = refuseEarly(() =>
      createServer({
        contract: contractWith(config.topics, config.proxy),
        plugins: [rooms(config.rooms), ...rulers(config), http({ page, metrics, origins: origins ?? [] })] as const,
        store,
        engine: config.engine,
        transport,
        httpIdleMs: config.httpIdleMs,
        basePath: config.basePath,
        limits: config.limits,
        rates: config.rates,
        admission: { ...config.admission, trustedProxies: config.trustedProxies, origins },
        policy: { 'room:{id}': presenterOnly },
        log,
        trustClock: config.trustClock,
        deposed: (error) => stop.failed(error),
        audit: config.audit === undefined ? undefined : (line) => trail?.(line),
        auth: {
          secret: config.jwtSecret,
          publicKey: config.jwtPublicKey === undefined ? undefined : readKey(config.jwtPublicKey),
          jwksUrl: config.jwksUrl,
          algorithms: config.jwtAlgorithms,
          issuer: config.jwtIssuer,
          audience: config.jwtAudience,
          apiKeys: config.apiKeys,
        },
      }),
    );
    const roomsApi = (): RoomsApi => (server.plugins as unknown as { readonly rooms: RoomsApi }).rooms;
    const { host, port } = config;
    // Before it is opened, so that --check-config says the same.
    refuseEarly(() => {
      try {
        server.check({ port, host });
      } catch (error) {
        const isPlatforms = host === '0.0.0.0' && (process.env['PORT'] ?? '') !== '';
        if (isPlatforms)
          throw new TypeError(`${(error as Error).message} (PORT is set, hence this address)`, { cause: error });
        throw error;
      }
    });
    if (!memory) requireDirectory('data', path);
    if (config.audit !== undefined && config.audit !== '-') requireFile('audit', config.audit);
    if (flags['check-config']) {
      process.stdout.write('the settings are right\n');
      return;
    }
    if (config.audit !== undefined) trail = auditTrail(config.audit, err);
    let url: string;
    try {
      ({ url } = await server.listen({ port, host }));
    } catch (error) {
      throw startError(error, port, host);
    }
    const where = memory ? 'memory (nothing is kept)' : `lmdb in ${path} (durability ${durability})`;
    out.write(`roomwire ${version()} on ${url}/  engine ${engineText(server)}, store ${where}\n`);
    const why = await stop.asked;
    err.write('stopping\n');
    const { unreadyMs, drainMs } = config.stop;
    // One whose store is gone has nothing to wait for: others may serve already.
    await server.close({ spreadMs: SPREAD_MS, ...(why === undefined ? { unreadyMs, drainMs } : { drainMs: 0 }) });
    if (why !== undefined) throw new CommandError(why.message);
  },
});

/** The backend and the policy, which may ask it. Throws a TypeError that says what is missing. */
function rulers({ hooks: backend, proxy, policy: grants }: Config): Plugin[] {
  const { url, secret } = backend;
  if (url === undefined) {
    if (proxy.length > 0 || backend.events.length > 0) {
      throw new TypeError('hooks.url is not set: the calls of proxy and the events of hooks have nowhere to go');
    }
    return [policy(grants)];
  }
  if (secret === undefined) throw new TypeError('hooks.url needs a secret: set ROOMWIRE_HOOKS_SECRET');
  return [hooks({ ...backend, url, secret, calls: proxy }), policy(grants)];
}

/** Such as `uws (official uWebSockets.js 20.57.0) in 3 workers`. */
function engineText(server: { engineInfo: EngineInfo | undefined; edges(): readonly EdgeReport[] }): string {
  const { engineInfo } = server;
  const edges = engineInfo?.name === 'link' ? server.edges() : [];
  const engine = edges[0]?.engine ?? engineInfo;
  if (engine === undefined) return '';
  const { name, package: from, version, origin } = engine;
  const text = name === 'ws' ? `ws ${version}` : `${name} (${origin} ${from} ${version})`;
  return edges.length === 0 ? text : `${text} in ${edges.length} worker${edges.length === 1 ? '' : 's'}`;
}

/** Workers, and edges elsewhere. Undefined for the usual case, which loads none of it. */
async function transportOf(config: Config): Promise<ReturnType<typeof Workers> | undefined> {
  const { workers: count, link, engine } = config;
  if (count === '0' && link === undefined) return undefined;
  const { workers, readAddress } = await import('../link/index.js');
  return refuseEarly(() =>
    workers({
      count: count === 'auto' ? 'auto' : Number(count),
      engine,
      at: link === undefined ? [] : [readAddress(link)],
      security: linkSecurity(config),
    }),
  );
}

/** Appends JSON lines; what cannot be written is the log's to tell. */
function auditTrail(path: string, err: Lines): (line: AuditLine) => void {
  let out: { write(text: string): unknown };
  try {
    out = path === '-' ? err : pino.destination({ dest: path, append: true, sync: true, mkdir: true });
  } catch (error) {
    throw new CommandError(`cannot write --audit ${path}: ${(error as Error).message}`);
  }
  return (line) => void out.write(`${JSON.stringify(line)}\n`);
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
    if (error instanceof CommandError) throw error;
    throw new CommandError((error as Error).message);
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

/** Why the server stops: a signal, or an error. A second signal ends the process at once. */
class Stop {
  /** Undefined: somebody asked for it. */
  readonly asked: Promise<Error | undefined>;
  #stop: (why: Error | undefined) => void = () => undefined;

  constructor() {
    this.asked = new Promise((resolve) => (this.#stop = resolve));
    let signals = 0;
    // SIGHUP: the terminal is gone.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (signal !== 'SIGHUP' && ++signals > 1) process.exit(1);
        this.#stop(undefined);
      });
    }
  }

  failed(error: Error): void {
    this.#stop(error);
  }
}
