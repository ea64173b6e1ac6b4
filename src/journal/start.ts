/**
 * Where a node begins to follow the log: after what its store has applied, after a snapshot, or at the first record, which it
 * writes itself where there is none. What this node knew and the log no longer has is said.
 */
import { randomBytes } from 'node:crypto';
import { StoreError } from '../store/store.js';
import { Appender, firstAfter } from './appender.js';
import { hashOfLog, type Journal, type JournalState } from './journal.js';
import { readRecord, writeRecord } from './records.js';
import { NO_META, type Foreign, type Found, type Position, type Replica } from './replica.js';
import type { Settled } from './settings.js';
import { joined } from './snapshots.js';
import { Fold, NO_VIEW } from './view.js';
import { AGAIN_MS, pause } from './wait.js';

export interface Start {
  readonly journal: Journal;
  readonly state: JournalState;
  readonly found: Found;
  readonly replica: Replica;
  readonly settled: Settled;
  /** Whether this node is still to start. */
  readonly isWanted: () => boolean;
}

export interface Started {
  readonly position: Position;
  /** What this node knew, and the log no longer has: whoever begins next is to know, too. */
  readonly lost: Position | undefined;
}

/** Rejects with `unusable` where this node's store, or the log, cannot be of this cluster. */
export async function startOf(start: Start): Promise<Started> {
  const { journal, state, found } = start;
  if (state.head === 0) await writeGenesis(start);
  if (found.type === 'foreign') return { position: await seed(start, found), lost: undefined };
  const known = found.type === 'empty' ? undefined : found.position;
  const isThere = known !== undefined && (await fits(journal, state, known));
  // What follows a position may be in the snapshot only, after so long.
  const isFollowed = isThere && found.type === 'position' && known.seq + 1 >= state.first;
  const position = isFollowed ? found.position : await fill(start);
  return { position, lost: isThere ? undefined : known };
}

export function newGeneration(): string {
  return randomBytes(6).toString('base64url');
}

/** Whether the log still has what this node has applied. Truncated is not lost. */
async function fits(journal: Journal, { id, first, head }: JournalState, position: Position): Promise<boolean> {
  const { log, seq, hash } = position;
  if (log !== id || seq > head) return false;
  if (seq + 1 < first) return true;
  const found = await firstAfter(journal, Math.max(seq, first) - 1);
  return Buffer.compare(found.seq === seq ? found.hash : found.prev, hash) === 0;
}

async function writeGenesis({ journal, state, found, settled, isWanted }: Start): Promise<void> {
  const isSeeded = found.type === 'foreign';
  const generation = isSeeded ? found.generation : newGeneration();
  const bytes = writeRecord({ kind: 'genesis', generation, check: settled.check, isSeeded });
  const appender = new Appender(journal, `${settled.run}.g`);
  // Where another node was first, it counts.
  await appender.append({ seq: 0, hash: hashOfLog(state.id) }, bytes, isWanted);
}

/** The store of a single server becomes the first of a cluster: what it holds is the state as of the first record. */
async function seed({ journal, state, replica }: Start, { log, generation, meta }: Foreign): Promise<Position> {
  const first = await firstAfter(journal, 0).catch(() => undefined);
  const record = first && readRecord(first.bytes);
  const isOurs = record?.kind === 'genesis' && record.isSeeded && record.generation === generation;
  // One that followed this log already was written to without it since.
  if (first === undefined || !isOurs || log === state.id) {
    throw new StoreError(
      'unusable',
      "this node's data directory holds a store that is not of this cluster, or was written to without it: move it away, " +
        'and the node is filled from the others',
    );
  }
  const fold = new Fold(NO_VIEW);
  fold.add(record);
  const position = { seq: first.seq, hash: first.hash, log: state.id, view: fold.view, meta };
  await replica.apply([], position);
  return position;
}

/** From the newest snapshot, or from the first record. */
async function fill({ journal, state, replica, settled, isWanted }: Start): Promise<Position> {
  for (;;) {
    const snapshot = await journal.loadSnapshot();
    if (snapshot === undefined && state.first > 1) {
      throw new StoreError('unusable', `the log begins at ${state.first}, and has no snapshot of what was before`);
    }
    try {
      if (snapshot === undefined) {
        const genesis = readRecord((await firstAfter(journal, 0)).bytes);
        if (genesis.kind === 'genesis' && genesis.isSeeded) {
          throw new StoreError('refused', 'the node that was first has yet to save it');
        }
      }
      const position = await replica.fill(snapshot && joined(snapshot.parts));
      return position ?? { seq: 0, hash: hashOfLog(state.id), log: state.id, view: NO_VIEW, meta: NO_META };
    } catch (error) {
      if (!(error instanceof StoreError && error.kind === 'refused') || !isWanted()) throw error;
      settled.tell(`the snapshot cannot be read yet: ${error.message}`);
      await pause(AGAIN_MS);
    }
  }
}
