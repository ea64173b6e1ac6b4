/** What `roomwire serve` serves, whatever it runs on: the contract, the plugins, the rules and the keys that the config says. */
import { readFileSync } from 'node:fs';
import { hooks } from '../hooks/hooks.js';
import { outbox } from '../hooks/outbox.js';
import { http } from '../http/http.js';
import { policy } from '../policy/policy.js';
import { rooms, type RoomsApi } from '../rooms/rooms.js';
import type { Plugin, TopicPolicy } from '../server/api.js';
import { CommandError } from './args.js';
import type { Config } from './config.js';
import { contractWith } from './default-contract.js';

/** `roomsNow`: the running server's. */
export function servedOptions(config: Config, roomsNow: () => RoomsApi) {
  const { origins, page, metrics } = config;
  const presenterOnly: TopicPolicy = {
    publish: { frame_update: ({ session, params }) => roomsNow().presenterOf(params['id'] ?? '') === session.sid },
  };
  return {
    contract: contractWith(config.topics, config.proxy),
    plugins: [rooms(config.rooms), ...rulers(config), http({ page, metrics, origins: origins ?? [] })] as const,
    basePath: config.basePath,
    live: config.live,
    limits: config.limits,
    rates: config.rates,
    admission: { ...config.admission, trustedProxies: config.trustedProxies, origins },
    policy: { 'room:{id}': presenterOnly },
    auth: {
      secret: config.jwtSecret,
      publicKey: config.jwtPublicKey === undefined ? undefined : readKey(config.jwtPublicKey),
      jwksUrl: config.jwksUrl,
      algorithms: config.jwtAlgorithms,
      issuer: config.jwtIssuer,
      audience: config.jwtAudience,
      apiKeys: config.apiKeys,
    },
  };
}

export function roomsOf(server: { readonly plugins: object }): RoomsApi {
  return (server.plugins as { readonly rooms: RoomsApi }).rooms;
}

/** The backend and the policy, which may ask it. Throws a TypeError that says what is missing. */
function rulers({ hooks: backend, proxy, policy: grants, outbox: database }: Config): Plugin[] {
  const { url, secret } = backend;
  const rows = database === undefined ? [] : [outbox({ url: database })];
  if (url === undefined) {
    if (proxy.length > 0 || backend.events.length > 0) {
      throw new TypeError('hooks.url is not set: the calls of proxy and the events of hooks have nowhere to go');
    }
    return [policy(grants), ...rows];
  }
  if (secret === undefined) throw new TypeError('hooks.url needs a secret: set ROOMWIRE_HOOKS_SECRET');
  return [hooks({ ...backend, url, secret, calls: proxy }), policy(grants), ...rows];
}

function readKey(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read --jwt-public-key ${path}: ${(error as Error).message}`);
  }
}

/** What the options themselves forbid is the user's to mend: one line, no stack. */
export function refuseEarly<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError((error as Error).message);
  }
}
