/**
 * One POST to the backend: signed, timed, bounded in what it reads. What comes back is an answer or a
 * BackendError that says what the trouble is.
 */
import { createHmac } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { requireCarriable } from '../protocol/validate.js';
import type { Timer } from '../server/api.js';
import { exchange, ExchangeError, type Exchanged } from '../server/server.js';

/** Bytes of an answer; more is not read. */
export const ANSWER_BYTES = 1024 * 1024;
/** The longest wait a backend may ask for with Retry-After, ms. */
const RETRY_AFTER_MS = 5_000;

/**
 * What a try that failed says of the backend. `down`: it is not reached, or what is before it says so.
 * `failed`: it is there and could not answer now; again may help. `wrong`: what it answers is no answer.
 */
export type Trouble = 'down' | 'failed' | 'wrong';

export class BackendError extends Error {
  override readonly name = 'BackendError';
  readonly trouble: Trouble;
  readonly retryAfterMs: number;
  constructor(
    trouble: Trouble,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterMs?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.trouble = trouble;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

export interface Answer {
  /** 200–299 or 400–499. */
  readonly status: number;
  readonly body: Buffer;
}

/** The answer's JSON, as frames can carry it; undefined for an empty body. Throws BackendError. */
export function parsed({ status, body }: Answer): unknown {
  if (body.length === 0) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw new BackendError('wrong', `answered ${status} with what is not JSON`, { cause: error });
  }
  try {
    requireCarriable(value, { name: 'body' });
  } catch (error) {
    throw new BackendError('wrong', `answered ${status}, but ${(error as Error).message}`, { cause: error });
  }
  return value;
}

/** `v1=` and the HMAC-SHA256, in hex, of `id.timestamp.body`. */
export function sign(secret: string, id: string, timestamp: number, body: string): string {
  return `v1=${createHmac('sha256', secret).update(`${id}.${timestamp}.`).update(body).digest('hex')}`;
}

export interface PostOptions {
  readonly id: string;
  readonly body: string;
  readonly timeoutMs: number;
}

export class Poster {
  readonly #url: URL;
  readonly #secret: string;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #after: (ms: number, fn: () => void) => Timer;

  constructor(url: URL, secret: string, atOnce: number, after: (ms: number, fn: () => void) => Timer) {
    this.#url = url;
    this.#secret = secret;
    const options = { keepAlive: true, maxSockets: atOnce };
    this.#agent = url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
    this.#after = after;
  }

  /** Rejects with BackendError for no answer, a redirect, and those that mean "later". */
  async post({ id, body, timeoutMs }: PostOptions): Promise<Answer> {
    // Anew for each try: a backend refuses an old one as a replay.
    const timestamp = Math.floor(Date.now() / 1000);
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      accept: 'application/json',
      'user-agent': 'roomwire',
      'roomwire-id': id,
      'roomwire-timestamp': String(timestamp),
      'roomwire-signature': sign(this.#secret, id, timestamp, body),
    };
    try {
      return read(
        await exchange({
          url: this.#url,
          method: 'POST',
          headers,
          body,
          agent: this.#agent,
          timeoutMs,
          maxBytes: ANSWER_BYTES,
          after: this.#after,
        }),
      );
    } catch (error) {
      if (!(error instanceof ExchangeError)) throw error;
      throw new BackendError(error.trouble === 'too_large' ? 'wrong' : 'down', error.message, { cause: error.cause });
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}

function read({ status, headers, body }: Exchanged): Answer {
  const isDown = status >= 502 && status <= 504;
  if (status >= 500 || status === 408 || status === 425 || status === 429) {
    const seconds = Number(headers['retry-after'] ?? 0);
    const retryAfterMs = seconds > 0 ? Math.min(seconds * 1_000, RETRY_AFTER_MS) : 0;
    throw new BackendError(isDown ? 'down' : 'failed', `answered ${status}`, { retryAfterMs });
  }
  // A redirect could send signed words anywhere: it is an answer like any other, and a wrong one.
  if (status < 200 || (status >= 300 && status < 400)) throw new BackendError('wrong', `answered ${status}`);
  return { status, body };
}
