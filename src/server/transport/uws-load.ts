/**
 * Finds a native build of uWebSockets.js on this machine. It is not on npm under its own name: the
 * official package is used where the user installed it, else one of two optional dependencies. Only
 * the parts of it that `uws.ts` uses are typed here: the builds' own types do not fit each other.
 */
import { createRequire } from 'node:module';

/** A WebSocket of the engine. Every method throws once the engine has reported its close. */
export interface UwsWebSocket<Data> {
  /** 1 sent, 0 buffered, 2 dropped. */
  send(message: Uint8Array, isBinary: boolean, compress: boolean): number;
  getBufferedAmount(): number;
  /** Reports close before it returns. */
  end(code: number, reason: string): void;
  /** Reports close before it returns. */
  close(): void;
  cork(fn: () => void): unknown;
  /** Works in and after the close callback, too. */
  getUserData(): Data;
}

/** Valid only until its callback returns. */
export interface UwsRequest {
  getHeader(lowerCaseName: string): string;
  /** In lower case. */
  getMethod(): string;
  getUrl(): string;
  getQuery(): string | undefined;
  forEach(each: (name: string, value: string) => void): void;
}

/** Valid until it was aborted or ended; must have an abort handler when its callback returns. */
export interface UwsResponse {
  writeStatus(status: string): unknown;
  writeHeader(name: string, value: string): unknown;
  end(body: string | Uint8Array, closeConnection?: boolean): unknown;
  endWithoutBody(): unknown;
  close(): unknown;
  cork(fn: () => void): unknown;
  onAborted(fn: () => void): unknown;
  /** The chunk dies with the callback. A request without a body gets one empty last chunk. */
  onData(fn: (chunk: ArrayBuffer, last: boolean) => void): unknown;
  getRemoteAddressAsText(): ArrayBuffer;
  /** Calls `open` before it returns. */
  upgrade(data: object, key: string, subprotocol: string, extensions: string, context: unknown): void;
}

export interface UwsBehavior<Data> {
  readonly compression: number;
  readonly idleTimeout: number;
  readonly maxLifetime: number;
  readonly sendPingsAutomatically: boolean;
  readonly maxPayloadLength: number;
  readonly maxBackpressure: number;
  readonly closeOnBackpressureLimit: boolean;
  upgrade(response: UwsResponse, request: UwsRequest, context: unknown): void;
  open(socket: UwsWebSocket<Data>): void;
  /** The message dies with the callback. */
  message(socket: UwsWebSocket<Data>, message: ArrayBuffer, isBinary: boolean): void;
  drain(socket: UwsWebSocket<Data>): void;
  close(socket: UwsWebSocket<Data>, code: number, reason: ArrayBuffer): void;
}

export interface UwsApp {
  ws<Data>(pattern: string, behavior: UwsBehavior<Data>): unknown;
  any(pattern: string, handler: (response: UwsResponse, request: UwsRequest) => void): unknown;
  /** Calls back before it returns; `token` is false when it failed. */
  listen(host: string, port: number, flags: number, done: (token: unknown) => void): unknown;
  /** Cuts every connection, and closes the listening socket. */
  close(): unknown;
}

export interface UwsModule {
  App(): UwsApp;
  /** Closing one twice crashes the process. */
  us_listen_socket_close(token: unknown): void;
  us_socket_local_port(token: unknown): number;
  readonly DISABLED: number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}

export type UwsLoaded = { readonly module: UwsModule; readonly name: string } | { readonly reasons: readonly string[] };

// createRequire, not import(): on Node 20 a failed import() of a native module ends the process, caught or not.
const require = createRequire(import.meta.url);

const builds: readonly { readonly name: string; readonly file: string }[] = [
  { name: 'uWebSockets.js', file: 'uWebSockets.js' },
  { name: 'uws-20.57', file: 'uws-20.57' },
  {
    // Its entry turns into a slow imitation in JavaScript, and prints, where it has no native build
    // for this Node or platform (or UWS_USE_FALLBACK is set): take the native file or nothing.
    name: 'uws-20.30',
    file: `uws-20.30/binaries/uws_${process.platform}_${process.arch}_${process.versions.modules}.node`,
  },
];

/** Never throws and prints nothing; `reasons` has one line for each build that was tried. */
export function loadUws(): UwsLoaded {
  const reasons: string[] = [];
  for (const { name, file } of builds) {
    try {
      const module: unknown = require(file);
      if (isNative(module)) return { module, name };
      reasons.push(`${name}: not a native build`);
    } catch (error) {
      reasons.push(`${name}: ${reason(error)}`);
    }
  }
  return { reasons };
}

/** The imitation has neither SSLApp nor the functions on raw sockets. */
function isNative(module: unknown): module is UwsModule {
  const needed = ['App', 'SSLApp', 'us_listen_socket_close', 'us_socket_local_port'] as const;
  const found = module as Partial<Record<(typeof needed)[number], unknown>> | null;
  return typeof found === 'object' && found !== null && needed.every((key) => typeof found[key] === 'function');
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && error.code === 'MODULE_NOT_FOUND')
    return 'not installed, or no build for this platform and Node';
  // The cause (such as a libc that is too old) stands in the last line.
  return error.message.trim().split('\n').at(-1) ?? error.message;
}
