/** Asks the application for a token: not for ever, and never taking an endpoint that is away for a "no". */
import { RoomwireError } from '../protocol/errors.js';
import { inTime } from './in-time.js';
import type { Settings } from './settings.js';

/** Rejects with `unauthenticated` when nobody is signed in, `bad_request` for what is no token, and whatever `token()` threw. */
export async function askToken({ token: source, clock }: Settings): Promise<string | undefined> {
  if (typeof source !== 'function') return source;
  const token: unknown = await inTime(clock, 'token()', source);
  if (token === null) throw new RoomwireError('unauthenticated', 'signed out');
  if (token === undefined || typeof token === 'string') return token;
  const message = 'must be a string';
  const details = { issues: [{ path: 'token', message }] };
  throw new RoomwireError('bad_request', `token: ${message}`, { details });
}
