/** A WebSocket client for the server's own port: what a client gets, through the same sockets. */
import { WebSocket } from 'ws';

export interface LoopbackOptions {
  readonly url: string;
  readonly subprotocol: string;
  readonly token: string;
  readonly opened: () => void;
  readonly message: (bytes: Uint8Array) => void;
  /** Exactly once, however it ended. */
  readonly closed: (reason: string) => void;
}

export interface Loopback {
  send(bytes: Uint8Array): void;
  close(): void;
}

export function connectLoopback({ url, subprotocol, token, opened, message, closed }: LoopbackOptions): Loopback {
  const socket = new WebSocket(url, [subprotocol], {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
    followRedirects: false,
    // It is this server's own port, by its address: a certificate is for a name.
    rejectUnauthorized: false,
  });
  socket.binaryType = 'nodebuffer';
  let problem = '';
  socket.on('open', opened);
  socket.on('message', (data) => message(new Uint8Array(data as Buffer)));
  // A close always follows.
  socket.on('error', (error) => (problem = error.message));
  socket.on('close', (code, reason) => closed(problem || `closed with ${code} ${reason.toString()}`));
  return {
    send: (bytes) => socket.send(bytes),
    close: () => socket.terminate(),
  };
}
