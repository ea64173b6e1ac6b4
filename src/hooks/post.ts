/**
 * One POST to the backend: signed, timed, bounded in what it reads. What comes back is an answer or a
 * BackendError that says whether the backend is down (try again) or wrong (do not). Used by backend.ts.
 */
import { createHmac } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Timer } from '../server/api.js';

/** Bytes of an answer; more is not read. */
export const ANSWER_BYTES = 1024 * 1024;
/** The longest wait a backend may ask for with Retry-After, ms. */
const RETRY_AFTER_MS = 5_000;

export class BackendError extends Error {
  override readonly name = 'BackendError';
  /** Down: no answer, or one that says to come later. Else it answered what is no answer: again would not help. */
  readonly down: boolean;
  readonly retryAfterMs: number;
  constructor(
    down: boolean,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterMs?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.down = down;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

export interface Answer {
  /** 200–299 or 400–499. */
  readonly status: number;
  readonly body: Buffer;
}

/** The answer's JSON; undefined for an empty body. Throws BackendError. */
export function parsed({ status, body }: Answer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw new BackendError(false, `answered ${status} with what is not JSON`, { cause: error });
  }
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
  post({ id, body, timeoutMs }: PostOptions): Promise<Answer> {
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
    return new Promise((resolve, reject) => {
      const request = this.#url.protocol === 'https:' ? httpsRequest : httpRequest;
      const sent = request(this.#url, { method: 'POST', agent: this.#agent, headers });
      const timer = this.#after(timeoutMs, () => fail(new BackendError(true, `no answer within ${timeoutMs} ms`)));
      const fail = (error: unknown): void => {
        timer.cancel();
        const known = error instanceof BackendError;
        reject(known ? error : new BackendError(true, (error as Error).message, { cause: error }));
        sent.destroy();
      };
      sent.on('error', fail);
      sent.on('response', (response) => {
        read(response).then((answer) => {
          timer.cancel();
          resolve(answer);
        }, fail);
      });
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function read(response: IncomingMessage): Promise<Answer> {
  const { statusCode: status = 0, headers } = response;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES) throw new BackendError(false, `answered more than ${ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (status >= 500 || status === 408 || status === 425 || status === 429) {
    const seconds = Number(headers['retry-after'] ?? 0);
    const retryAfterMs = seconds > 0 ? Math.min(seconds * 1_000, RETRY_AFTER_MS) : 0;
    throw new BackendError(true, `answered ${status}`, { retryAfterMs });
  }
  // A redirect could send signed words anywhere: it is an answer like any other, and a wrong one.
  if (status < 200 || (status >= 300 && status < 400)) throw new BackendError(false, `answered ${status}`);
  return { status, body: Buffer.concat(chunks) };
}
