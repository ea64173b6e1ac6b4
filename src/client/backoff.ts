/** What to do after a close, and how long to wait: the code's class decides (PROTOCOL.md, close codes). */

/** The classes. A code of any other is as good as a lost connection. */
export const REFUSE = 40;
export const TOKEN = 41;
export const BACKOFF = 42;
export const AT_ONCE = 43;

export function classOf(code: number): number {
  return Math.floor(code / 100);
}

interface Bounds {
  readonly firstMs: number;
  readonly longestMs: number;
  readonly jitter: () => number;
}
interface Retry {
  /** 1 for the first attempt after a connection that held. */
  readonly attempt: number;
  readonly code?: number;
  /** From GOAWAY: the server spreads its clients over this time. */
  readonly retryAfterMs?: number;
}

/** Full jitter: anything from 0 to a bound that doubles, so that a crowd comes back spread out. */
export function retryDelay(
  { firstMs, longestMs, jitter }: Bounds,
  { attempt, code = 0, retryAfterMs = 0 }: Retry,
): number {
  const kind = classOf(code);
  if (attempt === 1 && (kind === TOKEN || kind === AT_ONCE)) return 0;
  if (attempt === 1 && retryAfterMs > 0) return jitter() * retryAfterMs;
  // A lost connection is often back at once; a server that says "backoff" needs the time.
  const doublings = kind === BACKOFF ? attempt : attempt - 1;
  return jitter() * Math.min(longestMs, firstMs * 2 ** doublings);
}
