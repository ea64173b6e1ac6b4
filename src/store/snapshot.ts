/**
 * All that a store holds as a stream of parts, the same whichever store wrote it: a memory store can be filled from an LMDB
 * store's and the other way round. A part is some items of at most PART_BYTES together, or one larger one; the last item says
 * how many there were, so that a stream that was cut off is found.
 */
import { ByteReader, ByteWriter } from './bytes.js';
import { StoreError, type LogChunk, type StoreMeta, type TopicRecord } from './store.js';

export const PART_BYTES = 256 * 1024;
const FORMAT = 1;

const META = 1;
const TOPIC = 2;
const CHUNK = 3;
const DOCUMENT = 4;
const END = 5;

export type SnapshotItem =
  | { readonly type: 'meta'; readonly meta: StoreMeta }
  | { readonly type: 'topic'; readonly name: string; readonly record: TopicRecord }
  /** Of the topic before it, in order. */
  | { readonly type: 'chunk'; readonly chunk: LogChunk }
  | { readonly type: 'document'; readonly table: string; readonly key: string; readonly value: Uint8Array };

export async function* writeSnapshot(items: Iterable<SnapshotItem>): AsyncGenerator<Uint8Array> {
  const to = new ByteWriter();
  let count = 0;
  for (const item of items) {
    writeItem(to, item);
    count++;
    if (to.length >= PART_BYTES) yield to.take();
  }
  yield to.byte(END).number(count).take();
}

/** Throws `unusable` for what is cut off, damaged, or of a newer version. */
export async function* readSnapshot(parts: AsyncIterable<Uint8Array>): AsyncGenerator<readonly SnapshotItem[]> {
  let count = 0;
  let isWhole = false;
  for await (const part of parts) {
    const items: SnapshotItem[] = [];
    try {
      for (const from = new ByteReader(part); !from.done;) {
        if (isWhole) throw new RangeError('something follows its end');
        const item = readItem(from);
        if (item === undefined) {
          isWhole = from.number() === count;
          if (!isWhole) throw new RangeError('parts of it are missing');
          continue;
        }
        count++;
        items.push(item);
      }
    } catch (error) {
      if (error instanceof StoreError) throw error;
      throw new StoreError('unusable', `the snapshot is damaged: ${(error as Error).message}`, error);
    }
    if (items.length > 0) yield items;
  }
  if (!isWhole) throw new StoreError('unusable', 'the snapshot is damaged: its end is missing');
}

function writeItem(to: ByteWriter, item: SnapshotItem): void {
  switch (item.type) {
    case 'meta': {
      const { time, counter, incarnation } = item.meta;
      to.byte(META).number(FORMAT).number(time).number(counter).number(incarnation);
      break;
    }
    case 'topic': {
      const { epoch, head, tail } = item.record;
      to.byte(TOPIC).text(item.name).text(epoch).number(head).number(tail);
      break;
    }
    case 'chunk':
      to.byte(CHUNK).number(item.chunk.first).number(item.chunk.count).bytes(item.chunk.frame);
      break;
    case 'document':
      to.byte(DOCUMENT).text(item.table).text(item.key).bytes(item.value);
      break;
  }
}

/** Undefined: the end. */
function readItem(from: ByteReader): SnapshotItem | undefined {
  switch (from.byte()) {
    case META: {
      const format = from.number();
      if (format !== FORMAT) {
        throw new StoreError('unusable', `the snapshot has format ${format}, this server knows ${FORMAT}: upgrade it`);
      }
      return { type: 'meta', meta: { time: from.number(), counter: from.number(), incarnation: from.number() } };
    }
    case TOPIC: {
      const [name, epoch, head, tail] = [from.text(), from.text(), from.number(), from.number()];
      return { type: 'topic', name, record: { epoch, head, tail } };
    }
    case CHUNK: {
      // Copies: whoever keeps one is not to keep the whole part.
      const [first, count, frame] = [from.number(), from.number(), Buffer.from(from.bytes())];
      return { type: 'chunk', chunk: { first, count, frame } };
    }
    case DOCUMENT:
      return { type: 'document', table: from.text(), key: from.text(), value: from.bytes() };
    case END:
      return undefined;
    default:
      throw new RangeError('an item of no known kind');
  }
}
