/**
 * Judges the keys and records of a store's tables while its file is looked through: keys that can be
 * walked forward, topics whose chunks follow each other up to their head, records that can be read.
 * What stands inside a value may be wrong all the same. Who calls it: lmdb-check.ts, in key order.
 */
import { isUtf8 } from 'node:buffer';
import { Damage } from './lmdb-page.js';
import { BATCH_BYTES, chunkRange, decodeBatch, decodeStore, decodeTopic, type BatchRecord } from './lmdb-records.js';

const TABLES = ['documents', 'log', 'state', 'topics'];
const CHUNK_KEY_BYTES = 20;

/** The chunks of one topic. */
interface Run {
  readonly first: number;
  last: number;
}

export class Contents {
  readonly #readable: (document: Uint8Array) => boolean;
  readonly #runs = new Map<number, Run>();
  readonly #ids = new Set<number>();
  #batch: BatchRecord | undefined;
  #store = false;

  /** `readable`: whether a document's bytes are what the hub writes. */
  constructor(readable: (document: Uint8Array) => boolean) {
    this.#readable = readable;
  }

  knows(table: string): boolean {
    return TABLES.includes(table);
  }

  /** `key` is good until the next one. */
  entry(table: string, key: Buffer, value: () => Buffer): void {
    switch (table) {
      case 'documents':
        return this.#document(key, value);
      case 'log':
        return this.#chunk(key);
      case 'state':
        return this.#state(key, value());
      default:
        return this.#topic(key, value());
    }
  }

  end(): void {
    if (this.#batch === undefined && (this.#ids.size > 0 || this.#runs.size > 0)) throw new Damage('its state is gone');
    if (this.#batch !== undefined && this.#batch.topics !== this.#ids.size)
      throw new Damage(`it counts ${this.#batch.topics} topics and has ${this.#ids.size}`);
    for (const id of this.#runs.keys()) if (!this.#ids.has(id)) throw new Damage('it has events of no topic');
    if (this.#batch !== undefined && !this.#store) throw new Damage('its state is gone');
  }

  #document(key: Buffer, value: () => Buffer): void {
    const nameEnd = 1 + (key[0] as number);
    if (nameEnd > key.length || !isUtf8(key.subarray(1, nameEnd)) || !isUtf8(key.subarray(nameEnd)))
      throw new Damage('the key of a document is broken');
    const bytes = value();
    if (this.#readable(bytes)) return;
    throw new Damage(`the document ${JSON.stringify(key.toString('utf8', 1))} cannot be read`);
  }

  #chunk(key: Buffer): void {
    if (key.length !== CHUNK_KEY_BYTES) throw new Damage('the key of an event is broken');
    const id = key.readUInt32BE(0) * 2 ** 32 + key.readUInt32BE(4);
    const { first, count } = chunkRange(key);
    const run = this.#runs.get(id);
    if (count < 1 || first < 1 || !Number.isSafeInteger(id) || (run !== undefined && first !== run.last + 1))
      throw new Damage('the events of a topic do not follow each other');
    if (run === undefined) this.#runs.set(id, { first, last: first + count - 1 });
    else run.last = first + count - 1;
  }

  #state(key: Buffer, value: Buffer): void {
    const name = key.toString('latin1');
    if (name === 'batch' && value.length === BATCH_BYTES) {
      const batch = decodeBatch(value);
      const { meta, nextTopicId, topics } = batch;
      const numbers = [batch.batch, meta.time, meta.counter, meta.incarnation, nextTopicId, topics];
      if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0))
        throw new Damage('its counters are broken');
      this.#batch = batch;
    } else if (name === 'store') {
      let record: unknown;
      try {
        record = decodeStore(value);
      } catch {
        throw new Damage('its state cannot be read');
      }
      const { generation, file } = (record ?? {}) as { generation?: unknown; file?: unknown };
      if (typeof generation !== 'string' || generation === '' || typeof file !== 'string')
        throw new Damage('its state is broken');
      this.#store = true;
    } else throw new Damage('its state is broken');
  }

  #topic(key: Buffer, value: Buffer): void {
    const broken = (): Damage => new Damage('the record of a topic is broken');
    if (key[0] !== 0 || !isUtf8(key.subarray(1)) || value.length <= 24 || !isUtf8(value.subarray(24))) throw broken();
    const { id, head, tail } = decodeTopic(value);
    const run = this.#runs.get(id);
    const whole = [id, head, tail].every((number) => Number.isSafeInteger(number) && number >= 1);
    if (!whole || this.#ids.has(id) || id >= (this.#batch?.nextTopicId ?? 0)) throw broken();
    if (run === undefined ? tail !== head + 1 : run.first !== tail || run.last !== head) throw broken();
    this.#ids.add(id);
  }
}
