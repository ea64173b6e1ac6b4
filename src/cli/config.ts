/**
 * Every setting of `roomwire serve`, as one schema: for the config file, the flags and the environment
 * (settings.ts makes those of it), for `--help`, for `--check-config` and for docs/config.md.
 */
import * as v from 'valibot';
import { defaultLimits, type Limits } from '../protocol/limits.js';
import { defaultAdmission } from '../server/gate/doorkeeper.js';

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
  data: set(Text, './data', 'directory of the embedded store'),
  memory: set(Flag, false, 'keep everything in memory only'),
  durability: set(
    v.picklist(['process', 'power']),
    'process',
    'what a commit survives: process (kill -9) or power (also a power cut; slower)',
  ),
  trustClock: set(Flag, false, "start though the machine's clock is more than a year ahead of the store"),
  engine: set(v.picklist(['auto', 'uws', 'ws']), 'auto', 'uws, ws, or auto: uws where it loads'),
  httpIdleMs: unset(
    v.pipe(Wait, v.maxValue(3_600_000)),
    'ms an HTTP connection stays open without a request, 10,000 unless set; needs the engine ws',
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
  jwtAlgorithms: unset(List, 'algorithms taken; default: what fits the key'),
  jwtIssuer: unset(Text, 'issuer a token must name'),
  jwtAudience: unset(Text, 'audience a token must name'),
  apiKeys: set(
    List,
    [],
    'keys of backends for HTTP as name=key or bare, 16 characters or more; keep them in the environment',
  ),
  origins: unset(List, 'web origins whose pages may connect and use HTTP; default: any may connect with a token'),
  trustedProxies: set(List, [], 'addresses and networks of proxies whose X-Forwarded-For is believed'),
  admission: v.optional(
    v.strictObject({
      connections: set(
        Count,
        defaultAdmission.connections,
        'open connections in all; 0: no limit, as with all of these',
      ),
      connectionsPerUser: set(Count, defaultAdmission.connectionsPerUser, 'open connections of one user'),
      sessions: set(Count, defaultAdmission.sessions, 'sessions in all, with and without a connection'),
      waitingSessionsPerUser: set(
        Count,
        defaultAdmission.waitingSessionsPerUser,
        'sessions of one user that wait for their connection to come back',
      ),
      connectionsPerAddress: set(Count, defaultAdmission.connectionsPerAddress, 'open connections from one address'),
      upgradesPerSecond: set(Count, defaultAdmission.upgradesPerSecond, 'new connections a second in all'),
      upgradesPerSecondPerAddress: set(
        Count,
        defaultAdmission.upgradesPerSecondPerAddress,
        'new connections a second from one address',
      ),
      tokenChecks: set(
        v.pipe(Count, v.minValue(1)),
        defaultAdmission.tokenChecks,
        'tokens checked at once; others wait',
      ),
      tokenChecksPerSecond: set(Count, defaultAdmission.tokenChecksPerSecond, 'tokens checked a second in all'),
      badTokensPerSecondPerAddress: set(
        Count,
        defaultAdmission.badTokensPerSecondPerAddress,
        'bad tokens a second from one address until it has to wait',
      ),
      requestsPerSecondPerAddress: set(
        Count,
        defaultAdmission.requestsPerSecondPerAddress,
        'HTTP requests a second from one address, without those that bring an API key',
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
        'one: joining a room leaves the other in the same step; one-per-user: on all devices',
      ),
      leaveOverview: set(Flag, true, 'joining a room leaves the overviews'),
      memberTtl: set(Count, 0, "ms a member stays after the last of the user's sessions ended"),
      hostGrace: set(Count, 0, 'ms until the host moves on while its member stays'),
    }),
    {},
  ),
  rates: v.optional(
    v.strictObject({
      calls: set(Rates, {}, 'a second and session, by call or prefix*'),
      publishes: set(Rates, {}, 'a second and session, by topic pattern'),
      joins: set(Rates, {}, 'a second and session, by topic pattern'),
    }),
    {},
  ),
  topics: set(
    v.record(Text, v.strictObject({ events: Events })),
    {},
    'plain topics by pattern, each event with who may publish it: server or subscribers',
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
        'who may what by topic pattern, as lists of grants; see policy.md',
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
        'ms at a stop in which /health/ready says no and everything is served on, for a balancer to notice',
      ),
      drainMs: set(Pause, 5_000, 'ms at most that a stop waits for the answers of calls and HTTP requests under way'),
    }),
    {},
  ),
  hooks: v.optional(
    v.strictObject({
      url: unset(Text, 'address of the backend; https, or http on this machine; see hooks.md'),
      secret: unset(Text, 'secret its requests are signed with, 32 characters or more; keep it in the environment'),
      events: set(
        v.array(v.picklist(['connect', 'join', 'leave'])),
        [],
        'what it is asked (connect) and told (join, leave)',
      ),
      timeoutMs: set(Wait, 2_000, 'ms for one try'),
      callTimeoutMs: set(Wait, 8_000, 'ms for one try of a call'),
      retries: set(Count, 2, 'tries after the first'),
      cacheMs: set(Count, 5_000, "ms an answer to a policy's question is remembered"),
      whenDown: set(v.picklist(['refuse', 'allow']), 'refuse', 'what connect and authorize come to while it is down'),
      allowHttp: set(Flag, false, 'take http to another machine, on a network that is trusted'),
    }),
    {},
  ),
  proxy: set(List, [], 'calls that the backend of hooks answers'),
});
export type Config = v.InferOutput<typeof Config>;
