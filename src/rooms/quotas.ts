/** How many rooms a user is in and has made: what one user can make the store keep. */
import { RoomwireError } from '../protocol/errors.js';
import type { Transaction } from '../server/api.js';

/** `in\0user` or `made\0user` → count. */
const COUNTS = 'rooms-counts';
export type Quota = 'in' | 'made';

/** Throws limit_reached where no more may be taken. */
export function requireQuota(tx: Transaction, quota: Quota, userId: string, most: number): void {
  const count = countOf(tx, quota, userId);
  if (count >= most) {
    const what = quota === 'in' ? 'are in' : 'have made';
    throw new RoomwireError('limit_reached', `you ${what} ${most} rooms, which is the most`);
  }
}

/** Throws limit_reached. */
export function takeQuota(tx: Transaction, quota: Quota, userId: string, most: number): void {
  requireQuota(tx, quota, userId, most);
  tx.set(COUNTS, `${quota}\0${userId}`, countOf(tx, quota, userId) + 1);
}

export function returnQuota(tx: Transaction, quota: Quota, userId: string): void {
  const count = countOf(tx, quota, userId);
  if (count > 1) tx.set(COUNTS, `${quota}\0${userId}`, count - 1);
  else tx.delete(COUNTS, `${quota}\0${userId}`);
}

function countOf(tx: Transaction, quota: Quota, userId: string): number {
  return tx.read<number>(COUNTS, `${quota}\0${userId}`) ?? 0;
}
