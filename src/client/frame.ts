/** Encodes a frame so that an error names the path inside the application's own data. */
import { encode, EncodeError } from '../protocol/codec.js';

export function encodeFrame(parts: readonly unknown[]): Uint8Array {
  try {
    return encode(parts);
  } catch (error) {
    if (error instanceof EncodeError) for (const part of parts) encode(part, { level: 1 });
    throw error;
  }
}

/** What an entry adds to a map. */
export function entryBytes(key: string, value: unknown): number {
  return encode([key, value]).length - 1;
}
