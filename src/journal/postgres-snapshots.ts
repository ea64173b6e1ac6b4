/**
 * Snapshots in PostgreSQL: a table for each, whose name goes into the log's own row once its last part is there. So half a
 * snapshot never counts, and dropping an old one gives its disk back at once.
 */
import { createHash, randomBytes } from 'node:crypto';
import { StoreError } from '../store/store.js';
import type { JournalSnapshot } from './journal.js';
import type { Ask } from './postgres-connection.js';
import { dropTable, keepSnapshot, makeSnapshot, sweepSnapshots, tablesOf } from './postgres-schema.js';

export class Snapshots {
  readonly #schema: string;
  readonly #ask: Ask;

  /** `ask` rejects with a StoreError. */
  constructor(schema: string, ask: Ask) {
    this.#schema = schema;
    this.#ask = ask;
  }

  async save(at: number, parts: AsyncIterable<Uint8Array>): Promise<void> {
    const id = randomBytes(8).toString('hex');
    const table = tablesOf(this.#schema).snapshot(id);
    await this.#ask(makeSnapshot(this.#schema, id));
    try {
      let count = 0;
      for await (const part of parts)
        await this.#ask(`insert into ${table} (part, hash, bytes) values ($1, $2, $3)`, [count++, hashOf(part), part]);
      const [kept] = await this.#ask(keepSnapshot(this.#schema, { id, at, count }));
      // Or it was swept away by who kept one meanwhile.
      if (kept === undefined) throw new StoreError('refused', 'a snapshot of a later record is there');
    } catch (error) {
      await this.#ask(dropTable(table)).catch(() => undefined);
      throw error;
    }
    // Who reads an old one, such as a backup, may hold that up: the next does it.
    await this.#ask(sweepSnapshots(this.#schema)).catch(() => undefined);
  }

  async load(): Promise<JournalSnapshot | undefined> {
    const { journal, snapshot } = tablesOf(this.#schema);
    const [row] = await this.#ask(
      `select snapshot, snapshot_at::float8 as at, snapshot_parts as parts from ${journal}`,
    );
    if (typeof row?.['snapshot'] !== 'string') return undefined;
    const table = snapshot(row['snapshot']);
    const read = async (part: number): Promise<Uint8Array> => {
      const [found] = await this.#ask(`select hash, bytes from ${table} where part = $1`, [part]);
      const bytes = found?.['bytes'] as Uint8Array | undefined;
      if (bytes === undefined || Buffer.compare(hashOf(bytes), found?.['hash'] as Uint8Array) !== 0)
        throw new StoreError('refused', `part ${part} of the snapshot is missing or damaged`);
      return bytes;
    };
    async function* parts(count: number): AsyncIterable<Uint8Array> {
      for (let part = 0; part < count; part++) yield await read(part);
    }
    return { at: row['at'] as number, parts: parts(row['parts'] as number) };
  }
}

function hashOf(part: Uint8Array): Buffer {
  return createHash('sha256').update(part).digest().subarray(0, 16);
}
