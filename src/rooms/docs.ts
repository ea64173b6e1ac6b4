/**
 * What a program keeps of a room beside its metadata: frames, messages, bookmarks. It is kept under a number that no
 * other room ever has, so a later room of the same name starts empty at once, and goes a page a transaction after the
 * room was deleted: a room full of frames must not keep the others waiting. rooms.ts hands it out.
 */
import type { PluginHost, Transaction } from '../server/api.js';

/** Documents of one room. Tables are the program's to name, without `/`. */
export interface RoomDocs {
  get<T>(table: string, key: string): T | undefined;
  /** Throws EncodeError for what is not plain data. */
  set(table: string, key: string, value: unknown): void;
  delete(table: string, key: string): void;
  /** Ordered by the keys' bytes; `after` excludes itself. */
  list<T>(
    table: string,
    options: { readonly prefix?: string; readonly after?: string; readonly limit: number },
  ): [key: string, value: T][];
}

const DOCS = 'rooms-docs';
/** By number: rooms that are gone, whose documents are being deleted. */
const GONE = 'rooms-docs-gone';
const PAGE = 200;

export function docsOf(tx: Transaction, number: string): RoomDocs {
  const prefixOf = (table: string): string => {
    if (table.includes('/')) throw new TypeError(`the name of a table has no '/': '${table}'`);
    return `${number}/${table}/`;
  };
  return {
    get: (table, key) => tx.get(DOCS, prefixOf(table) + key),
    set: (table, key, value) => tx.set(DOCS, prefixOf(table) + key, value),
    delete: (table, key) => tx.delete(DOCS, prefixOf(table) + key),
    list<T>(table: string, { prefix = '', after, limit }: { prefix?: string; after?: string; limit: number }) {
      const own = prefixOf(table);
      const range = { prefix: own + prefix, limit, ...(after === undefined ? {} : { after: own + after }) };
      return tx.list<T>(DOCS, range).map(([key, value]): [string, T] => [key.slice(own.length), value]);
    },
  };
}

export class DocsOfGoneRooms {
  readonly #server: PluginHost;
  #sweeping = false;

  constructor(host: PluginHost) {
    this.#server = host;
  }

  /** In the transaction that deletes the room. */
  forget(tx: Transaction, number: string): void {
    if (tx.list(DOCS, { prefix: `${number}/`, limit: 1 }).length === 0) return;
    tx.set(GONE, number, true);
    tx.afterCommit(() => this.sweep());
  }

  /** Goes on until nothing of a gone room is left, also of what an earlier process did not finish. */
  sweep(): void {
    if (this.#sweeping) return;
    this.#sweeping = true;
    const all = async (): Promise<void> => {
      while (this.#sweeping) await this.#server.transact((tx) => this.#page(tx));
    };
    // The server ends or the store fails.
    all().catch((err: unknown) => {
      this.#sweeping = false;
      this.#server.log.warn({ err }, 'documents of deleted rooms stay until the next room goes, or the next start');
    });
  }

  #page(tx: Transaction): void {
    const [gone] = tx.list(GONE, { limit: 1 });
    if (gone === undefined) {
      // Here and not later: a room deleted after this is seen by the sweep that its commit begins.
      this.#sweeping = false;
      return;
    }
    const [number] = gone;
    const found = tx.list(DOCS, { prefix: `${number}/`, limit: PAGE });
    for (const [key] of found) tx.delete(DOCS, key);
    if (found.length < PAGE) tx.delete(GONE, number);
  }
}
