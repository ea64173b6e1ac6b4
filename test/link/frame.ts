/** A frame of the link as bytes, for tests that write to it themselves. */
import { HEADER, writeHeader } from '../../src/link/frames.js';

export function frame(op: number, a: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(HEADER + payload.length);
  writeHeader(bytes, 0, { op, a, length: payload.length });
  bytes.set(payload, HEADER);
  return bytes;
}
