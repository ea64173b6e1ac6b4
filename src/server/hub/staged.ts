/** An entry of a batch whose work is done: what is left to do when the commit is, or when it failed. */
import { RoomwireError } from '../../protocol/errors.js';
import type { Entry, PublishEntry } from './queue.js';
import type { Stage, StagedTopic } from './stage.js';
import type { Effect } from './transaction.js';

export interface Staged {
  readonly effects: readonly Effect[] | null;
  readonly publish: PublishEntry | null;
  readonly topic: StagedTopic | null;
  readonly offset: number;
  readonly entry: Entry;
}

/** Throws what the entry is to be refused with. */
export function staging(stage: Stage, entry: Entry): Staged {
  if (!('item' in entry))
    return withEffects(
      entry,
      stage.attempt(() => entry.stage(stage)),
    );
  if (entry.sender?.kicked === true) throw new RoomwireError('disconnected');
  const topic = stage.append(entry.topic, entry.item);
  return { publish: entry, topic, offset: topic.topic.head + topic.items.length, effects: null, entry };
}

export function withEffects(entry: Entry, effects: readonly Effect[]): Staged {
  return { entry, effects, publish: null, topic: null, offset: 0 };
}
