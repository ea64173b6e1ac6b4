/** A backend for hooks on a port of its own: it keeps what came, checks the signatures, and answers as a test says. */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from './server.js';
import { until } from './until.js';

export const HOOKS_SECRET = 'a-secret-for-hooks-of-32-characters!';

export interface Received {
  readonly id: string;
  readonly timestamp: number;
  readonly isSigned: boolean;
  readonly body: {
    readonly type: string;
    readonly user: { readonly id: string };
    readonly [field: string]: unknown;
  };
  readonly response: ServerResponse;
}
/** What it answers, now or later: a JSON body, or whatever it does to the response itself (undefined). */
export type Answering = (received: Received) => unknown;

export interface TestBackend {
  readonly url: string;
  readonly received: Received[];
  /** Those of one type. */
  of(type: string): Received[];
  /** Waits until so many of a type have come. */
  count(type: string, count: number): Promise<Received[]>;
  answer(answering: Answering): void;
  /** Refuses connections from now on; `start` takes them again, on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startBackend(t: Test, first: Answering): Promise<TestBackend> {
  const received: Received[] = [];
  let answering = first;
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const header = (name: string): string => String(request.headers[`roomwire-${name}`]);
      const [id, timestamp] = [header('id'), header('timestamp')];
      const mac = createHmac('sha256', HOOKS_SECRET).update(`${id}.${timestamp}.${text}`).digest('hex');
      const call: Received = {
        id,
        timestamp: Number(timestamp),
        isSigned: header('signature') === `v1=${mac}`,
        body: JSON.parse(text) as Received['body'],
        response,
      };
      received.push(call);
      void Promise.resolve(answering(call)).then((answer) => {
        if (answer !== undefined) json(response, answer);
      });
    });
  };
  let server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    if (!server.listening) return;
    server.close();
    await once(server, 'close');
  };
  t.teardown(stop);
  const of = (type: string): Received[] => received.filter(({ body }) => body.type === type);
  return {
    url: `http://127.0.0.1:${port}/hooks`,
    received,
    of,
    async count(type, count) {
      await until(() => of(type).length >= count);
      return of(type);
    },
    answer: (next) => void (answering = next),
    stop,
    async start() {
      server = createServer(handle).listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
  };
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Answers the status and nothing else. */
export function status(code: number, headers: Readonly<Record<string, string>> = {}): Answering {
  return ({ response }) => void response.writeHead(code, headers).end();
}
