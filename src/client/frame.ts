/** Encodes a frame so that an error names the path inside the application's own data. */
import { encode, EncodeError } from '../protocol/codec.js';
import { RoomwireError } from '../protocol/errors.js';

/** `most`: the bytes of the largest message that the server takes. Throws EncodeError, and too_large. */
export function encodeFrame(parts: readonly unknown[], most = Infinity): Uint8Array {
  let bytes;
  try {
    bytes = encode(parts);
  } catch (error) {
    if (error instanceof EncodeError) for (const part of parts) encode(part, { level: 1 });
    throw error;
  }
  if (bytes.length > most) throw new RoomwireError('too_large');
  return bytes;
}

/** What an entry adds to a map. */
export function entryBytes(key: string, value: unknown): number {
  return encode([key, value]).length - 1;
}
