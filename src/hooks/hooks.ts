/**
 * The hooks plugin: a backend in any language, on one signed HTTP address (docs/hooks.md). It lets users
 * in, answers the policy's questions and the calls that the config sends it, and hears who joins and
 * leaves. Written on the server's public API alone.
 */
import { LONGEST_MS, oneOf, wholeNumber } from '../protocol/setting.js';
import type { RoomsApi } from '../rooms/rooms.js';
import type { Plugin, PluginHost } from '../server/api.js';
import { isLoopback } from '../server/server.js';
import { Authorizer } from './authorize.js';
import { Backend, type HookCounts, type HookType } from './backend.js';
import { Greeter } from './connect.js';
import { Notices } from './notices.js';
import { proxyCalls } from './proxy.js';
import type { Question } from './question.js';

export type { HookCounts, HookType } from './backend.js';
export type { Question } from './question.js';

export interface HooksOptions {
  /** https; http for this machine, and elsewhere only with `allowHttp`. */
  readonly url: string;
  /** Signs the requests: 32 characters or more. */
  readonly secret: string;
  /** What is asked (`connect`) and told (`join`, `leave`). Default: none. */
  readonly events?: readonly ('connect' | 'join' | 'leave')[] | undefined;
  /** Calls of the contract that the backend answers. Default: none. */
  readonly calls?: readonly string[] | undefined;
  /** Ms for one try. Default 2,000. */
  readonly timeoutMs?: number | undefined;
  /** The same for a call. Default 8,000: a client waits 10 s unless it says otherwise. */
  readonly callTimeoutMs?: number | undefined;
  /** Tries after the first. Default 2. */
  readonly retries?: number | undefined;
  /** Ms an answer to `authorize` is remembered. Default 5,000. */
  readonly cacheMs?: number | undefined;
  /** What `connect` and `authorize` come to while the backend is down. Default `refuse`, with an error that says to retry. */
  readonly whenDown?: 'refuse' | 'allow' | undefined;
  /** For a backend on a network that is trusted: without TLS what it answers can be forged on the way. */
  readonly allowHttp?: boolean | undefined;
  /** Requests under way at once. Default 64. */
  readonly atOnce?: number | undefined;
  /** Requests that wait for their turn; more are refused with too_many. Default 1,000. */
  readonly waiting?: number | undefined;
  /** Notices (`join`, `leave`) that wait for a backend that is away; more are lost, and counted. Default 10,000. */
  readonly notices?: number | undefined;
}

export interface HooksStats {
  readonly counts: Readonly<Record<HookType, Readonly<HookCounts>>>;
  /** No try succeeded lately: requests fail at once. */
  readonly down: boolean;
  readonly underWay: number;
  readonly waiting: number;
  /** Questions answered from memory, and by the stance `allow`. */
  readonly remembered: number;
  readonly allowedWhileDown: number;
  readonly notices: { readonly sent: number; readonly waiting: number; readonly lost: number };
}

export interface HooksApi {
  /** Asks the backend; at once where the answer is remembered. Throws, or rejects with, a RoomwireError: forbidden with the backend's reason, backend_unavailable, too_many, handler_failed. */
  readonly authorize: (question: Question) => boolean | Promise<boolean>;
  stats(): HooksStats;
}

/** Put it after rooms(). Throws a TypeError that says what to set when the options cannot work. */
export function hooks(options: HooksOptions): Plugin<'hooks', HooksApi> {
  const url = addressOf(options);
  if (options.secret.length < 32) {
    throw new TypeError('hooks.secret: use at least 32 characters, such as `openssl rand -hex 32`');
  }
  checkNumbers(options);
  return { name: 'hooks', setup: (server) => install(server, url, options) };
}

function checkNumbers(options: HooksOptions): void {
  for (const name of ['timeoutMs', 'callTimeoutMs'] as const)
    wholeNumber(`hooks.${name}`, options[name] ?? 1, 1, LONGEST_MS);
  for (const name of ['atOnce', 'waiting', 'notices'] as const) {
    wholeNumber(`hooks.${name}`, options[name] ?? 1, name === 'atOnce' ? 1 : 0);
  }
  for (const name of ['retries', 'cacheMs'] as const) wholeNumber(`hooks.${name}`, options[name] ?? 0);
  oneOf('hooks.whenDown', options.whenDown ?? 'refuse', ['refuse', 'allow']);
  for (const event of options.events ?? []) oneOf('hooks.events', event, ['connect', 'join', 'leave']);
}

function install(server: PluginHost, url: URL, options: HooksOptions): HooksApi {
  const { events = [], cacheMs = 5_000, whenDown = 'refuse' } = options;
  const backend = new Backend(
    {
      url,
      secret: options.secret,
      timeoutMs: options.timeoutMs ?? 2_000,
      retries: options.retries ?? 2,
      atOnce: options.atOnce ?? 64,
      waiting: options.waiting ?? 1_000,
    },
    server,
  );
  const answering = { cacheMs, whenDown, now: () => server.now() };
  const authorizer = new Authorizer(backend, answering);
  const notices = new Notices(server, backend, options.notices ?? 10_000);
  if (events.includes('connect')) {
    const greeter = new Greeter(backend, answering);
    server.onArrival((arrival) => greeter.admit(arrival));
  }
  const told = events.filter((event) => event !== 'connect');
  if (told.length > 0) {
    const rooms = server.plugins['rooms'] as RoomsApi | undefined;
    if (rooms === undefined) throw new TypeError('hooks: join and leave are those of rooms: put hooks() after rooms()');
    rooms.onMembership((tx, change) => {
      if (told.includes(change.kind)) notices.add(tx, change);
    });
  }
  server.onRestore(() => notices.restore());
  proxyCalls(server, backend, options.calls ?? [], options.callTimeoutMs ?? 8_000);
  server.onClose(() => {
    notices.stop();
    backend.close();
  });
  return {
    authorize: (question) => authorizer.authorize(question),
    stats: () => ({
      counts: structuredClone(backend.counts),
      down: backend.isDown,
      underWay: backend.underWay,
      waiting: backend.waiting,
      remembered: authorizer.remembered,
      allowedWhileDown: authorizer.allowedWhileDown,
      notices: { sent: notices.sent, waiting: notices.waiting, lost: notices.lost },
    }),
  };
}

function addressOf({ url, allowHttp = false }: HooksOptions): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !['https:', 'http:'].includes(parsed.protocol)) {
    throw new TypeError('hooks.url: not an http or https address');
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw new TypeError('hooks.url: no user or password: requests are signed');
  }
  const isLocal = isLoopback(parsed.hostname.replace(/^\[(.*)\]$/, '$1'));
  if (parsed.protocol === 'http:' && !isLocal && !allowHttp) {
    throw new TypeError('hooks.url: use https (http is for this machine; for a trusted network set hooks.allowHttp)');
  }
  return parsed;
}
