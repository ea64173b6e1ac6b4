/** The options of `connect` with every default filled in. */
import { clockOf, type Clock } from './clock.js';
import { newId } from './new-id.js';
import type { ConnectOptions, Timers, TokenSource } from './types.js';

export interface Settings {
  readonly url: string;
  /** The REST API's base, without a final slash. */
  readonly restUrl: string;
  readonly token: TokenSource | undefined;
  readonly grace: number | undefined;
  readonly instance: string;
  readonly WebSocket: new (url: string, protocols: string[]) => object;
  readonly fetch: typeof fetch;
  readonly firstMs: number;
  readonly longestMs: number;
  readonly callMs: number;
  readonly pongMs: number;
  readonly agent: string;
  readonly jitter: () => number;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

/** Tells a reconnect of this page load from a duplicated tab. */
const pageInstance = newId();

/** Throws a TypeError for a URL or an environment that can never work. */
export function settingsOf(address: string, options: ConnectOptions): Settings {
  const url = new URL(address, globalThis.location?.href);
  url.protocol = url.protocol.replace('http', 'ws');
  if (!/^wss?:$/.test(url.protocol)) throw new TypeError('not a ws: or wss: URL');
  const WebSocket = options.WebSocket ?? globalThis.WebSocket;
  if (!WebSocket) throw new TypeError('pass a WebSocket in options');
  const { token } = options;
  if (token !== undefined && typeof token !== 'string' && typeof token !== 'function') {
    throw new TypeError('token: must be a string or a function');
  }
  return {
    url: url.href,
    restUrl: (options.httpUrl ?? url.origin.replace('ws', 'http') + url.pathname).replace(/\/$/, ''),
    token,
    grace: options.grace,
    instance: options.instance ?? pageInstance,
    WebSocket,
    fetch: options.fetch ?? ((...request) => fetch(...request)),
    firstMs: options.backoff?.baseMs ?? 500,
    longestMs: options.backoff?.maxMs ?? 20_000,
    callMs: options.callTimeoutMs ?? 10_000,
    pongMs: options.pingTimeout ?? 10_000,
    agent: options.agent ?? 'roomwire-js',
    jitter: options.random ?? Math.random,
    clock: clockOf(options.timers ?? systemTimers),
    report: reporter(options.onError),
  };
}

const systemTimers: Timers = {
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (handle) => clearTimeout(handle as number),
  now: () => performance.now(),
  wall: () => Date.now(),
};

/** One that fails itself stops nothing either. */
function reporter(onError: ConnectOptions['onError'] = reportAnywhere): (error: unknown) => void {
  return (error) => {
    new Promise((resolve) => resolve(onError(error))).catch(reportAnywhere);
  };
}

function reportAnywhere(error: unknown): void {
  // eslint-disable-next-line no-console -- Node has no reportError, and silence would hide the failure
  (globalThis.reportError ?? console.error)(error);
}
