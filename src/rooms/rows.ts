/** All rows of a table under a prefix, however many there are: a page at a time, so that no limit cuts what must go to the end. */
import type { Transaction } from '../server/api.js';

const PAGE = 1_000;

export function* rows<T>(tx: Transaction, table: string, prefix: string): Generator<[key: string, value: T]> {
  let page = tx.readList<T>(table, { prefix, limit: PAGE });
  for (;;) {
    yield* page;
    const last = page[PAGE - 1];
    if (last === undefined) return;
    page = tx.list<T>(table, { prefix, after: last[0], limit: PAGE });
  }
}
