/**
 * Bytes of memory that what waits may hold: of one user's, and of all users' together (rule 4). A count alone is no
 * bound, for what waits may be large. Calls, publishes behind a policy and volatile values are taken from one.
 */
import type { Value } from '../../protocol/frames.js';
import { networkOf } from '../transport/addresses.js';

/** All users together have so many shares. */
const SHARES = 8;

export class Budget {
  readonly each: number;
  readonly all: number;
  /** Taken by all. */
  bytes = 0;

  /** `each`: bytes of one user. */
  constructor(each: number) {
    this.each = each;
    this.all = each * SHARES;
  }
}

/** One user's part of a budget. */
export class Share {
  readonly #budget: Budget;
  /** Taken. */
  bytes = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** False, and nothing is taken, when the user or all of them have too much. */
  take(bytes: number): boolean {
    const { each, all } = this.#budget;
    if (this.bytes + bytes > each || this.#budget.bytes + bytes > all) return false;
    this.bytes += bytes;
    this.#budget.bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.bytes -= bytes;
    this.#budget.bytes -= bytes;
  }
}

/** About the bytes of memory that a decoded value takes: many small maps take a hundred times what they were sent as. */
export function weigh(value: Value): number {
  if (typeof value === 'string') return 24 + 2 * value.length;
  if (typeof value !== 'object' || value === null) return 16;
  if (value instanceof Uint8Array) return 96 + value.length;
  if (Array.isArray(value)) return value.reduce<number>((bytes, part: Value) => bytes + weigh(part), 64);
  let bytes = 64;
  for (const [name, part] of Object.entries(value)) bytes += 32 + 2 * name.length + weigh(part);
  return bytes;
}

/** Out of whose bound a user's keys are. A guest is a new user whenever it likes: those of one address share theirs. */
export function ownerOf(user: { readonly id: string }, isGuest: boolean, address: string): string {
  return isGuest ? `guests\0${networkOf(address)}` : user.id;
}
