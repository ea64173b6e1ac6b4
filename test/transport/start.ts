/** Starts a transport on a free port and writes down what it reports; every engine that loads here. */
import { once } from 'node:events';
import type { Test } from 'tap';
import { WebSocket } from 'ws';
import type {
  HttpRequest,
  HttpResponse,
  Socket,
  Transport,
  TransportOptions,
  UpgradeInfo,
} from '../../src/server/transport/transport.js';
import { loadUws } from '../../src/server/transport/uws-load.js';
import { createUwsTransport } from '../../src/server/transport/uws.js';
import { createWsTransport } from '../../src/server/transport/ws.js';
import { shown, within } from '../support/until.js';

export interface Engine {
  readonly name: 'uws' | 'ws';
  readonly create: (options: TransportOptions) => Transport;
}

const uws = loadUws();
export const engines: readonly Engine[] = [
  { name: 'ws', create: createWsTransport },
  ...('module' in uws
    ? [{ name: 'uws' as const, create: (options: TransportOptions) => createUwsTransport(uws, options) }]
    : []),
];

/** One WebSocket as the server sees it. */
export interface Peer {
  readonly socket: Socket;
  readonly info: UpgradeInfo;
  readonly messages: { readonly bytes: Buffer; readonly binary: boolean }[];
  readonly closes: { readonly code: number; readonly reason: string }[];
  drains: number;
}

export interface Behaviour extends Partial<TransportOptions> {
  readonly port?: number;
  /** Instead of the echo. */
  readonly onMessage?: (peer: Peer, bytes: Uint8Array, binary: boolean) => void;
  readonly onOpen?: (peer: Peer) => void;
  readonly answer?: (request: HttpRequest) => HttpResponse | Promise<HttpResponse>;
}

export interface Started {
  readonly transport: Transport;
  readonly port: number;
  readonly url: string;
  readonly peers: Peer[];
  readonly failures: unknown[];
  /** Resolves when `test` is true; looked at after everything the server hears. */
  until(test: () => boolean): Promise<void>;
  /** The nth WebSocket, once it is there. */
  peer(index?: number): Promise<Peer>;
}

export async function start(t: Test, engine: Engine, behaviour: Behaviour = {}): Promise<Started> {
  const peers: Peer[] = [];
  const failures: unknown[] = [];
  const waiting = new Set<() => void>();
  const changed = () => {
    for (const look of [...waiting]) look();
  };
  const until = (test: () => boolean) => {
    const fulfilled = new Promise<void>((resolve) => {
      const look = () => {
        if (!test()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
    return within(fulfilled, shown(test));
  };
  const transport = engine.create({
    messageBytes: 64 * 1024,
    bodyBytes: 1024,
    maxBufferedBytes: 1024 * 1024,
    chooseSubprotocol: (offered) => offered.find((name) => name === 'roomwire.v1'),
    open(socket, info) {
      const peer: Peer = { socket, info, messages: [], closes: [], drains: 0 };
      peers.push(peer);
      behaviour.onOpen?.(peer);
      changed();
      return {
        message(bytes, binary) {
          peer.messages.push({ bytes: Buffer.from(Buffer.from(bytes)), binary });
          if (behaviour.onMessage !== undefined) behaviour.onMessage(peer, bytes, binary);
          else socket.send(Buffer.from(bytes));
          changed();
        },
        drained() {
          peer.drains++;
          changed();
        },
        closed(code, reason) {
          peer.closes.push({ code, reason });
          changed();
        },
      };
    },
    request: async (request) =>
      behaviour.answer?.(request) ?? { status: 404, headers: { 'content-type': 'text/plain' }, body: 'Not found.' },
    failed(error) {
      failures.push(error);
      changed();
    },
    ...behaviour,
  });
  const port = await transport.listen({ host: '127.0.0.1', port: behaviour.port ?? 0 });
  t.teardown(() => transport.close());
  return {
    transport,
    port,
    url: `ws://127.0.0.1:${port}`,
    peers,
    failures,
    until,
    async peer(index = 0) {
      await until(() => peers.length > index);
      return peers[index]!;
    },
  };
}

/** A proper client, connected. */
export async function open(url: string, ...args: [protocols?: string[], options?: object]): Promise<WebSocket> {
  const client = new WebSocket(url, ...args);
  await once(client, 'open');
  return client;
}

/** Sends until the engine holds some back; answers how many it took. */
export async function fill(socket: { send(bytes: Uint8Array): string }): Promise<number> {
  for (let sent = 1; sent < 2_000; sent++) {
    if (socket.send(Buffer.alloc(50_000)) === 'queued') return sent;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error('The peer does not stall.');
}
