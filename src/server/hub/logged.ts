/** The events of a log's chunk, decoded, for those who read them without being in the topic. */
import { decode } from '../../protocol/codec.js';
import type { EventsFrame } from '../../protocol/frames.js';
import type { LoggedEvent } from '../../protocol/http-answers.js';
import type { LogChunk } from '../../store/store.js';

/** Those from offset `from` to `until`. `at`: the chunk's own time, or what memory knows of one that was read from the store. */
export function loggedEvents(
  { first, frame, at }: Pick<LogChunk, 'first' | 'frame' | 'at'>,
  from: number,
  until: number,
): LoggedEvent[] {
  const [, , , ...items] = decode(frame) as unknown as EventsFrame;
  return items.flatMap(([event, data, sender], i) => {
    const offset = first + i;
    return offset < from || offset > until ? [] : [{ offset, at: at ?? null, event, data, from: sender }];
  });
}
