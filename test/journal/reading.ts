/** Short ways to ask a log, for its tests. */
import type { BrokenLog, Journal, JournalRecord } from '../../src/journal/journal.js';
import { StoreError } from '../../src/store/store.js';
import { until } from '../support/until.js';

export function bytes(n: number): Uint8Array {
  return Buffer.from(`record ${n}`);
}

/** The `count` records after a number. */
export async function read(journal: Journal, after: number, count: number): Promise<JournalRecord[]> {
  const records: JournalRecord[] = [];
  const { stop } = journal.follow(after, (record) => void records.push(record), fail);
  await until(() => records.length >= count, `${count} records after ${after}`);
  stop();
  return records;
}

export async function brokenAfter(journal: Journal, after: number): Promise<BrokenLog> {
  const errors: BrokenLog[] = [];
  const { stop } = journal.follow(
    after,
    () => undefined,
    (error) => errors.push(error),
  );
  await until(() => errors.length > 0, `that following after ${after} is broken`);
  stop();
  return errors[0] as BrokenLog;
}

/** What an operation was refused with; undefined when it was done. */
export async function refusal(work: Promise<unknown>): Promise<StoreError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}

export async function kind(work: Promise<unknown>): Promise<string | undefined> {
  return (await refusal(work))?.kind;
}

export async function* each(parts: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  await Promise.resolve();
  yield* parts;
}

export async function all(parts: AsyncIterable<Uint8Array> = each([])): Promise<Uint8Array[]> {
  const got: Uint8Array[] = [];
  for await (const part of parts) got.push(part);
  return got;
}

export function same(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((part, i) => Buffer.compare(part, b[i] as Uint8Array) === 0);
}

export function ids(records: readonly JournalRecord[]): string[] {
  return records.map(({ id }) => id);
}

export function seqs(records: readonly JournalRecord[]): number[] {
  return records.map(({ seq }) => seq);
}

export function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

export function fail(error: BrokenLog): void {
  throw error;
}
