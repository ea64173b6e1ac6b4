/**
 * One HTTP request to another server: timed as a whole by a timer of its own, and bounded in what is read of
 * the answer, counted as it comes. Everything that roomwire asks of others goes through here: the issuer's
 * key set, hooks, proxied calls, notices, and the command line.
 */
import {
  type Agent as HttpAgent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
} from 'node:http';
import { type Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Timer } from '../time/wheel.js';

export interface ExchangeOptions {
  /** http or https. Redirects are answers like any other. */
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body?: string;
  /** Keeps connections for the next request; without one each request has its own. */
  readonly agent?: HttpAgent | HttpsAgent;
  /** From the first step (a name to look up) to the last byte of the answer. */
  readonly timeoutMs: number;
  /** Of the answer's body. */
  readonly maxBytes: number;
  /** Whoever runs the timers must hold them strongly: a time-out that a garbage collection takes away is none. */
  readonly after: (ms: number, fn: () => void) => Timer;
  /** Ends it early. */
  readonly signal?: AbortSignal;
}

export interface Exchanged {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** `unreachable`: also cut off in the middle; `late`: not whole in time; `too_large`: more bytes than are read. */
export type ExchangeTrouble = 'unreachable' | 'late' | 'too_large';

export class ExchangeError extends Error {
  override readonly name = 'ExchangeError';
  readonly trouble: ExchangeTrouble;
  constructor(trouble: ExchangeTrouble, message: string, cause?: unknown) {
    super(message, { cause });
    this.trouble = trouble;
  }
}

/** Timers of Node's own, for whoever has no wheel. */
export function afterMs(ms: number, fn: () => void): Timer {
  let isWaiting = true;
  const timer = setTimeout(() => {
    isWaiting = false;
    fn();
  }, ms);
  return {
    cancel() {
      clearTimeout(timer);
      const was = isWaiting;
      isWaiting = false;
      return was;
    },
  };
}

/** Rejects with an ExchangeError, at the latest after `timeoutMs`. */
export function exchange(options: ExchangeOptions): Promise<Exchanged> {
  const { url, method, headers, body, agent, timeoutMs, maxBytes, after, signal } = options;
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    let sent: ClientRequest | undefined;
    let isOver = false;
    let isRepeated = false;
    const fail = (error: unknown): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      reject(error instanceof ExchangeError ? error : new ExchangeError('unreachable', reasonOf(error), error));
      // Whatever still comes is nobody's: neither a socket nor a buffer is kept for it.
      sent?.destroy();
    };
    const timer = after(timeoutMs, () => fail(new ExchangeError('late', `no answer within ${timeoutMs} ms`)));
    const send = (): void => {
      let isAnswered = false;
      const one = request(url, { method, headers, agent: agent ?? false, ...(signal === undefined ? {} : { signal }) });
      sent = one;
      one.on('error', (error: NodeJS.ErrnoException) => {
        // A kept connection that the other side had just closed: no try of the request's own.
        const isStale = one.reusedSocket && !isAnswered && error.code === 'ECONNRESET';
        if (!isStale || isRepeated || isOver) return fail(error);
        isRepeated = true;
        attempt(send);
      });
      one.on('response', (response) => {
        isAnswered = true;
        read(response, maxBytes).then((answer) => {
          if (isOver) return;
          isOver = true;
          timer.cancel();
          resolve(answer);
        }, fail);
      });
      // The last word, should neither of these have come.
      one.on('close', () => {
        if (!isAnswered && sent === one) fail(new Error('closed without an answer'));
      });
      one.end(body);
    };
    // Node throws for a header or an address that cannot be sent.
    const attempt = (step: () => void): void => {
      try {
        step();
      } catch (error) {
        fail(error);
      }
    };
    attempt(send);
  });
}

async function read(response: IncomingMessage, maxBytes: number): Promise<Exchanged> {
  const { statusCode: status = 0, headers } = response;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new ExchangeError('too_large', `answered more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return { status, headers, body: Buffer.concat(chunks) };
}

/** An attempt at several addresses of one name fails with an error for each, and no message of its own. */
function reasonOf(error: unknown): string {
  const { message, errors } = error as { readonly message?: string; readonly errors?: readonly Error[] };
  if (message !== undefined && message !== '') return message;
  return errors?.map((one) => one.message).join(', ') ?? String(error);
}
