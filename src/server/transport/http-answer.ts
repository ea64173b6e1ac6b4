/**
 * What both engines need to ask the server for an HTTP answer and to write it: the server is asked,
 * its answer checked (an engine would let a line break in a header through, or throw), and what it
 * throws becomes a 500.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { Gone, HttpRequest, HttpResponse, StreamedBody, TransportOptions } from './transport.js';

export interface Answer {
  readonly status: number;
  /** Without the ones the engine writes. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Uint8Array | StreamedBody;
  /** Undefined where the status forbids a content-length, or nobody knows it yet. */
  readonly bodyBytes: number | undefined;
}

const engineHeaders = new Set(['content-length', 'connection', 'transfer-encoding']);

export const badUpgrade = check({
  status: 400,
  headers: { 'content-type': 'text/plain', 'sec-websocket-version': '13' },
  body: 'Not a valid WebSocket upgrade.\n',
});
const serverError = check({ status: 500, headers: { 'content-type': 'text/plain' }, body: 'Internal error.\n' });

const badFraming = check({
  status: 400,
  headers: { 'content-type': 'text/plain' },
  body: 'Send one Host, and one Content-Length or Transfer-Encoding: chunked.\n',
});

/** What a request gets whose end, or whose host, two readers may find in two places: never executed. */
export function unclear(headers: HttpRequest['headers']): Answer | undefined {
  const { host = '', 'content-length': length = '0', 'transfer-encoding': encoding = 'chunked' } = headers;
  const isClear = !host.includes(',') && /^\d{1,15}$/.test(length) && encoding.toLowerCase() === 'chunked';
  return isClear ? undefined : badFraming;
}

/** Never rejects. `gone`: the engine's, which is asked once, before anything else. */
export async function ask(
  options: TransportOptions,
  request: HttpRequest,
  { failed, gone }: { readonly failed: (error: unknown) => void; readonly gone: (fn: () => void) => void },
): Promise<Answer> {
  let isGone = false;
  let waiting: (() => void)[] = [];
  gone(() => {
    isGone = true;
    const told = waiting;
    waiting = [];
    for (const fn of told) attempt(fn, failed);
  });
  const whenGone: Gone = (fn) => {
    if (isGone) attempt(fn, failed);
    else waiting.push(fn);
  };
  try {
    return check(await options.request(request, whenGone));
  } catch (error) {
    failed(error);
    return serverError;
  }
}

function attempt(fn: () => void, failed: (error: unknown) => void): void {
  try {
    fn();
  } catch (error) {
    failed(error);
  }
}

/** Whether it comes in parts. */
export function isStreamed(body: HttpResponse['body']): body is StreamedBody {
  return typeof body === 'object' && 'open' in body;
}

/** Throws for what an engine must not write. */
export function check(response: HttpResponse): Answer {
  const { status, body } = response;
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw new RangeError(`HTTP status ${status} is not within 200–599.`);
  const headers = Object.entries(response.headers).filter(([name]) => !engineHeaders.has(name.toLowerCase()));
  for (const [name, value] of headers) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  }
  const isOpen = status === 204 || status === 304 || isStreamed(body);
  return { status, headers, body, bodyBytes: isOpen ? undefined : Buffer.byteLength(body) };
}

/** The offered subprotocols in order, from the header's value. */
export function offeredSubprotocols(header: string | undefined): readonly string[] {
  return (header ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
