/**
 * The smallest seam that holds both WebSocket engines. `uws.ts` is the engine, `ws.ts` the portable
 * one; both carry bytes and HTTP requests on one port and know nothing of the protocol. Membership
 * and fan-out are ours (server/hub), never the engine's.
 */
import type { Socket as NetSocket } from 'node:net';
import type { EdgeReport, EngineInfo } from '../../protocol/http-answers.js';
import type { TlsFiles } from './tls.js';

/**
 * What became of a `send`. `queued`: the engine holds it and *will* send it (do not send it again),
 * but stop until `drain`, which is promised after a `queued` only (it may come at other times, too).
 * `dropped`: it was not taken.
 */
export type SendResult = 'sent' | 'queued' | 'dropped';

/** One open WebSocket. After `close` was reported every method is a harmless no-op. */
export interface Socket {
  /** Sends one binary message. The bytes may be shared by many sockets and are never changed. */
  send(bytes: Uint8Array): SendResult;
  /** Bytes the engine still holds for this socket. */
  bufferedBytes(): number;
  /**
   * Runs `fn` at once; its sends leave in as few writes as the engine can. A send in here may answer
   * `sent` though the write after it finds the peer stalled: the next send tells.
   */
  cork(fn: () => void): void;
  /**
   * Sends what is queued, then a close frame; the connection is cut if the peer does not take both
   * and answer. `closed` is reported, with this code, before it returns; what the peer does after is
   * not heard. `reason` ≤ 123 bytes.
   */
  end(code: number, reason: string): void;
  /** Cuts the connection at once, without a close frame. `closed` (1006) is reported before it returns. */
  terminate(): void;
}

/** What is known of the upgrade request, copied out while it is valid. */
export interface UpgradeInfo {
  /** The peer's IP address as text. */
  readonly address: string;
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  readonly authorization: string;
  readonly origin: string;
  /** The Host header. */
  readonly host: string;
  /** What proxies say of whom they speak for: X-Forwarded-For. */
  readonly forwardedFor: string | undefined;
  readonly userAgent: string;
  /** The offered subprotocols in order. */
  readonly subprotocols: readonly string[];
  /** The edge that took it; undefined: this process. */
  readonly edge?: string;
}

/** The other side of a Socket: what the server does with it. Nothing here may throw; what does goes to `failed` (rule 8). */
export interface SocketEvents {
  /** `bytes` die when the callback returns (rule 8): copy what outlives it. `binary` is false for a text message. */
  message(bytes: Uint8Array, binary: boolean): void;
  /** The socket may take more; a hint: check `bufferedBytes`. */
  drained(): void;
  /** Exactly once, however the connection ended, and nothing after it; 1006 when there was no close frame (the reason is the engine's). */
  closed(code: number, reason: string): void;
  /** Its place goes away: the client is to come again, at a moment within `spreadMs`. */
  leave?(spreadMs: number): void;
}

export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly address: string;
  /** Header names in lower case, no prototype; repeated headers are joined with a comma. */
  readonly headers: Readonly<Record<string, string>>;
  /** Complete; empty when there was none. */
  readonly body: Uint8Array;
  /** True when the body was larger than `bodyBytes`; `body` is empty then. */
  readonly bodyTooLarge: boolean;
}

export interface HttpResponse {
  readonly status: number;
  /** `content-length` and `connection` are the engine's: ignored here. */
  readonly headers: Readonly<Record<string, string>>;
  /** For HEAD what GET would get: only its length is sent. */
  readonly body: string | Uint8Array | StreamedBody;
}

/** A body that comes as it is written, for as long as it takes: what it is written to is a socket from which no message comes. */
export interface StreamedBody {
  /** Bytes that mean nothing in this body: with them an engine finds out whether the peer takes more. */
  readonly filler: Uint8Array;
  /** The head is written; the first part is to be sent before it returns. Not called when the peer has gone, which `Gone` tells. */
  open(socket: Socket): SocketEvents;
}

/** Calls `fn` when nobody waits for the answer any more: at once where that is so already. Also after an answer that was taken. */
export type Gone = (fn: () => void) => void;

export interface TransportOptions {
  /** Largest WebSocket message taken; a larger one ends the connection (1009, or as the engine can). */
  readonly messageBytes: number;
  /** Largest HTTP body gathered; a larger one is reported, not gathered. */
  readonly bodyBytes: number;
  /** `send` answers `dropped` while more than this many bytes are buffered, so one message may overshoot; ≥ 1. */
  readonly maxBufferedBytes: number;
  /** How long `end` waits for the peer, in ms (default 10 000); uws waits up to 20 s for the answer to a close frame that left. */
  readonly endMs?: number;
  /** How long an HTTP connection stays without a request, in ms (default 10 000); ws alone, uws has no other. */
  readonly httpIdleMs?: number;
  /** Undefined: plain WebSocket and HTTP. */
  readonly tls?: TlsFiles | undefined;
  /** Which of the offered subprotocols to echo; undefined: none. Called in the upgrade. */
  chooseSubprotocol(offered: readonly string[]): string | undefined;
  /** Called in the upgrade, before anything is spent on it: an answer refuses it. */
  refuses?(info: UpgradeInfo): HttpResponse | undefined;
  /** A new WebSocket is open. Returns its event sink. */
  open(socket: Socket, info: UpgradeInfo): SocketEvents;
  /** Answers an HTTP request that is no upgrade. Must not reject. */
  request(request: HttpRequest, gone: Gone): Promise<HttpResponse>;
  /** An engine callback threw all the same: a bug to be logged, never a crash. */
  failed(error: unknown): void;
}

export interface ListenAt {
  readonly host: string;
  readonly port: number;
  /** Others may listen there too, and each gets a part of the connections. On Linux, with uws. */
  readonly shared?: boolean;
}

export interface Transport {
  readonly engine: EngineInfo;
  /** Resolves with the bound port (port 0 asks for a free one); rejects with EADDRINUSE and the like in `code`. */
  listen(options: ListenAt): Promise<number>;
  /** Stops accepting; open sockets stay. */
  stopListening(): void;
  /** Cuts what is still open and frees the port. */
  close(): Promise<void>;
  /**
   * Shows the certificate that is in the files of `tls` now to those who connect from here on; open connections stay. Throws a
   * TypeError, and keeps the one before, for what cannot be used.
   */
  reloadTls?(): void;
  /** Takes a connection that another process has accepted. ws alone. */
  adopt?(connection: NetSocket): void;
  /** The processes that carry its connections, where they are others than this one. */
  edges?(): readonly EdgeReport[];
  /** Sends the clients of one of these elsewhere, spread over `spreadMs`; false: there is none of this name. */
  drainEdge?(name: string, spreadMs: number): boolean;
}
