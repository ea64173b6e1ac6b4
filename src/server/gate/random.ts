/**
 * Random names and secrets. The system's generator is asked for many bytes at once: a call of it costs more than all the
 * rest of what a HELLO makes. Bytes that were used are wiped.
 */
import { randomFillSync } from 'node:crypto';

const pool = Buffer.alloc(4_096);
let used = pool.length;

/** So many random bytes in base64url. At most 4,096. */
export function randomText(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const text = pool.toString('base64url', used, used + bytes);
  pool.fill(0, used, used + bytes);
  used += bytes;
  return text;
}
