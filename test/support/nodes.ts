/** Nodes of a cluster in this process: stores on one log in memory, with clocks that a test drives. */
import { MemoryEngine, type MemoryJournal } from './memory-journal.js';
import { replicatedStore, type ReplicatedStore } from '../../src/journal/replicated.js';
import type { ReplicatedOptions } from '../../src/journal/settings.js';
import { memoryStore } from '../../src/store/memory.js';
import type { Batch, OpenedStore, Operation, Store, StoreError } from '../../src/store/store.js';
import { ManualTime } from './manual-time.js';
import { shown } from './until.js';

const STEP_MS = 50;
const STEPS = 4_000;
/** What is tried again by the true clock gets as many steps more, with so many true ms each. */
const TRUE_MS = 5;
const TURNS = 12;

export interface Node {
  readonly name: string;
  readonly store: ReplicatedStore;
  readonly local: Store;
  readonly time: ManualTime;
  readonly opening: Promise<OpenedStore>;
  /** Once it is the hub. */
  opened: OpenedStore | undefined;
  lost: StoreError | undefined;
  failed: unknown;
  readonly lines: string[];
  readonly claims: string[];
  /** The network between it and the log. */
  cut(isCut: boolean): void;
  commit(...operations: Operation[]): Promise<void>;
}

export class Nodes {
  readonly engine: MemoryEngine;
  readonly all: Node[] = [];

  constructor(engine = new MemoryEngine()) {
    this.engine = engine;
  }

  start(
    name: string,
    {
      local = memoryStore(),
      ahead = 0,
      ...options
    }: Partial<ReplicatedOptions> & { local?: Store; ahead?: number } = {},
  ): Node {
    const time = new ManualTime();
    // Each node's clocks begin anywhere.
    time.advance(this.all.length * 1_234_567);
    time.jump(ahead - this.all.length * 1_234_567);
    const journals: MemoryJournal[] = [];
    let isCut = false;
    const lines: string[] = [];
    const store = replicatedStore(
      local,
      () => {
        const journal = this.engine.journal();
        journal.cut = isCut;
        journals.push(journal);
        return journal;
      },
      { node: name, time, tell: (line) => void lines.push(line), ...options },
    );
    let id = 0;
    const meta = (): Batch['meta'] => ({ time: time.wall(), counter: id, incarnation: 0 });
    const node: Node = {
      ...{ name, store, local, time, lines, claims: [], opened: undefined, lost: undefined, failed: undefined },
      opening: store.open(),
      cut(cut) {
        isCut = cut;
        for (const journal of journals) journal.cut = cut;
      },
      commit: async (...operations) => {
        await store.commit({ id: ++id, operations, meta: meta() });
      },
    };
    store.onLost?.((error) => (node.lost = error));
    store.onClaim((other) => void node.claims.push(other));
    node.opening.then(
      (opened) => (node.opened = opened),
      (error: unknown) => (node.failed = error),
    );
    this.all.push(node);
    return node;
  }

  /** Lets so much time pass at all nodes, but for those that are stopped. */
  async pass(ms: number, except: readonly Node[] = []): Promise<void> {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      for (const node of this.all) if (!except.includes(node)) node.time.advance(STEP_MS);
      await turns();
    }
  }

  /** Lets time pass until something is so. */
  async until(condition: () => boolean, except: readonly Node[] = []): Promise<void> {
    for (let i = 0; !condition(); i++) {
      if (i === 2 * STEPS) throw new Error(`not within ${2 * STEPS * STEP_MS} ms: ${shown(condition)}`);
      if (i >= STEPS) await new Promise((resolve) => setTimeout(resolve, TRUE_MS));
      await this.pass(STEP_MS, except);
    }
  }

  async hub(node: Node, except: readonly Node[] = []): Promise<OpenedStore> {
    await this.until(() => node.opened !== undefined || node.failed !== undefined, except);
    return node.opening;
  }

  async close(): Promise<void> {
    for (const { store } of this.all.toReversed()) await store.close();
  }
}

export async function turns(count = TURNS): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
