/**
 * How the LMDB store lays out keys and records. LMDB orders keys by their bytes, so integers in keys
 * are big-endian and strings are UTF-8. Who calls it: lmdb.ts.
 */
import type { StoreMeta, TopicRecord } from './store.js';

/** LMDB's own limit of a key, bytes. storeLimits keep ours below it. */
export const maxKeyBytes = 1_978;

export interface StoredTopic extends TopicRecord {
  /** Names the topic in the log's keys. Never reused, so a dropped topic's chunks cannot come back. */
  readonly id: number;
}

/** Length of the table's name, the name, the key: no table's range runs into another's. */
export function documentKey(table: string, key: string): Buffer {
  const tableBytes = Buffer.byteLength(table);
  const bytes = Buffer.allocUnsafe(1 + tableBytes + Buffer.byteLength(key));
  bytes[0] = tableBytes;
  bytes.write(table, 1);
  bytes.write(key, 1 + tableBytes);
  return bytes;
}

export function tableOf(key: Uint8Array): string {
  return text(key.subarray(0, 1 + (key[0] as number)), 1);
}

export function documentName(table: string, key: Uint8Array): string {
  return text(key, 1 + Buffer.byteLength(table));
}

/** LMDB knows no empty key, hence the byte in front. */
export const topicKey = (name: string): Buffer => documentKey('', name);
export const topicName = (key: Uint8Array): string => text(key, 1);

/** The least key that is greater than every key that begins with `prefix`. */
export function afterPrefix(prefix: Uint8Array): Buffer {
  let length = prefix.length;
  while (prefix[length - 1] === 0xff) length--;
  const end = Buffer.from(prefix.subarray(0, length));
  end[length - 1] = (end[length - 1] as number) + 1;
  return end;
}

/**
 * A chunk's key: u64 topic id, u64 offset of its *last* event, u32 number of events. With the last
 * offset in front, the chunk that holds an offset is the first key at or after it, and a trim is one range.
 */
export function chunkKey(topicId: number, last: number, count: number): Buffer {
  const key = Buffer.allocUnsafe(20);
  writeUint64(key, topicId, 0);
  writeUint64(key, last, 8);
  key.writeUInt32BE(count, 16);
  return key;
}

export function chunkRange(key: Uint8Array): { readonly first: number; readonly count: number } {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const last = view.getUint32(8) * 2 ** 32 + view.getUint32(12);
  const count = view.getUint32(16);
  return { first: last - count + 1, count };
}

function writeUint64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  bytes.writeUInt32BE(value >>> 0, at + 4);
}

export function encodeTopic({ id, head, tail, epoch }: StoredTopic): Buffer {
  const bytes = Buffer.allocUnsafe(24 + Buffer.byteLength(epoch));
  bytes.writeDoubleBE(id, 0);
  bytes.writeDoubleBE(head, 8);
  bytes.writeDoubleBE(tail, 16);
  bytes.write(epoch, 24);
  return bytes;
}

export function decodeTopic(bytes: Uint8Array): StoredTopic {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { id: view.getFloat64(0), head: view.getFloat64(8), tail: view.getFloat64(16), epoch: text(bytes, 24) };
}

/** What every commit writes: who wrote last, which batch, and the counters. */
export interface BatchRecord {
  /** Eight random bytes per open: batch ids of another run mean nothing here. */
  readonly run: string;
  readonly batch: number;
  readonly meta: StoreMeta;
  readonly nextTopicId: number;
  readonly topics: number;
}

/** Bytes of a BatchRecord. */
export const BATCH_BYTES = 56;

export function encodeBatch({ run, batch, meta, nextTopicId, topics }: BatchRecord): Buffer {
  const bytes = Buffer.allocUnsafe(BATCH_BYTES);
  bytes.write(run, 0, 8, 'latin1');
  [batch, meta.time, meta.counter, meta.incarnation, nextTopicId, topics].forEach((value, i) =>
    bytes.writeDoubleBE(value, 8 + i * 8),
  );
  return bytes;
}

export function decodeBatch(bytes: Uint8Array): BatchRecord {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = (i: number): number => buffer.readDoubleBE(8 + i * 8);
  return {
    run: buffer.toString('latin1', 0, 8),
    batch: value(0),
    meta: { time: value(1), counter: value(2), incarnation: value(3) },
    nextTopicId: value(4),
    topics: value(5),
  };
}

/** What is written when the store is opened and closed, as JSON. */
export interface StoreRecord {
  readonly format: 1;
  readonly generation: string;
  readonly durability: 'process' | 'power';
  /** The machine's boot at which the store was last opened; null where the system names none. */
  readonly bootId: string | null;
  /** Closed in order, with everything on the disk. */
  readonly clean: boolean;
  /** What it holds is part of a snapshot. */
  readonly filling?: true;
  /** Which file this is: a copy that was put back is another file. */
  readonly file: string;
}

export const encodeStore = (record: StoreRecord): Buffer => Buffer.from(JSON.stringify(record));

export function decodeStore(bytes: Uint8Array): StoreRecord {
  return JSON.parse(text(bytes, 0)) as StoreRecord;
}

function text(bytes: Uint8Array, from: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, bytes.byteLength - from).toString('utf8');
}
