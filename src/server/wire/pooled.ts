/**
 * Encoding what lives for a tick or so: replies and the items of events, into Buffer's pool. An
 * array of bytes of its own costs several times as much to make and to collect. What stays longer
 * must be copied, or a few bytes keep a page of the pool.
 */
import { Writer } from '../../protocol/codec.js';

let idle: Writer | undefined;

/** An empty writer, to be handed to `pooled`. After a throw in between it is simply forgotten. */
export function borrowWriter(): Writer {
  // A getter in what is being encoded may encode something itself: then none is idle.
  const writer = idle ?? new Writer();
  idle = undefined;
  writer.reset();
  return writer;
}

/** What was written, as bytes in the pool; the writer goes back. */
export function pooled(writer: Writer): Uint8Array {
  const { written } = writer;
  const bytes = Buffer.allocUnsafe(written.length);
  bytes.set(written);
  idle = writer;
  return bytes;
}

/** Throws EncodeError, naming the path in `name`. */
export function encodePooled(value: unknown, name?: string): Uint8Array {
  const writer = borrowWriter();
  writer.writeValue(value, name === undefined ? undefined : { name });
  return pooled(writer);
}
