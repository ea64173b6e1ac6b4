/** `roomwire serve`: the server as a program, with rooms, HTTP and the page. */
import pino from 'pino';
import type { RoomsApi } from '../rooms/rooms.js';
import type { AuditLine, EdgeReport, EngineInfo } from '../server/api.js';
import { createServer } from '../server/server.js';
import { lmdbStore } from '../store/lmdb.js';
import { memoryStore } from '../store/memory.js';
import { StoreError } from '../store/store.js';
import { command, CommandError } from './args.js';
import { Lines } from './lines.js';
import type { Config } from './config.js';
import { requireSharedKey } from './environment.js';
import { linkSecurity } from './link-flags.js';
import type { workers as Workers } from '../link/workers.js';
import { clusterOf, endAs, isBroken } from './node.js';
import { requireDirectory, requireFile } from './places.js';
import { serveTest } from './serve-test.js';
import { refuseEarly, roomsOf, servedOptions } from './served.js';
import { readSettings, settingFlags } from './settings.js';
import { DEPOSED, GAVE_WAY, NODE_ENV, supervise } from './supervise.js';
import { reloadOnSignal, tlsOf } from './tls.js';
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
    'Ctrl-C or SIGTERM says goodbye to clients, writes what is open and stops. SIGUSR2 reads the certificate anew.',
  takes: [0, 0],
  flags: {
    config: { type: 'string', value: 'FILE', env: 'ROOMWIRE_CONFIG', help: 'JSON file with these settings and more' },
    'check-config': { type: 'boolean', help: 'check all settings, say what is wrong, and do not start' },
    test: { type: 'boolean', help: 'for tests: in memory, on any free port; steps on stdin, see docs/testing.md' },
    ...settingFlags(),
  },
  async run(flags) {
    const config = readSettings(flags, process.env, flags.config);
    if (flags.test) return serveTest(config);
    requireSharedKey(process.env, config.apiKeys);
    const [out, err] = [new Lines(1), new Lines(2)];
    // What Node itself writes there, such as a warning.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
    const log = pino({ level: config.logLevel, redact: SECRETS }, err);
    const stop = new Stop();
    let isGivingWay = false;
    const { data: path, durability, memory } = config;
    let trail: ((line: AuditLine) => void) | undefined;
    const store = memory ? memoryStore() : lmdbStore({ path, durability });
    const isNode = config.cluster !== undefined;
    if (isNode && !flags['check-config'] && process.env[NODE_ENV] === undefined) {
      process.exitCode = await supervise(err);
      process.exit();
    }
    const transport = isNode ? undefined : await transportOf(config);
    const cluster = await clusterOf(config);
    const tls = refuseEarly(() => tlsOf(config.tls));
    const server = refuseEarly(() =>
      createServer({
        ...servedOptions(config, (): RoomsApi => roomsOf(server)),
        store,
        engine: config.engine,
        transport,
        cluster,
        tls,
        httpIdleMs: config.httpIdleMs,
        log,
        trustClock: config.trustClock,
        deposed: (error) => {
          // Another node may be the hub: nothing is to be said or done any more.
          if (isNode) endAs(DEPOSED, error.message);
          stop.failed(error);
        },
        asked: (node) => {
          err.write(`${node} cannot reach this hub: it gives way\n`);
          isGivingWay = true;
          stop.now();
        },
        audit: config.audit === undefined ? undefined : (line) => trail?.(line),
      }),
    );
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
    if (isNode) process.on('disconnect', () => process.exit(DEPOSED));
    // Also while it stands by for its turn as the hub.
    reloadOnSignal(tls, () => server.reloadTls(), err);
    const listening = server.listen({ port, host });
    listening.catch(() => undefined);
    try {
      const isStopped = await Promise.race([listening.then(() => false), stop.asked.then(() => isNode)]);
      if (isStopped) return await server.close({ spreadMs: SPREAD_MS });
      ({ url } = await listening);
    } catch (error) {
      if (isNode && error instanceof StoreError && isBroken(error)) endAs(DEPOSED, error.message);
      throw startError(error, port, host);
    }
    const kept = memory ? 'memory (nothing is kept)' : `lmdb in ${path} (durability ${durability})`;
    const where = isNode ? `a cluster, as its hub; here ${kept}` : kept;
    out.write(`roomwire ${version()} on ${url}/  engine ${engineText(server)}, store ${where}\n`);
    const open = openTopics(config);
    if (open.length > 0) out.write(`open to every signed-in user until a policy names them: ${open.join(', ')}\n`);
    const why = await stop.asked;
    err.write('stopping\n');
    const { unreadyMs, drainMs } = config.stop;
    // One whose store is gone has nothing to wait for: others may serve already.
    await server.close({ spreadMs: SPREAD_MS, ...(why === undefined ? { unreadyMs, drainMs } : { drainMs: 0 }) });
    if (why !== undefined) throw new CommandError(why.message);
    if (isGivingWay) process.exit(GAVE_WAY);
  },
});

/** The plain topics that nothing but a valid token guards. */
function openTopics({ topics, policy: { topics: granted } }: Config): string[] {
  return Object.entries(topics)
    .filter(([pattern, { subscribe = 'everyone' }]) => subscribe === 'everyone' && granted[pattern]?.join === undefined)
    .map(([pattern]) => pattern);
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

  now(): void {
    this.#stop(undefined);
  }

  failed(error: Error): void {
    this.#stop(error);
  }
}
