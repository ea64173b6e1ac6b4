/**
 * Checks that an engine keeps what the log needs: what the conformance suite of the repository tests with faults, asked of a
 * user's own engine without any. Each check has a log of its own, which is removed afterwards.
 */
import { StoreError } from '../store/store.js';
import type { Journal, JournalRecord } from '../journal/journal.js';
import type { EngineJournal } from '../journal/open.js';

export interface Checks {
  /** A handle of one log; each call another handle, not open yet. */
  readonly open: () => EngineJournal;
  /** How often two writers race for a number. */
  readonly races: number;
}

export interface EngineCheck {
  readonly title: string;
  /** Rejects with what was wrong. */
  run(): Promise<void>;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function must(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(what);
}

async function kindOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (error instanceof StoreError) return error.kind;
    throw error;
  }
}

/** In order: each goes on with the log that the one before left. */
export function engineChecks({ open, races }: Checks): EngineCheck[] {
  let [one, other]: [EngineJournal, EngineJournal] = [open(), open()];
  let head = 0;
  const append = async (journal: Journal, id: string, bytes = text(id)): Promise<void> => {
    const { seq } = await journal.append(head, id, bytes);
    must(seq === head + 1, `record ${head + 1} got the number ${seq}`);
    head = seq;
  };
  return [
    {
      title: 'a log is made, and a second handle finds the same one',
      async run() {
        const [a, b] = [await one.open(), await other.open()];
        must(a.id === b.id, 'two handles found two logs');
        must(a.head === 0, `a new log begins at ${a.head}`);
      },
    },
    {
      title: 'an append is added after the newest record only',
      async run() {
        for (const id of ['first', 'second', 'third']) await append(one, id);
        must((await other.answers()).head === head, 'another handle does not see what was appended');
        const kind = await kindOf(withHandle(open, (late) => late.append(0, 'late', text('late'))));
        must(kind === 'unusable', `an append after an older record was '${kind}'`);
      },
    },
    {
      title: 'the same append again is the same record',
      async run() {
        const { seq } = await one.append(head - 1, 'third', text('third'));
        must(seq === head && (await one.answers()).head === head, 'it was added twice');
      },
    },
    {
      title: 'the largest record is taken, and a larger one refused',
      async run() {
        await append(one, 'largest', new Uint8Array(one.maxBytes).fill(7));
        const kind = await kindOf(one.append(head, 'larger', new Uint8Array(one.maxBytes + 1)));
        must(kind === 'refused', `a larger one was '${kind}'`);
      },
    },
    {
      title: `of two writers that race ${races} times one wins each time`,
      async run() {
        await Promise.all([one.close(), other.close()]);
        [one, other] = [open(), open()];
        await Promise.all([one.open(), other.open()]);
        for (let race = 0; race < races; race++) {
          const kinds = await Promise.all(
            [one, other].map((journal, i) => kindOf(journal.append(head, `race-${i}-${race}`, text(`${i}`)))),
          );
          const won = kinds.filter((kind) => kind === 'done').length;
          must(won === 1, `race ${race + 1}: ${won} have won (${kinds.join(', ')})`);
          head++;
        }
      },
    },
    {
      title: 'records are read in order, without a gap, each with the hash of the one before',
      async run() {
        const records = await recordsOf(other, head);
        must(
          records.every(({ seq, prev }, i) => {
            const before = records[i - 1]?.hash;
            return seq === i + 1 && (before === undefined || Buffer.compare(before, prev) === 0);
          }),
          'a number or a hash does not follow',
        );
      },
    },
    {
      title: 'a snapshot is kept in parts, and what it holds can be truncated',
      async run() {
        const parts = [text('one'), new Uint8Array(one.maxBytes).fill(1), text('three')];
        await one.saveSnapshot(head, partsOf(parts));
        const found = await other.loadSnapshot();
        must(found?.at === head, `the snapshot is of ${found?.at}, not ${head}`);
        let length = 0;
        for await (const part of found?.parts ?? []) length += part.length;
        must(length === parts.reduce((sum, part) => sum + part.length, 0), 'parts are missing');
        await one.truncate(head);
        must((await other.answers()).head === head, 'the newest record was truncated too');
        await append(one, 'after');
      },
    },
  ];
}

export interface Latency {
  readonly bytes: number;
  readonly count: number;
  /** Ms, one append under way at a time. */
  readonly p50: number;
  readonly p99: number;
}

/** Appends so many records of so many bytes, one after the other. */
export async function appendLatency(open: () => EngineJournal, bytes: number, count: number): Promise<Latency> {
  return withHandle(open, async (journal, head) => {
    const times: number[] = [];
    const record = new Uint8Array(bytes).fill(42);
    for (let i = 0; i < count; i++) {
      const began = performance.now();
      await journal.append(head + i, `timed-${bytes}-${i}`, record);
      times.push(performance.now() - began);
    }
    times.sort((a, b) => a - b);
    const at = (share: number): number => times[Math.min(count - 1, Math.floor(share * count))] as number;
    return { bytes, count, p50: at(0.5), p99: at(0.99) };
  });
}

/** A handle for a while. */
async function withHandle<T>(
  open: () => EngineJournal,
  run: (journal: EngineJournal, head: number) => Promise<T>,
): Promise<T> {
  const journal = open();
  try {
    const { head } = await journal.open();
    return await run(journal, head);
  } finally {
    await journal.close();
  }
}

function recordsOf(journal: Journal, count: number): Promise<JournalRecord[]> {
  return new Promise((resolve, reject) => {
    const records: JournalRecord[] = [];
    const following = journal.follow(
      0,
      (record) => {
        records.push(record);
        if (records.length < count) return;
        clearTimeout(timer);
        following.stop();
        resolve(records);
      },
      reject,
    );
    const timer = setTimeout(() => {
      following.stop();
      reject(new Error(`only ${records.length} of ${count} records came within 60 s`));
    }, 60_000);
  });
}

async function* partsOf(parts: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* parts;
}
