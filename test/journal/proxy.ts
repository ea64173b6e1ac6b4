/** Between two that speak over TCP, such as a log's handle and its engine: loses an answer, cuts, holds back, leads elsewhere. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Place {
  readonly host: string;
  readonly port: number;
}

export interface Proxy {
  readonly port: number;
  /** Where new connections lead: a port of this machine. */
  target: number;
  /** What a request holds whose answer is lost, with its connection. Once. */
  losing: string | undefined;
  /** Ends all connections; while `true`, new ones too. */
  cut(stays?: boolean): void;
  /** As a cut cable: nothing passes in either direction, and nobody is told. What was sent arrives after `heal`. */
  hold(): void;
  heal(): void;
  close(): void;
}

/** `target`: the port of this machine where new connections lead, or who says where for each. `host`: where it listens. */
export async function startProxy(target: number | (() => Place), host = '127.0.0.1'): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let [isCut, isHeld] = [false, false];
  const server = createServer((down) => {
    if (isCut) return void down.destroy();
    const up = connect(typeof target === 'function' ? target() : { host: '127.0.0.1', port: proxy.target });
    let isLosing = false;
    for (const [from, to] of [
      [down, up],
      [up, down],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        if (from === up && isLosing) {
          up.destroy();
          down.destroy();
          return;
        }
        if (from === down && proxy.losing !== undefined && chunk.includes(proxy.losing)) {
          isLosing = true;
          proxy.losing = undefined;
        }
        to.write(chunk);
      });
      if (isHeld) from.pause();
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  const end = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  server.listen(0, host);
  await once(server, 'listening');
  const proxy: Proxy = {
    port: (server.address() as AddressInfo).port,
    target: typeof target === 'function' ? 0 : target,
    losing: undefined,
    cut: (stays = true) => {
      isCut = stays;
      end();
    },
    hold: () => {
      isHeld = true;
      for (const socket of sockets) socket.pause();
    },
    heal: () => {
      isCut = isHeld = false;
      for (const socket of sockets) socket.resume();
    },
    close: () => {
      server.close();
      end();
    },
  };
  return proxy;
}
