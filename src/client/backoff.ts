/** What to do after a close, and how long to wait: the code's class decides (PROTOCOL.md, close codes). */
export type Reaction = 'refuse' | 'token' | 'backoff' | 'at once';

export function reactionTo(code: number): Reaction {
  const hundred = Math.floor(code / 100);
  return hundred === 40 ? 'refuse' : hundred === 41 ? 'token' : hundred === 43 ? 'at once' : 'backoff';
}

interface Bounds {
  readonly baseMs: number;
  readonly maxMs: number;
  readonly random: () => number;
}
interface Retry {
  /** 1 for the first attempt after a connection that held. */
  readonly attempt: number;
  readonly code?: number;
  /** From GOAWAY: the server spreads its clients over this time. */
  readonly retryAfterMs?: number;
}

/** Full jitter: anything from 0 to a bound that doubles, so that a crowd comes back spread out. */
export function retryDelay({ baseMs, maxMs, random }: Bounds, { attempt, code = 0, retryAfterMs = 0 }: Retry): number {
  if (attempt === 1 && reactionTo(code) !== 'backoff') return 0;
  if (attempt === 1 && retryAfterMs > 0) return random() * retryAfterMs;
  // A lost connection is often back at once; a server that says "backoff" needs the time.
  const doublings = Math.floor(code / 100) === 42 ? attempt : attempt - 1;
  return random() * Math.min(maxMs, baseMs * 2 ** doublings);
}
