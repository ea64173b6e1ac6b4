/** A write over HTTP that a lock guards: it sets the room's frame count to the operation's number, so that it is known by it. */
import { errors } from '../../src/protocol/codes.js';

export interface GuardedWrite {
  readonly port: number;
  readonly roomId: string;
  readonly op: number;
  readonly token: number | undefined;
  readonly target: string;
  readonly authorization?: string;
  readonly timeoutMs: number;
}

/** Rejects with the code of a refusal; with that of a lost connection where nobody can say what became of it. */
export async function writeGuarded({
  port,
  roomId,
  op,
  token,
  target,
  authorization,
  timeoutMs,
}: GuardedWrite): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/api/rooms/${roomId}`, {
    method: 'PATCH',
    headers: {
      'content-type': 'application/json',
      ...(authorization === undefined ? {} : { authorization }),
      ...(token === undefined ? {} : { 'lock-token': `${token}`, 'lock-target': target }),
    },
    body: JSON.stringify({ frameCount: op }),
    signal: AbortSignal.timeout(timeoutMs),
  }).catch(() => undefined);
  const body = (await response?.json().catch(() => undefined)) as { readonly code?: number } | undefined;
  if (response?.ok === true) return;
  const code = body?.code ?? errors.disconnected;
  throw Object.assign(new Error(`the write ${op} was refused with ${code}`), { code });
}
