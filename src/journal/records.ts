/**
 * What the records of a journal say, and how they are written. Pairs of writer and reader, by kind. A record's format is
 * written one release after it can be read, so that nodes of two releases share a log.
 */
import { ByteReader, ByteWriter, readOperation, writeOperation } from '../store/bytes.js';
import { StoreError, type Batch, type Operation, type StoreMeta } from '../store/store.js';

/** Of the records written here, and the newest that can be read. */
export const FORMAT = 1;

/** The first record. */
export interface Genesis {
  readonly kind: 'genesis';
  readonly generation: string;
  /** Of the cluster's secret: another cluster's node is refused. */
  readonly check: string;
  /** The state as of this record is not empty: it is in a snapshot. */
  readonly isSeeded: boolean;
}

/** A node is the hub from here on. */
export interface Begin {
  readonly kind: 'begin';
  readonly term: number;
  readonly node: string;
  /** Where edges dial it; empty: nowhere. */
  readonly link: string;
  /** Another than before: the log may have lost something that was told, so all topics begin anew. */
  readonly generation: string;
  /** Of contract, policy and limits. */
  readonly digest: string;
  readonly time: number;
}

/** The hub is alive. */
export interface Beat {
  readonly kind: 'beat';
  readonly term: number;
  readonly time: number;
}

/** A standby cannot reach the hub's link: the hub is to yield to it. */
export interface Claim {
  readonly kind: 'claim';
  readonly node: string;
}

/** A node knew records of this generation that are no longer in the log. */
export interface Doubt {
  readonly kind: 'doubt';
  readonly node: string;
  readonly generation: string;
}

/** The first bytes of a batch that is larger than a record may be. */
export interface Part {
  readonly kind: 'part';
  readonly batch: string;
  readonly bytes: Uint8Array;
}

/** A batch, which counts from here on. */
export interface BatchRecord {
  readonly kind: 'batch';
  readonly batch: string;
  /** Of `operations`, less the parts before. */
  readonly bytes: Uint8Array;
  readonly parts: number;
  readonly meta: StoreMeta;
}

/** The hub has stopped in order. */
export interface Yield {
  readonly kind: 'yield';
  readonly term: number;
  readonly time: number;
}

export type Record = Genesis | Begin | Beat | Claim | Doubt | Part | BatchRecord | Yield;

const KINDS = ['genesis', 'begin', 'beat', 'claim', 'doubt', 'part', 'batch', 'yield'] as const;

/** Of a newer version: a node that meets one stays a standby. */
export class NewerRecord extends StoreError {
  constructor(format: number) {
    super('unusable', `the log has records of format ${format}, this node knows ${FORMAT}: upgrade it`);
  }
}

export function writeRecord(record: Record): Uint8Array {
  const to = new ByteWriter().byte(FORMAT).byte(KINDS.indexOf(record.kind));
  switch (record.kind) {
    case 'genesis':
      to.text(record.generation)
        .text(record.check)
        .byte(record.isSeeded ? 1 : 0);
      break;
    case 'begin':
      to.number(record.term).text(record.node).text(record.link).text(record.generation);
      to.text(record.digest).number(record.time);
      break;
    case 'beat':
    case 'yield':
      to.number(record.term).number(record.time);
      break;
    case 'claim':
      to.text(record.node);
      break;
    case 'doubt':
      to.text(record.node).text(record.generation);
      break;
    case 'part':
      to.text(record.batch).raw(record.bytes);
      break;
    case 'batch':
      writeBatchHead(to, record).raw(record.bytes);
      break;
  }
  return to.take();
}

function writeBatchHead(to: ByteWriter, { batch, parts, meta }: Omit<BatchRecord, 'kind' | 'bytes'>): ByteWriter {
  return to.text(batch).number(parts).number(meta.time).number(meta.counter).number(meta.incarnation);
}

/** Throws `unusable` for one of a newer version, and for what is none. */
export function readRecord(bytes: Uint8Array): Record {
  const from = new ByteReader(bytes);
  try {
    const format = from.byte();
    if (format > FORMAT) throw new NewerRecord(format);
    return readKnown(KINDS[from.byte()], from);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw new StoreError('unusable', `the log holds a record that is none of roomwire's: ${(error as Error).message}`);
  }
}

function readKnown(kind: Record['kind'] | undefined, from: ByteReader): Record {
  switch (kind) {
    case 'genesis':
      return { kind, generation: from.text(), check: from.text(), isSeeded: from.byte() === 1 };
    case 'begin': {
      const [term, node, link, generation] = [from.number(), from.text(), from.text(), from.text()];
      return { kind, term, node, link, generation, digest: from.text(), time: from.number() };
    }
    case 'beat':
    case 'yield':
      return { kind, term: from.number(), time: from.number() };
    case 'claim':
      return { kind, node: from.text() };
    case 'doubt':
      return { kind, node: from.text(), generation: from.text() };
    case 'part':
      return { kind, batch: from.text(), bytes: from.rest() };
    case 'batch': {
      const [batch, parts] = [from.text(), from.number()];
      const meta = { time: from.number(), counter: from.number(), incarnation: from.number() };
      return { kind, batch, parts, meta, bytes: from.rest() };
    }
    case undefined:
      throw new RangeError('its kind is unknown');
  }
}

/** What surrounds the bytes of a part or a batch, at most. */
const HEADER_BYTES = 128;

/** The records of one batch, in order; `name` tells it from all others. None of them is longer than `maxBytes`. */
export function writeBatch({ operations, meta }: Batch, name: string, maxBytes: number): Uint8Array[] {
  // As one record, which it nearly always is: its bytes are written where they are to stand.
  const to = new ByteWriter().byte(FORMAT).byte(KINDS.indexOf('batch'));
  writeBatchHead(to, { batch: name, parts: 0, meta });
  const head = to.length;
  for (const operation of operations) writeOperation(to, operation);
  if (to.length <= maxBytes) return [to.take()];
  const bytes = to.take().subarray(head);
  const room = maxBytes - HEADER_BYTES;
  const records: Uint8Array[] = [];
  let at = 0;
  for (; bytes.length - at > room; at += room) {
    records.push(writeRecord({ kind: 'part', batch: name, bytes: bytes.subarray(at, at + room) }));
  }
  records.push(writeRecord({ kind: 'batch', batch: name, parts: records.length, meta, bytes: bytes.subarray(at) }));
  return records;
}

/** Of a batch's bytes, all its parts together. */
export function readOperations(bytes: Uint8Array): Operation[] {
  const operations: Operation[] = [];
  for (const from = new ByteReader(bytes); !from.done;) operations.push(readOperation(from));
  return operations;
}
