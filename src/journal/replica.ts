/**
 * The store of this node as a replica of the log: which record it has applied is a document of the same commit, so what it
 * holds and how far it has come cannot differ. One that may have lost something, or was written by others, is not trusted.
 */
import { decodeScanned, encode } from '../protocol/codec.js';
import { writeSnapshot } from '../store/snapshot.js';
import { StoreError, type OpenOptions, type Operation, type Store, type StoreMeta } from '../store/store.js';
import type { View } from './view.js';

/** How far this node has come. */
export interface Position {
  readonly seq: number;
  readonly hash: Uint8Array;
  /** The log's own. */
  readonly log: string;
  readonly view: View;
  readonly meta: StoreMeta;
}

interface Document extends Position {
  /** The store's own generation: another one, and it may have lost what it had. */
  readonly local: string;
}

const TABLE = 'journal';
const KEY = 'position';
/** Topics forgotten in one commit. */
const FORGOTTEN = 500;
export const NO_META: StoreMeta = { time: 0, counter: 0, incarnation: 0 };

/** It holds what never came from a log, or was written since without one. */
export interface Foreign {
  readonly type: 'foreign';
  /** The log that it once came from; undefined: none. */
  readonly log: string | undefined;
  readonly generation: string;
  readonly meta: StoreMeta;
}

export type Found =
  | { readonly type: 'position'; readonly position: Position }
  | { readonly type: 'empty' }
  /** It is a replica that lost something; `position`: what it had. */
  | { readonly type: 'doubtful'; readonly position: Position }
  | Foreign;

export class Replica {
  readonly #store: Store;
  #local = '';
  /** The wrapped store counts batches by itself: those of the hub start anew in each process. */
  #batch = 0;
  /** Of the record that was applied last. */
  applied = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  async open(options: OpenOptions | undefined): Promise<Found> {
    const { generation, meta } = await this.#store.open(options);
    this.#local = generation;
    const document = await this.#document();
    if (document === undefined) {
      const isEmpty = meta.time === 0 && meta.counter === 0 && (await this.#store.topics({ limit: 1 })).total === 0;
      return isEmpty ? { type: 'empty' } : { type: 'foreign', log: undefined, generation, meta };
    }
    const { local, ...position } = document;
    this.applied = position.seq;
    if (!sameMeta(meta, position.meta)) return { type: 'foreign', log: position.log, generation, meta };
    return { type: local === generation ? 'position' : 'doubtful', position };
  }

  async #document(): Promise<Document | undefined> {
    const bytes = await this.#store.get(TABLE, KEY);
    return bytes === undefined ? undefined : (decodeScanned(bytes, 0) as unknown as Document);
  }

  /** In one commit. Rejects with `unusable`: the log is the truth, so this node cannot go on. */
  async apply(operations: readonly Operation[], position: Position): Promise<void> {
    const document: Document = { ...position, local: this.#local };
    const value = encode(document, { name: 'position' });
    const batch = {
      id: ++this.#batch,
      operations: [...operations, { type: 'put', table: TABLE, key: KEY, value } as const],
      meta: position.meta,
    };
    for (;;) {
      try {
        await this.#store.commit(batch);
        this.applied = position.seq;
        return;
      } catch (error) {
        if (error instanceof StoreError && error.kind === 'unknown') continue;
        const { file = 'the store of this node' } = this.#store;
        const why = `${file} does not take what the log has: ${(error as Error).message}. Make room on its disk, or move it away`;
        throw new StoreError('unusable', why, error);
      }
    }
  }

  /** Forgets all topics. */
  async forget(position: Position): Promise<void> {
    for (;;) {
      const { names } = await this.#store.topics({ limit: FORGOTTEN });
      await this.apply(
        names.map((topic) => ({ type: 'drop', topic })),
        position,
      );
      if (names.length < FORGOTTEN) return;
    }
  }

  /** In place of all that it holds. Answers how far the snapshot had come; undefined without one. */
  async fill(parts: AsyncIterable<Uint8Array> | undefined): Promise<Position | undefined> {
    await this.#store.restore(parts ?? writeSnapshot([]));
    const document = await this.#document();
    if (parts === undefined) return undefined;
    if (document === undefined) throw new StoreError('unusable', 'the snapshot does not say of which record it is');
    await this.apply([], document);
    return document;
  }

  /** All of it, with the position that was applied last. */
  snapshot(): AsyncIterable<Uint8Array> {
    return this.#store.snapshot();
  }
}

function sameMeta(a: StoreMeta, b: StoreMeta): boolean {
  return a.time === b.time && a.counter === b.counter && a.incarnation === b.incarnation;
}
