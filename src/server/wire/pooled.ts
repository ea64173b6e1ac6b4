/**
 * Encoding what lives for a tick or so: replies and the items of events, one behind the other in a shared buffer. An
 * array of bytes of its own costs several times as much to make and to collect. What stays longer
 * must be copied, or a few bytes keep all of the buffer.
 */
import { Writer } from '../../protocol/codec.js';

const SHARED_BYTES = 16 * 1024;

let idle: Writer | undefined;

/** An empty writer, to be handed to `pooled`. After a throw in between it is simply forgotten. */
export function borrowWriter(): Writer {
  // A getter in what is being encoded may encode something itself: then none is idle.
  const writer = idle ?? new Writer(SHARED_BYTES);
  idle = undefined;
  writer.reset();
  return writer;
}

/** What was written, as bytes in the shared buffer; the writer goes back. */
export function pooled(writer: Writer): Uint8Array {
  idle = writer;
  return writer.leave();
}

/** Throws EncodeError, naming the path in `name`. */
export function encodePooled(value: unknown, name?: string): Uint8Array {
  const writer = borrowWriter();
  writer.writeValue(value, name === undefined ? undefined : { name });
  return pooled(writer);
}
