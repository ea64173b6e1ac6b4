/** The two answers to a request, ACK and NACK: whatever an error carries, its answer can be sent and is small. */
import { messageOf } from '../../protocol/code-texts.js';
import { encode } from '../../protocol/codec.js';
import type { RoomwireError } from '../../protocol/errors.js';
import { Op } from '../../protocol/frames.js';
import { shortened } from '../../protocol/text.js';
import { borrowWriter, pooled } from './pooled.js';

/** A schema's message may quote the data. */
const MESSAGE_CHARACTERS = 500;
const NACK_BYTES = 8 * 1024;

/** Throws EncodeError, naming the path in `name`, for what cannot be sent. */
export function ackFrame(id: number, data: unknown, name = 'data'): Uint8Array {
  const writer = borrowWriter();
  writer.writeArrayHeader(3);
  writer.writeInt(Op.ACK);
  writer.writeInt(id);
  writer.writeValue(data, { name, level: 1 });
  return pooled(writer);
}

/** Leaves out details that are too large or cannot be encoded: a handler chose them, and a throw here would reach nobody. */
export function nackFrame(id: number, error: RoomwireError): Uint8Array {
  const { code, details } = error;
  const text = shortened(messageOf(error), MESSAGE_CHARACTERS);
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
