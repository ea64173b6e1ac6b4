/**
 * Finds a native build of uWebSockets.js on this machine. The official package is asked first: it is not
 * on npm, so it is there where the user installed it from GitHub. After it come two optional dependencies,
 * which are copies of it on npm. Only the parts that `uws.ts` uses are typed here: the builds' own types
 * do not fit each other.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { manifestOf } from './manifest.js';
import type { EngineInfo } from '../../protocol/http-answers.js';
import { OFFICIAL, whyNot, type UwsFailure } from './uws-failure.js';

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
  /** Of a body in parts. False: the peer did not take all of it, and `onWritable` follows; in a cork, what fits there is always taken. */
  write(chunk: Uint8Array): boolean;
  /** The peer took something. What is held goes out with the next write alone; returns true. */
  onWritable(fn: (offset: number) => boolean): unknown;
  close(): unknown;
  cork(fn: () => void): unknown;
  onAborted(fn: () => void): unknown;
  /** The chunk dies with the callback. A request without a body gets one empty last chunk. */
  onData(fn: (chunk: ArrayBuffer, last: boolean) => void): unknown;
  /** Reads no more of the body. */
  pause(): unknown;
  resume(): unknown;
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
  /** PEM files. Throws a string for what it cannot use. */
  SSLApp(files: { readonly cert_file_name: string; readonly key_file_name: string }): UwsApp;
  /** Closing one twice crashes the process. */
  us_listen_socket_close(token: unknown): void;
  us_socket_local_port(token: unknown): number;
  readonly DISABLED: number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}

export interface UwsBuild {
  readonly module: UwsModule;
  readonly info: EngineInfo;
}

/** `failures`: of the builds that were asked before it, or of all. */
export type UwsLoaded = (UwsBuild & Failed) | Failed;

interface Failed {
  readonly failures: readonly UwsFailure[];
}

// createRequire, not import(): on Node 20 a failed import() of a native module ends the process, caught or not.
const ownRequire = createRequire(import.meta.url);

/** In the order in which they are asked. `folder`: of node_modules; `entry`: of its files, for its main module. */
const builds: readonly { readonly folder: string; readonly package: string; readonly entry?: string }[] = [
  { folder: OFFICIAL, package: OFFICIAL },
  { folder: 'uws-20.57', package: '@btc-vision/uwebsockets.js' },
  {
    folder: 'uws-20.30',
    package: '@trufflesuite/uws-js-unofficial',
    // Its main module turns into a slow imitation in JavaScript, and prints, where it has no binary
    // for this Node or platform (or UWS_USE_FALLBACK is set): take the native file or nothing.
    entry: `binaries/uws_${process.platform}_${process.arch}_${process.versions.modules}.node`,
  },
];

/** Never throws and prints nothing. Looks for the builds where `require` does: from this file, but in tests. */
export function loadUws(require: NodeJS.Require = ownRequire): UwsLoaded {
  const failures: UwsFailure[] = [];
  for (const build of builds) {
    let main: string;
    try {
      main = require.resolve(build.folder);
    } catch {
      failures.push({ package: build.package, why: 'absent' });
      continue;
    }
    // Its own name counts: another package may have been installed in the place of the official one.
    const { root, name = build.package, version = '' } = manifestOf(main);
    try {
      const module: unknown = require(build.entry === undefined ? main : join(root, build.entry));
      if (isNative(module)) {
        const origin = name === OFFICIAL ? 'official' : 'repackaged';
        return { module, info: { name: 'uws', package: name, version, origin }, failures };
      }
      failures.push({ package: name, version, why: 'imitation' });
    } catch (error) {
      failures.push({ package: name, version, ...whyNot(error, root) });
    }
  }
  return { failures };
}

/** The imitation has neither SSLApp nor the functions on raw sockets. */
function isNative(module: unknown): module is UwsModule {
  const needed = ['App', 'SSLApp', 'us_listen_socket_close', 'us_socket_local_port'] as const;
  const found = module as Partial<Record<(typeof needed)[number], unknown>> | null;
  return typeof found === 'object' && found !== null && needed.every((key) => typeof found[key] === 'function');
}
