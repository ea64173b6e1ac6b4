/**
 * Snapshots of this node's store, kept in the engine, so that a node with an empty disk can begin there and the log can be
 * truncated. Any node takes one when enough was written since the last; who comes second is refused, and goes on.
 */
import { StoreError } from '../store/store.js';
import type { Journal } from './journal.js';
import type { Replica } from './replica.js';
import type { Settled } from './settings.js';

interface From {
  readonly journal: Journal;
  readonly replica: Replica;
  readonly logBytes: number;
}

export class Snapshots {
  readonly #from: From;
  readonly #options: Settled;
  /** Nodes that wrote equally much do not all begin at once. */
  #limit: number;
  #bytes: number;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(from: From, options: Settled) {
    this.#from = from;
    this.#options = options;
    this.#bytes = from.logBytes;
    this.#limit = spread(options.snapshotBytes);
  }

  /** Of the log, since the last snapshot that this node knows of. */
  get bytes(): number {
    return this.#bytes;
  }

  wrote(bytes: number): void {
    this.#bytes += bytes;
  }

  /** To be called when all that was written is applied, before anything else is. */
  maybe(): void {
    if (this.#bytes < this.#limit || this.#running !== undefined || this.#isClosed) return;
    this.#bytes = 0;
    this.#limit = spread(this.#options.snapshotBytes);
    this.#running = this.take()
      .catch((error: unknown) => {
        if (!(error instanceof StoreError && error.kind === 'refused')) {
          this.#options.tell(`a snapshot was not kept: ${(error as Error).message}`);
        }
      })
      .finally(() => (this.#running = undefined));
  }

  /** Now, whatever was written. */
  async take(): Promise<void> {
    const { journal, replica } = this.#from;
    const before = await journal.loadSnapshot();
    const { applied: seq } = replica;
    if (before !== undefined && before.at >= seq) return;
    await journal.saveSnapshot(seq, split(this.#untilClosed(replica.snapshot()), journal.maxBytes));
    // As far as the one before: who lags by less is not thrown back to a snapshot.
    if (before !== undefined) await journal.truncate(before.at);
  }

  /** Unless there is one already. */
  async takeFirst(): Promise<void> {
    if ((await this.#from.journal.loadSnapshot()) === undefined) await this.take();
  }

  async *#untilClosed(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const part of parts) {
      if (this.#isClosed) throw new StoreError('refused', 'this node stops');
      yield part;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }
}

function spread(bytes: number): number {
  return bytes * (1 + Math.random() / 2);
}

const LAST = 0;
const MORE = 1;

/** Into parts that a record's size allows: each begins with whether its part goes on. */
async function* split(parts: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  const room = maxBytes - 1;
  for await (const part of parts) {
    for (let at = 0; at < part.length; at += room) {
      const isLast = at + room >= part.length;
      yield Buffer.concat([Buffer.of(isLast ? LAST : MORE), part.subarray(at, at + room)]);
    }
  }
}

/** What `split` took apart. */
export async function* joined(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let pieces: Uint8Array[] = [];
  for await (const part of parts) {
    pieces.push(part.subarray(1));
    if (part[0] === MORE) continue;
    yield pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
    pieces = [];
  }
}
