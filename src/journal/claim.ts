/**
 * What a node writes to the log while it is not the hub: that the hub should yield, and that the log lost something that this
 * node knew.
 */
import { Appender, firstAfter, type End } from './appender.js';
import { BrokenLog, type Journal } from './journal.js';
import { writeRecord, type Record } from './records.js';
import type { Settled } from './settings.js';
import { AGAIN_MS, pause } from './wait.js';

/** How long a node tries to tell the others that the log lost something. */
const DOUBT_MS = 5_000;

export interface Claim {
  readonly journal: Journal;
  readonly settled: Settled;
  /** Of the record read last. */
  readonly end: () => End;
  /** Whether there still is somebody to yield. */
  readonly isMeant: () => boolean;
}

/** Asks the hub to yield. */
export async function claim({ journal, settled, end, isMeant }: Claim): Promise<void> {
  const bytes = writeRecord({ kind: 'claim', node: settled.node });
  while (isMeant()) {
    const appender = new Appender(journal, `${settled.run}.c${end().seq}`);
    try {
      const { type } = await appender.append(end(), bytes, isMeant);
      if (type === 'added') return;
    } catch (error) {
      if (error instanceof BrokenLog) return;
      await pause(AGAIN_MS);
    }
    await pause(1);
  }
}

export interface Doubt {
  readonly openJournal: () => Journal;
  readonly settled: Settled;
  /** The one that ends; empty: there was none. */
  readonly generation: string;
}

/** Writes to the log that it lost something of what this node knew. Never rejects. */
export async function doubt({ openJournal, settled, generation }: Doubt): Promise<void> {
  const until = performance.now() + DOUBT_MS;
  while (generation !== '' && performance.now() < until) {
    const journal = openJournal();
    try {
      await Promise.race([journal.open(), pause(DOUBT_MS)]);
      if (await appendDoubt(journal, { kind: 'doubt', node: settled.node, generation }, settled.run)) return;
    } catch (error) {
      settled.tell(`cannot write to the log that it lost records: ${(error as Error).message}`);
      await pause(AGAIN_MS);
    } finally {
      await journal.close();
    }
  }
}

/** At the end of the log as a new handle has it. Whether it is there. */
async function appendDoubt(journal: Journal, record: Record, run: string): Promise<boolean> {
  const { head } = await journal.answers();
  if (head === 0) return true;
  const last = await firstAfter(journal, head - 1);
  const appender = new Appender(journal, `${run}.d${head}`);
  return (await appender.append({ seq: last.seq, hash: last.hash }, writeRecord(record))).type === 'added';
}
