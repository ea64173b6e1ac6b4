/**
 * The fast engine, on uWebSockets.js. Its callbacks come straight from C++: nothing may throw into
 * it, buffers and requests die with the callback (rule 8), and a socket's methods throw once its
 * close was reported, which `end` and `close` do before they return.
 */
import { once } from 'node:events';
import { STATUS_CODES } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { peerAddress } from './addresses.js';
import { type Answer, ask, badUpgrade, check, isStreamed, offeredSubprotocols, unclear } from './http-answer.js';
import { quietly } from '../watch/log.js';
import { Gathered } from './gathered.js';
import { Inflow } from './pace.js';
import { readTls, type TlsFiles } from './tls.js';
import type { HttpRequest, ListenAt, Transport, TransportOptions, UpgradeInfo } from './transport.js';
import type { UwsApp, UwsBuild, UwsModule, UwsRequest, UwsResponse } from './uws-load.js';
import { UwsSocket } from './uws-socket.js';
import { UwsStream } from './uws-stream.js';

interface Data {
  /** Until the socket is open. */
  info: UpgradeInfo | undefined;
  socket?: UwsSocket;
}

/**
 * Seconds without a byte from the peer until the engine cuts it: the engine's longest. Heartbeats
 * are ours and come long before; but a peer that stalls, sends a close frame, then drains and stays,
 * is out of our hands (its close was reported), and with 0 it would be kept for ever.
 */
const IDLE_SECONDS = 960;
/** With SO_REUSEPORT, which the engine sets for a port that is named: 0 would get one of its own. */
const SHARED_PORT = 0;

/** One app of the engine. */
interface Running {
  readonly app: UwsApp;
  readonly sockets: Set<UwsSocket>;
}

/** WebSockets and HTTP on one port: one app, or with TLS one for each certificate that still has connections. */
export function createUwsTransport({ module, info }: UwsBuild, options: TransportOptions): Transport {
  // The last line before the native boundary (rule 8).
  const failed = quietly((error: unknown) => options.failed(error));
  const { tls } = options;
  /** The last takes connections. */
  let running: Running[] = [start(module, options, failed)];
  let place: (ListenAt & { readonly port: number }) | undefined;
  let listening: unknown;
  let closed = false;

  /** Undefined where it cannot be. */
  const listenOn = ({ app }: Running, { host, port, shared = false }: ListenAt): number | undefined => {
    // Exclusive: else two servers share a port, each with a part of the connections.
    const flags = shared ? SHARED_PORT : module.LIBUS_LISTEN_EXCLUSIVE_PORT;
    app.listen(host, port, flags, (token) => (listening = token === false ? undefined : token));
    return listening === undefined ? undefined : module.us_socket_local_port(listening);
  };
  const stopListening = (): void => {
    if (listening !== undefined) module.us_listen_socket_close(listening);
    listening = undefined;
  };

  return {
    engine: info,
    async listen(wanted) {
      // A port that was named can be listened on again beside its open connections; one that the engine chose cannot.
      const port = tls !== undefined && wanted.port === 0 ? await freePort(wanted.host) : wanted.port;
      const bound = listenOn(running[0] as Running, { ...wanted, port });
      if (bound === undefined) throw await whyNot(wanted.host, port);
      place = { ...wanted, port: bound };
      return bound;
    },
    stopListening,
    reloadTls() {
      if (tls === undefined || place === undefined || listening === undefined) return;
      const next = start(module, options, failed);
      const before = running.at(-1) as Running;
      // In one step: for nobody is it closed but who connects in this moment.
      stopListening();
      if (listenOn(next, place) === undefined) {
        next.app.close();
        listenOn(before, place);
        throw new TypeError(`the port ${place.port} could not be listened on with the new certificate`);
      }
      // Those that nobody is at any more; the last one's requests still have their answers to come.
      for (const { app, sockets } of running) if (app !== before.app && sockets.size === 0) app.close();
      running = [...running.filter((one) => one === before || one.sockets.size > 0), next];
    },
    async close() {
      if (closed) return;
      closed = true;
      // Not in the middle of one of the engine's callbacks.
      await new Promise((resolve) => setImmediate(resolve));
      listening = undefined;
      // Our own list first: the engine walks its own while it reports, and loses its way when the
      // server closes another socket in answer to a close.
      for (const { sockets } of running) for (const socket of sockets) socket.terminate();
      for (const { app } of running) app.close();
    },
  };
}

/** Throws a TypeError for a certificate that cannot be used. */
function start(module: UwsModule, options: TransportOptions, failed: (error: unknown) => void): Running {
  const app = appOf(module, options.tls);
  const sockets = new Set<UwsSocket>();
  app.ws<Data>('/*', {
    compression: module.DISABLED,
    idleTimeout: IDLE_SECONDS,
    maxLifetime: 0,
    sendPingsAutomatically: false,
    maxPayloadLength: options.messageBytes,
    maxBackpressure: options.maxBufferedBytes,
    closeOnBackpressureLimit: false,
    upgrade(response, request, context) {
      try {
        upgrade(response, request, context, options);
      } catch (error) {
        failed(error);
        cut(response);
      }
    },
    open(native) {
      const data = native.getUserData();
      const info = data.info as UpgradeInfo;
      data.info = undefined;
      const socket = new UwsSocket(native, options.endMs ?? 10_000, failed);
      data.socket = socket;
      sockets.add(socket);
      if (!socket.sink.start(() => options.open(socket, info))) native.close();
    },
    message(native, message, isBinary) {
      native.getUserData().socket?.sink.message(new Uint8Array(message), isBinary);
    },
    drain(native) {
      native.getUserData().socket?.drained();
    },
    close(native, code, reason) {
      const { socket } = native.getUserData();
      if (socket === undefined) return;
      sockets.delete(socket);
      socket.gone(code, Buffer.from(reason).toString());
    },
  });
  app.any('/*', (response, request) => {
    try {
      serve(response, request, options, failed);
    } catch (error) {
      failed(error);
      cut(response);
    }
  });
  return { app, sockets };
}

function appOf(module: UwsModule, tls: TlsFiles | undefined): UwsApp {
  if (tls === undefined) return module.App();
  // It says nothing of what is wrong with them.
  readTls(tls);
  try {
    return module.SSLApp({ cert_file_name: tls.cert, key_file_name: tls.key });
  } catch (error) {
    throw new TypeError(`tls: the engine uws cannot use ${tls.cert} with ${tls.key}`, { cause: error });
  }
}

function upgrade(response: UwsResponse, request: UwsRequest, context: unknown, options: TransportOptions): void {
  const headers = headersOf(request);
  // The engine calls this for any GET with a key.
  if (headers['upgrade']?.toLowerCase() !== 'websocket' || headers['sec-websocket-version'] !== '13') {
    return write(response, badUpgrade);
  }
  const subprotocols = offeredSubprotocols(headers['sec-websocket-protocol']);
  const info: UpgradeInfo = {
    address: addressOf(response),
    path: request.getUrl(),
    query: request.getQuery() ?? '',
    authorization: headers['authorization'] ?? '',
    origin: headers['origin'] ?? '',
    host: headers['host'] ?? '',
    forwardedFor: headers['x-forwarded-for'],
    userAgent: headers['user-agent'] ?? '',
    subprotocols,
  };
  const refusal = options.refuses?.(info);
  if (refusal !== undefined) return write(response, check(refusal));
  const chosen = options.chooseSubprotocol(subprotocols) ?? '';
  const data: Data = { info };
  response.upgrade(data, headers['sec-websocket-key'] ?? '', chosen, '', context);
}

/** Gathers the body, asks, answers. */
function serve(
  response: UwsResponse,
  request: UwsRequest,
  options: TransportOptions,
  failed: (error: unknown) => void,
): void {
  const head = {
    method: request.getMethod().toUpperCase(),
    path: request.getUrl(),
    query: request.getQuery() ?? '',
    address: addressOf(response),
    headers: headersOf(request),
  };
  if (head.headers['upgrade']?.toLowerCase() === 'websocket') return write(response, badUpgrade);
  const refusal = unclear(head.headers);
  // Where its body ends the engine knows no better than anybody: nothing after it is a request.
  if (refusal !== undefined) return write(response, refusal, { headOnly: head.method === 'HEAD', last: true });
  let aborted = false;
  let asked = false;
  let left: (() => void) | undefined;
  let stream: UwsStream | undefined;
  response.onAborted(() => {
    aborted = true;
    stream?.gone();
    left?.();
  });
  const gone = (fn: () => void): void => void (left = fn);
  const inflow = new Inflow(
    () => response.pause(),
    () => aborted || response.resume(),
  );
  const answer = async (rest: Pick<HttpRequest, 'body' | 'bodyTooLarge'>) => {
    asked = true;
    inflow.goOn();
    // A second request in the same packet ends the connection as soon as this callback returns, and then
    // nobody can be answered: what was not begun by then is not done.
    await new Promise((resolve) => setImmediate(resolve));
    if (aborted) return;
    const reply = await ask(options, { ...head, ...rest }, { failed, gone });
    if (aborted) return;
    response.cork(() => {
      try {
        const headOnly = head.method === 'HEAD';
        if (headOnly || !isStreamed(reply.body)) return write(response, reply, { headOnly });
        writeHead(response, reply);
        const { body } = reply;
        const begun = (stream = new UwsStream(response, body.filler, failed));
        if (!begun.sink.start(() => body.open(begun))) begun.terminate();
      } catch (error) {
        failed(error);
      }
    });
  };
  const tooLarge = () => void answer({ body: new Uint8Array(0), bodyTooLarge: true }).catch(failed);
  const announced = Number(head.headers['content-length'] ?? 0);
  if (announced > options.bodyBytes) return tooLarge();
  const gathered = new Gathered(announced);
  response.onData((chunk, last) => {
    if (asked) return;
    if (gathered.length + chunk.byteLength > options.bodyBytes) {
      gathered.take();
      return tooLarge();
    }
    gathered.add(new Uint8Array(chunk));
    if (last) return void answer({ body: gathered.take(), bodyTooLarge: false }).catch(failed);
    inflow.came(chunk.byteLength, gathered.length);
  });
}

interface Writing {
  readonly headOnly?: boolean;
  /** The connection ends with it. */
  readonly last?: boolean;
}

function write(response: UwsResponse, answer: Answer, { headOnly = false, last = false }: Writing = {}): void {
  writeHead(response, answer);
  // One in parts is asked for with HEAD alone here.
  const body = isStreamed(answer.body) ? '' : answer.body;
  if (last) return void response.end(headOnly ? '' : body, true);
  if (answer.bodyBytes === undefined) return void response.endWithoutBody();
  if (!headOnly) return void response.end(body);
  // The engine can tell the length itself, but 20.30 then never counts the response as done and
  // cuts the connection at its next request.
  response.writeHeader('content-length', String(answer.bodyBytes));
  response.endWithoutBody();
}

function writeHead(response: UwsResponse, { status, headers }: Answer): void {
  response.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`);
  for (const [name, value] of headers) response.writeHeader(name, value);
}

/** After a failure: the response may be used up already, and then its methods throw. */
function cut(response: UwsResponse): void {
  try {
    response.close();
  } catch {
    // It is closed, or a WebSocket by now.
  }
}

function addressOf(response: UwsResponse): string {
  return peerAddress(Buffer.from(response.getRemoteAddressAsText()).toString());
}

function headersOf(request: UwsRequest): Readonly<Record<string, string>> {
  const headers = Object.create(null) as Record<string, string>;
  request.forEach((name, value) => {
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  });
  return headers;
}

async function freePort(host: string): Promise<number> {
  const probe = createServer().listen({ host, port: 0 });
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  await new Promise((closed) => probe.close(closed));
  return port;
}

/** The engine does not say why it could not listen; node's own attempt does. */
function whyNot(host: string, port: number): Promise<Error> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen({ host, port, exclusive: true }, () => {
      probe.close(() => resolve(Object.assign(new Error(`The port ${port} was in use.`), { code: 'EADDRINUSE' })));
    });
  });
}
