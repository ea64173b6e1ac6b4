/** A wrapper that spoils frames: between a server and its client it passes on all messages, those of one side changed. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { concat, decodeAll, encode } from '../../src/protocol/codec.js';

export type Frame = unknown[];
/** What becomes of a message's frames; a Uint8Array or a string is sent as it is. `connection`: the same for all of one. */
export type Spoil = (frames: Frame[], connection: object) => Frame[] | Uint8Array | string;

export interface Spoiler {
  readonly url: string;
  close(): void;
}

/** Of each connection, not of what it carries. */
const OWN_HEADERS = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'keep-alive']);

export async function spoiler(target: string, side: 'server' | 'client', spoil: Spoil): Promise<Spoiler> {
  const server = createServer((request, response) => {
    const { method = 'GET', url = '', headers } = request;
    void (async () => {
      const answer = await fetch(target.replace(/^ws/, 'http') + url, {
        method,
        headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN_HEADERS.has(name))) as Record<
          string,
          string
        >,
        ...(method === 'GET' ? {} : { body: Buffer.concat((await request.toArray()) as Buffer[]) }),
      });
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
    })();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Set<WebSocket>();
  let chosen = '';
  const upgrades = new WebSocketServer({ noServer: true, handleProtocols: () => chosen || false });
  // The near side opens as the far side has: with its subprotocol, or its refusal.
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => undefined);
    const { authorization, origin, 'sec-websocket-protocol': offered = '' } = request.headers;
    const far = new WebSocket(target + (request.url ?? '/'), offered.split(/, */).filter(Boolean), {
      headers: { ...(authorization && { authorization }), ...(origin && { origin }) },
      perMessageDeflate: false,
    });
    far.once('error', () => socket.destroy());
    far.on('error', () => undefined);
    far.once('unexpected-response', (_, { statusCode = 503, headers: { 'retry-after': later } }) => {
      const head = `connection: close\r\ncontent-length: 0\r\n${later === undefined ? '' : `retry-after: ${later}\r\n`}`;
      socket.end(`HTTP/1.1 ${statusCode} Refused\r\n${head}\r\n`);
    });
    far.once('open', () => {
      chosen = far.protocol;
      upgrades.handleUpgrade(request, socket, head, (near) => pass(near, far));
    });
  });
  const pass = (near: WebSocket, far: WebSocket): void => {
    const send = (to: WebSocket, data: Buffer, isBinary: boolean, changed: boolean): void => {
      if (!changed || !isBinary || data.length === 0) return to.send(isBinary ? data : data.toString());
      let frames: Frame[];
      try {
        frames = decodeAll(new Uint8Array(data));
      } catch {
        return to.send(data);
      }
      const message = spoil(frames, near);
      if (typeof message === 'string' || message instanceof Uint8Array) to.send(message);
      else if (message.length > 0) to.send(concat(message.map((frame) => encode(frame))));
    };
    near.on('message', (data: Buffer, isBinary) => send(far, data, isBinary, side === 'client'));
    far.on('message', (data: Buffer, isBinary) => send(near, data, isBinary, side === 'server'));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined);
      from.on('close', (code, reason) => {
        if (code === 1005 || code === 1006) to.terminate();
        else to.close(code, reason);
      });
    }
  };
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      for (const socket of sockets) socket.terminate();
      server.closeAllConnections();
      server.close();
    },
  };
}
