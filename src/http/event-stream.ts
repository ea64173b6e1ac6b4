/**
 * Events as `text/event-stream` has them. `id` is the position. The server's own events begin with `$`; an application's event
 * whose name does so, or that a browser or the format takes for its own, comes without a name: `data` has it in any case.
 */
import { messageOf } from '../protocol/code-texts.js';
import type { LiveFormat } from '../server/api.js';
import { plainEvent } from './plain-json.js';

/** Until a client that was cut off comes again, ms. */
const RETRY_MS = 2_000;
const NAMED = /^(?!\$|(?:open|error)$)[^\r\n\0]+$/;

export const eventStream: LiveFormat = {
  begin: (position) => bytes(`retry: ${RETRY_MS}\n${position === undefined ? '' : `id: ${position.join(':')}\n`}\n`),
  events: (epoch, events) =>
    bytes(
      events
        .map((event) => {
          const name = NAMED.test(event.event) ? `event: ${event.event}\n` : '';
          return `id: ${epoch}:${event.offset}\n${name}data: ${JSON.stringify(plainEvent(event))}\n\n`;
        })
        .join(''),
    ),
  reset: ([epoch, offset]) =>
    bytes(`id: ${epoch}:${offset}\nevent: $reset\ndata: ${JSON.stringify({ epoch, offset })}\n\n`),
  end(why, retryMs) {
    const { code, name } = why;
    const data = JSON.stringify({ code, name, detail: messageOf(why) });
    return bytes(`retry: ${retryMs}\nevent: $end\ndata: ${data}\n\n`);
  },
  idle: bytes(':\n\n'),
};

function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}
