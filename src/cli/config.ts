/**
 * Every setting of `roomwire serve`, as one schema: for the config file, the flags and the environment
 * (settings.ts makes those of it), for `--help`, for `--check-config` and for docs/config.md.
 */
import * as v from 'valibot';
import { defaultLimits, type Limits } from '../protocol/limits.js';
import { defaultAdmission } from '../server/gate/doorkeeper.js';
import { defaultLive } from '../server/live/places.js';

export const LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;

/** A setting with its default and what it does. */
function set<S extends v.GenericSchema>(schema: S, preset: v.InferInput<S>, help: string) {
  return v.optional(v.pipe(schema, v.description(help)), preset as never);
}
/** One that is not there unless it is given. */
function unset<S extends v.GenericSchema>(schema: S, help: string) {
  return v.optional(v.pipe(schema, v.description(help)));
}

/** A blank or a line break that a file or a shell left at an end is part of no value, and would be compared with it. */
const Text = v.pipe(
  v.string(),
  v.minLength(1),
  v.regex(/^[^\s\p{C}]([^\p{C}]*[^\s\p{C}])?$/u, 'has blanks at an end, or control characters'),
);
const Flag = v.boolean();
const List = v.array(Text);
const Count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const Wait = v.pipe(Count, v.minValue(1));
const Pause = v.pipe(Count, v.maxValue(600_000));
const Port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));
const Rate = v.pipe(v.number(), v.gtValue(0));
const Rates = v.record(Text, Rate);
const Grants = v.array(v.string());
const Granted = v.optional(Grants);
const Events = v.record(Text, v.picklist(['server', 'subscribers']));

const limitEntries = Object.fromEntries(
  Object.entries(defaultLimits).map(([name, preset]) => [name, set(Count, preset, 'see PROTOCOL.md, Limits')]),
) as unknown as Record<keyof Limits, v.OptionalSchema<typeof Count, number>>;

/** The config, whole. Parts that are objects of names take the file only. */
export const Config = v.strictObject({
  port: set(Port, 8420, 'port to listen on; 0 takes any free one'),
  host: set(Text, '127.0.0.1', 'address to listen on; any but loopback needs keys'),
  tls: v.optional(
    v.strictObject({
      cert: unset(Text, 'file with the certificate and those between it and a root, PEM: serves wss and https alone'),
      key: unset(Text, "file with that certificate's key, PEM, without a passphrase"),
    }),
    {},
  ),
  basePath: unset(
    Text,
    'path that a proxy serves this under and passes on as it came, such as /rt; /health is there without it, too',
  ),
  data: set(Text, './data', 'directory of the embedded store'),
  memory: set(Flag, false, 'keep everything in memory only'),
  durability: set(
    v.picklist(['process', 'power']),
    'process',
    'what a commit survives: process (kill -9) or power (also a power cut; slower)',
  ),
  trustClock: set(Flag, false, "start even if the machine's clock is more than a year ahead of the store"),
  engine: set(v.picklist(['auto', 'uws', 'ws']), 'auto', 'uws, ws, or auto: uws where it loads'),
  workers: set(
    v.pipe(Text, v.regex(/^(auto|0|[1-9]\d{0,2})$/, 'takes auto, or a number of processes')),
    '0',
    'processes that hold the connections, beside this one; auto: one for each core but one; see scale.md',
  ),
  outbox: unset(
    Text,
    'PostgreSQL database whose table roomwire_outbox is published from: postgres://…; needs the package pg; see python.md',
  ),
  link: unset(Text, 'address for edges of other machines to dial: HOST:PORT or unix:PATH; see scale.md'),
  linkSecret: unset(Text, 'secret of the link, 32 characters or more; keep it in the environment'),
  linkCert: unset(Text, "file with this end's certificate, PEM, in place of a secret"),
  linkKey: unset(Text, "file with that certificate's key, PEM"),
  linkCa: unset(Text, 'file with the certificate that signs those of the other end, PEM'),
  insecureLink: set(Flag, false, 'let the link be plain TCP beyond this machine, on a trusted network'),
  cluster: unset(Text, 'address of the log that the nodes of a cluster share: postgres://… or nats://…; see scale.md'),
  clusterSecret: unset(
    Text,
    'secret of the cluster, 32 characters or more, the same at all nodes; keep it in the environment',
  ),
  advertise: unset(Text, 'HOST:PORT at which the other nodes reach this one while it is the hub'),
  node: unset(Text, 'what the other nodes call this one (default: what it advertises)'),
  httpIdleMs: unset(
    v.pipe(Wait, v.maxValue(3_600_000)),
    'ms that an idle HTTP connection stays open; 10,000 unless set; needs the engine ws',
  ),
  page: set(Flag, true, 'serve the page at /'),
  metrics: set(
    v.picklist(['key', 'open', 'off']),
    'key',
    'who may read /metrics: key (an API key; guests too), open (everyone) or off (nobody)',
  ),
  logLevel: set(v.picklist(LEVELS), 'warn', 'what to log on stderr, as JSON lines'),
  audit: unset(Text, 'file to append the audit trail to, as JSON lines; - for stderr'),
  jwtSecret: unset(Text, 'shared secret of HS256 tokens, 32 bytes or more; keep it in the environment'),
  jwtPublicKey: unset(Text, 'file with the public key of tokens, PEM'),
  jwksUrl: unset(Text, "address of the issuer's key set"),
  jwtAlgorithms: unset(List, 'accepted algorithms; default: those that fit the key'),
  jwtIssuer: unset(Text, 'issuer that tokens must name'),
  jwtAudience: unset(Text, 'audience that tokens must name'),
  apiKeys: set(
    List,
    [],
    'HTTP keys of backends, as name=key or key alone, 16 characters or more; keep them in the environment',
  ),
  origins: unset(List, 'web origins whose pages may connect and use HTTP; default: any may connect with a token'),
  trustedProxies: set(List, [], 'addresses and networks of proxies whose X-Forwarded-For is trusted'),
  admission: v.optional(
    v.strictObject({
      connections: set(
        Count,
        defaultAdmission.connections,
        'open connections in total; 0: no limit, as for every admission setting',
      ),
      connectionsPerUser: set(Count, defaultAdmission.connectionsPerUser, 'open connections per user'),
      sessions: set(Count, defaultAdmission.sessions, 'sessions in total, connected or not'),
      waitingSessionsPerUser: set(
        Count,
        defaultAdmission.waitingSessionsPerUser,
        'sessions per user that wait for a reconnect',
      ),
      connectionsPerAddress: set(Count, defaultAdmission.connectionsPerAddress, 'open connections per address'),
      upgradesPerSecond: set(Count, defaultAdmission.upgradesPerSecond, 'new connections per second in total'),
      upgradesPerSecondPerAddress: set(
        Count,
        defaultAdmission.upgradesPerSecondPerAddress,
        'new connections per second from one address',
      ),
      tokenChecks: set(
        v.pipe(Count, v.minValue(1)),
        defaultAdmission.tokenChecks,
        'tokens checked at once; others wait',
      ),
      tokenChecksPerSecond: set(Count, defaultAdmission.tokenChecksPerSecond, 'tokens checked per second in total'),
      badTokensPerSecondPerAddress: set(
        Count,
        defaultAdmission.badTokensPerSecondPerAddress,
        'bad tokens per second from one address before it has to wait',
      ),
      requestsPerSecondPerAddress: set(
        Count,
        defaultAdmission.requestsPerSecondPerAddress,
        'HTTP requests per second from one address, not counting those with an API key',
      ),
    }),
    {},
  ),
  live: v.optional(
    v.strictObject({
      readers: set(
        Count,
        defaultLive.readers,
        'readers of topics over HTTP (live=sse, live=poll) in total; 0: no limit',
      ),
      readersPerUser: set(
        Count,
        defaultLive.readersPerUser,
        'readers per user, not counting those with an API key; 0: no limit',
      ),
      readersPerAddress: set(
        Count,
        defaultLive.readersPerAddress,
        'readers per address, not counting those with an API key; 0: no limit',
      ),
      maxMs: set(
        v.pipe(Wait, v.maxValue(86_400_000)),
        defaultLive.maxMs,
        'ms until a live=sse answer ends; the client comes back, and is asked for its rights again',
      ),
    }),
    {},
  ),
  limits: v.optional(v.strictObject(limitEntries), {}),
  rooms: v.optional(
    v.strictObject({
      membership: set(
        v.picklist(['one', 'one-per-user', 'many']),
        'many',
        'one: joining a room leaves the previous one in the same step; one-per-user: on all devices',
      ),
      leaveOverview: set(Flag, true, 'joining a room leaves the overviews'),
      memberTtl: set(Count, 0, "ms that a member stays after the user's last session ended"),
      hostGrace: set(Count, 0, 'ms after which an absent host loses the role, while still a member'),
    }),
    {},
  ),
  rates: v.optional(
    v.strictObject({
      calls: set(Rates, {}, 'per second and session, by call or prefix*'),
      publishes: set(Rates, {}, 'per second and session, by topic pattern'),
      joins: set(Rates, {}, 'per second and session, by topic pattern'),
    }),
    {},
  ),
  topics: set(
    v.record(
      Text,
      v.strictObject({ subscribe: v.optional(v.picklist(['everyone', 'own', 'by-call'])), events: Events }),
    ),
    {},
    'plain topics by pattern; for each event, who may publish it: server or subscribers; subscribe: everyone (every signed-in user, until a policy says otherwise), own (the user it names) or by-call (whom the backend puts there)',
  ),
  policy: v.optional(
    v.strictObject({
      topics: set(
        v.record(
          Text,
          v.strictObject({
            see: Granted,
            create: Granted,
            join: Granted,
            publish: v.optional(v.record(Text, Grants)),
            edit: Granted,
            lock: Granted,
            present: Granted,
            administer: Granted,
          }),
        ),
        {},
        'who may do what, by topic pattern, as lists of grants; see policy.md',
      ),
      calls: set(v.record(Text, Grants), {}, 'who may make which call, by name or prefix*; see policy.md'),
    }),
    {},
  ),
  stop: v.optional(
    v.strictObject({
      unreadyMs: set(
        Pause,
        0,
        'ms at the start of a stop while /health/ready answers 503 and all else is served, for a balancer to notice',
      ),
      drainMs: set(Pause, 5_000, 'most ms that a stop waits for calls and HTTP requests in progress'),
    }),
    {},
  ),
  hooks: v.optional(
    v.strictObject({
      url: unset(Text, 'address of the backend; https, or http on this machine; see hooks.md'),
      secret: unset(Text, 'secret that signs the requests, 32 characters or more; keep it in the environment'),
      events: set(
        v.array(v.picklist(['connect', 'join', 'leave'])),
        [],
        'events sent to the backend: questions (connect) and notices (join, leave)',
      ),
      timeoutMs: set(Wait, 2_000, 'ms per attempt'),
      callTimeoutMs: set(Wait, 8_000, 'ms per attempt of a call'),
      retries: set(Count, 2, 'retries after the first attempt'),
      cacheMs: set(Count, 5_000, "ms that an answer to a policy's question is cached"),
      whenDown: set(
        v.picklist(['refuse', 'allow']),
        'refuse',
        'result of connect and authorize while the backend is down',
      ),
      allowHttp: set(Flag, false, 'allow http to another machine, on a trusted network'),
    }),
    {},
  ),
  proxy: set(List, [], 'calls that the hooks backend answers'),
});
export type Config = v.InferOutput<typeof Config>;
