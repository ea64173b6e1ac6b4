/** `roomwire edge`: carries connections for a hub elsewhere. It is the same for every application and keeps nothing. */
import { hostname } from 'node:os';
import pino from 'pino';
import { LEVELS } from './config.js';
import { choiceFlag, command, CommandError, numberFlag, UsageError } from './args.js';
import { Lines } from './lines.js';
import { linkSecurity } from './link-flags.js';
import { reloadOnSignal, tlsOf } from './tls.js';

const SPREAD_MS = 2_000;
const LEAVE_MS = 10_000;

export const edge = command({
  name: 'edge',
  usage: '--hub HOST:PORT[,…] [options]',
  summary: 'Carries connections for a hub on another core or machine: `roomwire serve --link`.',
  details:
    'It listens at once, answers /health/live itself, and serves as soon as a hub takes it.\n' +
    'Ctrl-C or SIGTERM sends its clients to other edges and stops. SIGUSR2 reads the certificate anew.',
  takes: [0, 0],
  flags: {
    hub: {
      type: 'string',
      value: 'A,B',
      env: 'ROOMWIRE_HUB',
      help: 'where hubs wait for edges: HOST:PORT or unix:PATH',
    },
    port: {
      type: 'string',
      value: 'N',
      env: 'ROOMWIRE_PORT',
      default: '8420',
      help: 'port to listen on; 0 takes any free one',
    },
    host: { type: 'string', value: 'TEXT', env: 'ROOMWIRE_HOST', default: '127.0.0.1', help: 'address to listen on' },
    name: {
      type: 'string',
      value: 'TEXT',
      env: 'ROOMWIRE_EDGE_NAME',
      help: 'what the hub calls it (default: the host name)',
    },
    engine: {
      type: 'string',
      value: 'NAME',
      env: 'ROOMWIRE_ENGINE',
      default: 'auto',
      help: 'uws, ws, or auto: uws where it loads',
    },
    shared: {
      type: 'boolean',
      env: 'ROOMWIRE_SHARED',
      help: 'let other edges of this machine listen on the port, too (Linux, uws)',
    },
    'tls-cert': {
      type: 'string',
      value: 'FILE',
      env: 'ROOMWIRE_TLS_CERT',
      help: 'certificate for clients with those between it and a root, PEM: serves wss and https alone',
    },
    'tls-key': { type: 'string', value: 'FILE', env: 'ROOMWIRE_TLS_KEY', help: "that certificate's key, PEM" },
    'link-secret': {
      type: 'string',
      value: 'TEXT',
      env: 'ROOMWIRE_LINK_SECRET',
      help: 'secret of the link; keep it in the environment',
    },
    'link-cert': {
      type: 'string',
      value: 'FILE',
      env: 'ROOMWIRE_LINK_CERT',
      help: "this end's certificate, PEM, in place of a secret",
    },
    'link-key': { type: 'string', value: 'FILE', env: 'ROOMWIRE_LINK_KEY', help: "that certificate's key, PEM" },
    'link-ca': {
      type: 'string',
      value: 'FILE',
      env: 'ROOMWIRE_LINK_CA',
      help: "the certificate that signs the hub's, PEM",
    },
    'insecure-link': {
      type: 'boolean',
      env: 'ROOMWIRE_INSECURE_LINK',
      help: 'let the link be plain TCP beyond this machine',
    },
    'check-config': { type: 'boolean', help: 'check all settings, say what is wrong, and do not start' },
    'log-level': {
      type: 'string',
      value: 'NAME',
      env: 'ROOMWIRE_LOG_LEVEL',
      default: 'warn',
      help: 'what to log on stderr, as JSON lines',
    },
  },
  async run(flags) {
    const { hub: hubs, host = '127.0.0.1', name = shortName(), shared = false } = flags;
    if (hubs === undefined) throw new UsageError('--hub says where the hub is. See roomwire edge --help');
    const engine = choiceFlag('engine', flags.engine, ['auto', 'uws', 'ws'] as const);
    const level = choiceFlag('log-level', flags['log-level'], LEVELS);
    if (!/^[\w.-]{1,64}$/.test(name)) throw new UsageError('--name: takes 64 letters, digits, dots and dashes at most');
    const port = numberFlag('port', flags.port, 0, 65_535);
    const security = linkSecurity({
      linkSecret: flags['link-secret'],
      linkCert: flags['link-cert'],
      linkKey: flags['link-key'],
      linkCa: flags['link-ca'],
      insecureLink: flags['insecure-link'],
    });
    const { addressText, checkSecurity, dial, readAddress } = await import('../link/address.js');
    const { runEdge } = await import('../link/edge.js');
    const { checkEngine } = await import('../server/transport/choose.js');
    const tls = asCommand(() => tlsOf({ cert: flags['tls-cert'], key: flags['tls-key'] }));
    const addresses = asCommand(() => {
      const read = hubs.split(',').map((text) => readAddress(text.trim()));
      checkSecurity(read, security);
      checkEngine(engine);
      if (shared && (port === 0 || engine === 'ws')) throw new TypeError('--shared needs a port and the engine uws');
      return read;
    });
    if (flags['check-config']) {
      process.stdout.write('the settings are right\n');
      return;
    }
    const [out, err] = [new Lines(1), new Lines(2)];
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
    const log = pino({ level, base: { edge: name } }, err);
    const running = runEdge({
      hubs: addresses.map((address) => ({ text: addressText(address), dial: () => dial(address, security) })),
      ...{ name, host, port, engine, shared, tls, log },
    });
    reloadOnSignal(tls, () => running.reloadTls(), err);
    let signals = 0;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (signal !== 'SIGHUP' && ++signals > 1) process.exit(1);
        err.write('stopping\n');
        void running.leave(SPREAD_MS, LEAVE_MS);
      });
    }
    try {
      const bound = await running.listening;
      out.write(`roomwire edge ${name} on ${host}:${bound}, for the hub at ${hubs}\n`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new CommandError(code === 'EADDRINUSE' ? `port ${port} is in use: choose one with --port` : message);
    }
    await running.ended;
  },
});

/** A mistake of the user's: one line. */
function asCommand<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}

function shortName(): string {
  return (hostname().split('.')[0] ?? '').replace(/[^\w.-]/g, '-').slice(0, 64) || 'edge';
}
