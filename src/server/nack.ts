/** NACK frames: whatever an error carries, its answer can be sent and is small. */
import { messageOf } from '../protocol/code-texts.js';
import { encode } from '../protocol/codec.js';
import type { RoomwireError } from '../protocol/errors.js';
import { Op } from '../protocol/frames.js';

/** A schema's message may quote the data. */
const MESSAGE_CHARACTERS = 500;
const NACK_BYTES = 8 * 1024;

/** Leaves out details that are too large or cannot be encoded: a handler chose them, and a throw here would reach nobody. */
export function nackFrame(id: number, error: RoomwireError): Uint8Array {
  const { code, details } = error;
  // Through a buffer: a cut may leave half a character.
  const text = Buffer.from(messageOf(error).slice(0, MESSAGE_CHARACTERS)).toString();
  if (details !== undefined) {
    try {
      const frame = encode([Op.NACK, id, code, text, details]);
      if (frame.length <= NACK_BYTES) return frame;
    } catch {
      // The message alone, then.
    }
  }
  return encode([Op.NACK, id, code, text]);
}
