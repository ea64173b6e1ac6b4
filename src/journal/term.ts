/** What a standby hands over to the hub that it becomes. */
import type { Journal } from './journal.js';
import type { Lease } from './lease.js';
import type { Position, Replica } from './replica.js';

/** What a term begins with. */
export interface Won {
  readonly journal: Journal;
  readonly replica: Replica;
  readonly lease: Lease;
  readonly position: Position;
  /** Store time now; undefined: this node did not follow another. */
  readonly now: number | undefined;
  /** Bytes of the log since the last snapshot. */
  readonly logBytes: number;
  /** Writes to the log that it lost something of what this node knew. Never rejects. */
  doubt(position: Position): Promise<void>;
}
