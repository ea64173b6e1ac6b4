/**
 * What the records up to one say of the cluster: who is the hub, in which term, and of which generation the log is. The state
 * of a node is a function of the records (invariant 4): hub and standby fold them here, and nowhere else.
 */
import { StoreError, type Operation, type StoreMeta } from '../store/store.js';
import { readOperations, type Begin, type Part, type Record } from './records.js';

export interface View {
  readonly generation: string;
  readonly check: string;
  /** The state as of the first record is in a snapshot only. */
  readonly isSeeded: boolean;
  /** 0: nobody has begun yet. */
  readonly term: number;
  /** Of that term. */
  readonly node: string;
  readonly link: string;
  readonly digest: string;
  /** A hub has the term; false once it yielded. */
  readonly isHeld: boolean;
  /** The log lost something of this generation: the next term begins another. */
  readonly isDoubted: boolean;
  /** Who asked the hub to yield; empty: nobody. */
  readonly claimant: string;
}

export const NO_VIEW: View = {
  generation: '',
  check: '',
  isSeeded: false,
  term: 0,
  node: '',
  link: '',
  digest: '',
  isHeld: false,
  isDoubted: false,
  claimant: '',
};

/** What a record changes beside the view. */
export type Change =
  | { readonly type: 'batch'; readonly operations: readonly Operation[]; readonly meta: StoreMeta }
  /** All topics are forgotten: their epochs are of a generation that ended. */
  | { readonly type: 'forget' }
  | { readonly type: 'nothing' };

const NOTHING: Change = { type: 'nothing' };

export class Fold {
  view: View;
  /** Of a batch whose last part is yet to come. */
  #parts: Part[] = [];

  constructor(view: View) {
    this.view = view;
  }

  /** Throws `unusable` for a record that cannot stand here. */
  add(record: Record): Change {
    const { view } = this;
    switch (record.kind) {
      case 'genesis': {
        const { generation, check, isSeeded } = record;
        this.view = { ...NO_VIEW, generation, check, isSeeded };
        return NOTHING;
      }
      case 'begin':
        return this.#begin(record);
      case 'yield':
        // One of an earlier term cannot stand here: its writer would have been refused.
        this.view = { ...view, isHeld: false };
        this.#parts = [];
        return NOTHING;
      case 'claim':
        this.view = { ...view, claimant: record.node };
        return NOTHING;
      case 'doubt':
        if (record.generation === view.generation) this.view = { ...view, isDoubted: true };
        return NOTHING;
      case 'beat':
        return NOTHING;
      case 'part':
        // What is left of another was given up.
        if (this.#parts[0]?.batch !== record.batch) this.#parts = [];
        this.#parts.push(record);
        return NOTHING;
      case 'batch': {
        const parts = record.parts === 0 ? [] : this.#parts;
        this.#parts = [];
        if (parts.length !== record.parts || parts.some(({ batch }) => batch !== record.batch)) {
          throw new StoreError('unusable', 'the log holds a batch without all of its parts');
        }
        const bytes =
          parts.length === 0 ? record.bytes : Buffer.concat([...parts.map((part) => part.bytes), record.bytes]);
        return { type: 'batch', operations: readOperations(bytes), meta: record.meta };
      }
    }
  }

  #begin({ term, node, link, digest, generation }: Begin): Change {
    const { view } = this;
    if (term !== view.term + 1) throw new StoreError('unusable', `term ${term} cannot follow term ${view.term}`);
    this.view = { ...view, term, node, link, digest, generation, isHeld: true, isDoubted: false, claimant: '' };
    // Parts of the term before are orphans.
    this.#parts = [];
    return generation === view.generation ? NOTHING : { type: 'forget' };
  }
}
