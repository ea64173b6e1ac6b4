/**
 * The trajectory of a room. Its frames are kept one by one, and their count is the room's `frameCount`, written in the same
 * transaction. Every write stands under the lock `trajectory:meta`: while somebody holds it, only its token opens.
 */
import {
  checked,
  HttpError,
  json,
  jsonBody,
  writeConditions,
  type RouteContext,
  type WritableRoom,
} from '@roomwire/server';
import { METADATA_TARGET } from '@roomwire/client/protocol';
import * as v from 'valibot';
import { Frame } from './contract.js';
import type { App } from './server.js';

const TABLE = 'frames';
/** Frames of one request. */
const PAGE = 100;
/** Atoms of one answer, beyond its first frame: whoever asks for more asks again. */
const ATOMS = 50_000;

const Frames = v.object(
  {
    frames: v.pipe(
      v.array(Frame, 'frames are missing'),
      v.minLength(1, 'frames are missing'),
      v.maxLength(PAGE, `at most ${PAGE} frames at once`),
    ),
  },
  'frames are missing',
);
const Page = v.object({
  from: v.pipe(v.optional(v.string(), '0'), v.regex(/^\d{1,9}$/, 'from is the number of a frame'), v.transform(Number)),
});

/** Keys are ordered as text. */
const keyOf = (index: number): string => String(index).padStart(9, '0');

function existing(index: string | undefined, { metadata: { frameCount } }: WritableRoom): number {
  if (/^\d{1,9}$/.test(index ?? '') && Number(index) < frameCount) return Number(index);
  throw new HttpError(404, `there is no frame ${index}: the room has ${frameCount}`);
}

export function frames({ plugins: { rooms, http } }: App): void {
  const write = <T>({ request, params, caller }: RouteContext, work: (room: WritableRoom) => T): Promise<T> =>
    rooms.write(params['roomId'] as string, work, writeConditions(request, METADATA_TARGET), caller);

  http.routes([
    {
      method: 'GET',
      path: '/api/rooms/:roomId/frames',
      async handle({ params, query, caller }) {
        const { from } = checked(Page, Object.fromEntries(query));
        const found = await rooms.read(
          params['roomId'] as string,
          ({ docs, metadata: { frameCount } }) => {
            const page: Frame[] = [];
            for (let atoms = 0; from + page.length < frameCount && page.length < PAGE && atoms < ATOMS;) {
              const frame = docs.get<Frame>(TABLE, keyOf(from + page.length)) as Frame;
              atoms += frame.numbers.length;
              page.push(frame);
            }
            return { frameCount, from, frames: page };
          },
          caller,
        );
        return json(200, found);
      },
    },
    {
      method: 'POST',
      path: '/api/rooms/:roomId/frames',
      async handle(context) {
        const { frames: added } = jsonBody(context.request, Frames);
        const frameCount = await write(context, ({ docs, metadata, change }) => {
          added.forEach((frame, i) => docs.set(TABLE, keyOf(metadata.frameCount + i), frame));
          return change({ frameCount: metadata.frameCount + added.length }).frameCount;
        });
        return json(201, { frameCount });
      },
    },
    {
      method: 'PUT',
      path: '/api/rooms/:roomId/frames/:index',
      async handle(context) {
        const frame = jsonBody(context.request, Frame);
        const index = await write(context, (room) => {
          const affectedFrom = existing(context.params['index'], room);
          room.docs.set(TABLE, keyOf(affectedFrom), frame);
          room.publish('frames:invalidate', { operation: 'replace', affectedFrom });
          return affectedFrom;
        });
        return json(200, { index });
      },
    },
    {
      /** This frame and all after it. */
      method: 'DELETE',
      path: '/api/rooms/:roomId/frames/:index',
      async handle(context) {
        const frameCount = await write(context, (room) => {
          const affectedFrom = existing(context.params['index'], room);
          // Those behind the end are overwritten by what comes, and go with the room.
          room.change({ frameCount: affectedFrom });
          room.publish('frames:invalidate', { operation: 'delete', affectedFrom });
          return affectedFrom;
        });
        return json(200, { frameCount });
      },
    },
  ]);
}
