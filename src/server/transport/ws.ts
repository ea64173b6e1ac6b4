/**
 * The portable engine: the ws package on node:http. Slower, the same promises: where the engines
 * differ (when `close` is heard, what `queued` means), this one follows uWebSockets.js.
 */
import {
  STATUS_CODES,
  createServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createRequire } from 'node:module';
import type { AddressInfo, Socket as NetSocket } from 'node:net';
import { type ServerOptions, WebSocket, WebSocketServer } from 'ws';
import type { EngineInfo } from '../../protocol/http-answers.js';
import { peerAddress } from './addresses.js';
import { type Answer, ask, badUpgrade, check, isStreamed, offeredSubprotocols, unclear } from './http-answer.js';
import { HttpStream } from './http-stream.js';
import { quietly } from '../watch/log.js';
import { Gathered } from './gathered.js';
import { Inflow } from './pace.js';
import { manifestOf } from './manifest.js';
import { Sink } from './sink.js';
import { readTls } from './tls.js';
import type { HttpRequest, SendResult, Socket, Transport, TransportOptions, UpgradeInfo } from './transport.js';

/** As uWebSockets.js has it. */
const HTTP_IDLE_MS = 10_000;
const END_MS = 10_000;
/** For a handshake: as long as the engine of uWebSockets.js waits. */
const HANDSHAKE_MS = 10_000;
/** Bytes a socket may hold back before a send answers `queued`. */
const HIGH_WATER_BYTES = 64 * 1024;

// A server does not mask, so ws hands the caller's bytes to the socket as they are and changes nothing.
const sendOptions = { binary: true, compress: false, fin: true } as const;

class WsSocket implements Socket {
  readonly sink: Sink;
  readonly #ws: WebSocket;
  readonly #net: NetSocket;
  readonly #maxBufferedBytes: number;
  readonly #failed: (error: unknown) => void;

  constructor(ws: WebSocket, net: NetSocket, options: { maxBufferedBytes: number; failed: (error: unknown) => void }) {
    this.#ws = ws;
    this.#net = net;
    this.#maxBufferedBytes = options.maxBufferedBytes;
    this.#failed = options.failed;
    const sink = new Sink(options.failed);
    this.sink = sink;
    // A broken frame: ws answers with a close frame by itself; for the server it is over now.
    ws.on('error', (error) => sink.close(1006, error.message));
    ws.on('close', (code, reason) => sink.close(code, reason.toString()));
    ws.on('message', (data, isBinary) => sink.message(data as Buffer, isBinary));
    net.on('drain', () => sink.drain());
  }

  send(bytes: Uint8Array): SendResult {
    if (!this.sink.open || this.#ws.readyState !== WebSocket.OPEN) return 'dropped';
    if (this.#net.writableLength > this.#maxBufferedBytes) return 'dropped';
    this.#ws.send(bytes, sendOptions);
    // `writableNeedDrain` alone is also true for a large write that the kernel took whole; with it,
    // a drain event is certain to come.
    return this.#net.writableNeedDrain && this.#net.writableLength > 0 ? 'queued' : 'sent';
  }

  bufferedBytes(): number {
    return this.sink.open ? this.#net.writableLength : 0;
  }

  cork(fn: () => void): void {
    if (!this.sink.open) return;
    this.#net.cork();
    try {
      fn();
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#net.uncork();
    }
  }

  end(code: number, reason: string): void {
    if (!this.sink.open) return;
    this.#ws.close(code, reason);
    this.sink.close(code, reason);
  }

  terminate(): void {
    if (!this.sink.open) return;
    this.#ws.terminate();
    this.sink.close(1006, '');
  }
}

export function wsEngine(): EngineInfo {
  let version: string | undefined;
  try {
    ({ version } = manifestOf(createRequire(import.meta.url).resolve('ws')));
  } catch {
    // It is in a bundle with this file.
  }
  return { name: 'ws', package: 'ws', version: version ?? 'unknown', origin: 'official' };
}

/** WebSockets and HTTP on one port. */
export function createWsTransport(options: TransportOptions): Transport {
  // The last line before the native boundary (rule 8).
  const failed = quietly((error: unknown) => options.failed(error));
  const { tls } = options;
  const serving = {
    highWaterMark: HIGH_WATER_BYTES,
    keepAliveTimeout: options.httpIdleMs ?? HTTP_IDLE_MS,
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    connectionsCheckingInterval: 5_000,
  };
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    try {
      serve(request, response, options, failed);
    } catch (error) {
      failed(error);
      request.destroy();
    }
  };
  const secure = tls && createSecureServer({ ...serving, ...readTls(tls), handshakeTimeout: HANDSHAKE_MS }, handle);
  const server: HttpServer = secure ?? createServer(serving, handle);
  const wsOptions: ServerOptions & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    skipUTF8Validation: false,
    maxPayload: options.messageBytes,
    closeTimeout: options.endMs ?? END_MS,
    handleProtocols: (offered) => options.chooseSubprotocol([...offered]) ?? false,
  };
  const wss = new WebSocketServer(wsOptions);
  // Every TCP connection, also one that is no WebSocket yet or any more: close() must not wait for any.
  const connections = new Set<NetSocket>();
  const sockets = new Set<WsSocket>();
  let closing: Promise<void> | undefined;
  const noted = (net: NetSocket): void => {
    // Once more, when it comes back from an upgrade.
    if (connections.has(net)) return;
    connections.add(net);
    net.once('close', () => connections.delete(net));
  };
  server.on('connection', noted);
  secure?.on('secureConnection', noted);
  server.on('upgrade', (request: IncomingMessage, net: NetSocket, head: Buffer) => {
    try {
      if (!asksForWebSocket(request)) {
        return takeAsRequest(request, { net, head }, () => server.emit(tls ? 'secureConnection' : 'connection', net));
      }
      if (request.headers['sec-websocket-version'] !== '13') return refuse(net, badUpgrade);
      const info = upgradeInfo(request);
      const refusal = options.refuses?.(info);
      if (refusal !== undefined) return refuse(net, check(refusal));
      wss.handleUpgrade(request, net, head, (ws) => {
        const socket = new WsSocket(ws, net, { maxBufferedBytes: options.maxBufferedBytes, failed });
        sockets.add(socket);
        net.once('close', () => sockets.delete(socket));
        if (!socket.sink.start(() => options.open(socket, info))) ws.terminate();
      });
    } catch (error) {
      failed(error);
      net.destroy();
    }
  });

  return {
    engine: wsEngine(),
    listen({ host, port }) {
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port, exclusive: true }, () => {
          server.off('error', reject);
          server.on('error', failed);
          resolve((server.address() as AddressInfo).port);
        });
      });
    },
    reloadTls() {
      if (tls) secure?.setSecureContext(readTls(tls));
    },
    adopt(net) {
      server.emit('connection', net);
      net.resume();
    },
    stopListening() {
      server.close();
    },
    close() {
      closing ??= (async () => {
        const ended = [...connections].map((net) => new Promise<void>((resolve) => net.once('close', () => resolve())));
        const freed = server.listening && new Promise<void>((resolve) => server.close(() => resolve()));
        for (const socket of sockets) socket.terminate();
        for (const net of connections) net.destroy();
        await Promise.all([freed, ...ended]);
      })();
      return closing;
    },
  };
}

/** One that names another protocol and has a key is a broken one of ours. */
function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket' || headers['sec-websocket-key'] !== undefined;
}

/**
 * An Upgrade that a server does not know is one to ignore (RFC 9110, 7.8), such as the `h2c` of Java's HttpClient. Node has let go
 * of the socket, so the request goes in once more without that header, before what has come of its body.
 */
function takeAsRequest(
  { method = 'GET', url = '/', httpVersion, rawHeaders }: IncomingMessage,
  { net, head }: { readonly net: NetSocket; readonly head: Buffer },
  take: () => void,
): void {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${rawHeaders[i + 1] as string}`);
  }
  net.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  take();
}

function upgradeInfo(request: IncomingMessage): UpgradeInfo {
  const { headers } = request;
  return {
    address: peerAddress(request.socket.remoteAddress ?? ''),
    ...target(request),
    authorization: headers.authorization ?? '',
    origin: headers.origin ?? '',
    host: headers.host ?? '',
    forwardedFor: [headers['x-forwarded-for']].flat().join(',') || undefined,
    userAgent: headers['user-agent'] ?? '',
    subprotocols: offeredSubprotocols(headers['sec-websocket-protocol']),
  };
}

/** Gathers the body, asks, answers. */
function serve(
  request: IncomingMessage,
  response: ServerResponse,
  options: TransportOptions,
  failed: (error: unknown) => void,
): void {
  const headers = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = typeof value === 'string' ? value : value.join(', ');
  }
  const head = {
    method: request.method ?? 'GET',
    ...target(request),
    address: peerAddress(request.socket.remoteAddress ?? ''),
    headers,
  };
  // Node would keep the first.
  const hosts = request.headersDistinct['host'];
  if (hosts !== undefined) headers['host'] = hosts.join(', ');
  const refusal = unclear(headers);
  if (refusal !== undefined) return refuse(request.socket, refusal);
  let asked = false;
  const answer = async (rest: Pick<HttpRequest, 'body' | 'bodyTooLarge'>) => {
    asked = true;
    const reply = await ask(options, { ...head, ...rest }, { failed, gone: (fn) => response.once('close', fn) });
    if (response.destroyed) return;
    for (const [name, value] of reply.headers) response.setHeader(name, value);
    if (reply.bodyBytes !== undefined) response.setHeader('content-length', reply.bodyBytes);
    response.writeHead(reply.status);
    const { body } = reply;
    // node sends no body for HEAD, 204 and 304 by itself.
    if (!isStreamed(body)) return void response.end(body);
    if (head.method === 'HEAD') return void response.end();
    const { maxBufferedBytes, endMs = END_MS } = options;
    const stream = new HttpStream(response, { maxBufferedBytes, endMs, failed });
    if (!stream.sink.start(() => body.open(stream))) response.destroy();
  };
  // What comes after that is read and forgotten, so that the peer gets to read the answer.
  const tooLarge = () => void answer({ body: new Uint8Array(0), bodyTooLarge: true }).catch(failed);
  // A peer that leaves is no failure: its answer goes nowhere.
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  const announced = Number(headers['content-length'] ?? 0);
  const gathered = new Gathered(announced);
  const inflow = new Inflow(
    () => request.pause(),
    () => request.resume(),
  );
  request.on('data', (chunk: Buffer) => {
    if (asked) return;
    if (gathered.length + chunk.length > options.bodyBytes) {
      gathered.take();
      return tooLarge();
    }
    gathered.add(chunk);
    inflow.came(chunk.length, gathered.length);
  });
  request.on('end', () => {
    if (!asked) void answer({ body: gathered.take(), bodyTooLarge: false }).catch(failed);
  });
  if (announced > options.bodyBytes) tooLarge();
}

function refuse(net: NetSocket, answer: Answer): void {
  const headers = answer.headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  net.on('error', () => undefined);
  net.end(
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ''}\r\nconnection: close\r\ncontent-length: ${answer.bodyBytes ?? 0}\r\n${headers}\r\n${isStreamed(answer.body) ? '' : String(answer.body)}`,
    () => net.destroy(),
  );
}

function target(request: IncomingMessage): { path: string; query: string } {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  return mark === -1 ? { path: url, query: '' } : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}
