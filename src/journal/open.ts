/** The log at a URL: its scheme names the engine. */
import { StoreError } from '../store/store.js';
import type { Handle } from './handle.js';
import type { JournalOptions } from './journal.js';
import { natsJournal } from './nats.js';
import { postgresJournal } from './postgres.js';

/** What an engine of the user's own is: a log that can tell how it is set, and be removed. */
export interface EngineJournal extends Handle {
  /** Deletes the log, its snapshots, and all that was made for them. */
  remove(): Promise<void>;
}

/** A handle, not open yet. Throws a StoreError for a URL that names no engine. */
export function journalAt(url: string, options: JournalOptions = {}): EngineJournal {
  const [scheme] = url.split(':');
  if (scheme === 'postgres' || scheme === 'postgresql') return postgresJournal(url, options);
  if (scheme === 'nats' || scheme === 'tls') return natsJournal(url, options);
  throw new StoreError('unusable', 'the log is at postgres://… or nats://…');
}
