/** The client's half of a WebSocket, by hand: a client library would cost more than the servers do. */
import { randomBytes } from 'node:crypto';

export function upgradeRequest(
  port: number,
  { path = '/', subprotocol }: { readonly path?: string | undefined; readonly subprotocol?: string | undefined },
): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    'Sec-WebSocket-Version: 13',
    ...(subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]),
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** First bytes of a whole message. */
export const BINARY = 0x82;
export const TEXT = 0x81;

/** A message. The mask is zero: allowed, and the bytes stay as they are. */
export function clientMessage(payload: Uint8Array, opcode = BINARY): Buffer {
  const { length } = payload;
  const bytes = length < 126 ? 0 : length < 0x10000 ? 2 : 8;
  const head = Buffer.alloc(2 + bytes + 4);
  head[0] = opcode;
  head[1] = 0x80 | (bytes === 0 ? length : bytes === 2 ? 126 : 127);
  if (bytes === 2) head.writeUInt16BE(length, 2);
  else if (bytes === 8) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

/** The longest header of a server's message. */
export const HEADER_BYTES = 10;

/** Bytes of the header at `pos`, by its second byte. */
export function headerBytes(second: number): number {
  return second < 126 ? 2 : second === 126 ? 4 : HEADER_BYTES;
}

/** Bytes of the message whose whole header, of `size` bytes, stands at `pos`. Throws on anything but a whole message of that kind. */
export function messageBytes(bytes: Buffer, pos: number, size: number, opcode: number): number {
  if (bytes[pos] !== opcode) throw new Error(`the server sent a frame that starts with 0x${bytes[pos]?.toString(16)}`);
  if (size === 2) return bytes[pos + 1] as number;
  return size === 4 ? bytes.readUInt16BE(pos + 2) : Number(bytes.readBigUInt64BE(pos + 2));
}
