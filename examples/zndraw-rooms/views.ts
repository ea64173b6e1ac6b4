/**
 * What the pages of a room cache: scene objects (`geometry`, `figure`, `settings`, `selection`), bookmarks, the selected frames.
 * A change is told by its name alone, and whoever shows the thing fetches it again. Each kind is guarded by the lock of
 * its own name, where somebody holds that.
 */
import {
  HttpError,
  json,
  jsonBody,
  RoomwireError,
  writeConditions,
  type Route,
  type RouteContext,
} from '@roomwire/server';
import * as v from 'valibot';
import type { App } from './server.js';

/** Entries of a kind in one room. */
const MOST = 1_000;

interface Kind {
  readonly name: string;
  readonly value: v.GenericSchema;
  /** Throws for a key that cannot be. */
  readonly check: (key: string, frameCount: number) => void;
  /** What is told of a change. */
  readonly event: string;
  readonly data: (key: string) => object;
}

const notObject = 'the body must be a JSON object';
const Content = v.pipe(
  v.unknown(),
  v.check((value) => !Array.isArray(value), notObject),
  v.record(v.string(), v.unknown(), notObject),
);
const missing = 'label is missing';
const Label = v.object(
  { label: v.pipe(v.string(missing), v.trim(), v.minLength(1, missing), v.maxLength(200)) },
  missing,
);

const kinds: readonly Kind[] = [
  ...['geometry', 'figure', 'settings', 'selection'].map((name) => ({
    name,
    value: Content,
    check(key: string) {
      if (!/^[\w.-]{1,100}$/.test(key)) throw new HttpError(400, 'a key has letters, digits, . _ and -');
    },
    event: `invalidate:${name}`,
    data: (key: string) => ({ key }),
  })),
  {
    name: 'bookmarks',
    value: Label,
    check(key, frameCount) {
      if (!/^\d{1,9}$/.test(key) || Number(key) >= frameCount) {
        throw new HttpError(404, `there is no frame ${key}: the room has ${frameCount}`);
      }
    },
    event: 'bookmarks:invalidate',
    data: (key) => ({ index: Number(key) }),
  },
];

export function views(server: App): void {
  const { rooms, http } = server.plugins;
  const roomOf = ({ params }: RouteContext): string => params['roomId'] as string;

  const routesOf = ({ name, value, check, event, data }: Kind): Route[] => {
    const path = `/api/rooms/:roomId/${name}`;
    /** undefined takes the entry away. */
    const put = async (context: RouteContext, entry: unknown): Promise<void> => {
      const { request, caller } = context;
      const key = context.params['key'] as string;
      const conditions = writeConditions(request, name);
      await rooms.write(
        roomOf(context),
        ({ docs, metadata, publish }) => {
          const isNew = docs.get(name, key) === undefined;
          if (entry === undefined) {
            if (isNew) throw new HttpError(404, `there is no ${name} '${key}'`);
            docs.delete(name, key);
          } else {
            check(key, metadata.frameCount);
            if (isNew && docs.list(name, { limit: MOST }).length === MOST) {
              throw new RoomwireError('limit_reached', `a room has at most ${MOST} entries of ${name}`);
            }
            docs.set(name, key, entry);
          }
          publish(event, { ...data(key), operation: entry === undefined ? 'delete' : 'set' });
        },
        conditions,
        caller,
      );
    };
    return [
      {
        method: 'GET',
        path,
        async handle(context) {
          const entries = await rooms.read(
            roomOf(context),
            ({ docs }) => docs.list(name, { limit: MOST }),
            context.caller,
          );
          return json(200, Object.fromEntries(entries));
        },
      },
      {
        method: 'PUT',
        path: `${path}/:key`,
        async handle(context) {
          const entry = jsonBody(context.request, value);
          await put(context, entry);
          return json(200, entry);
        },
      },
      {
        method: 'DELETE',
        path: `${path}/:key`,
        async handle(context) {
          await put(context, undefined);
          return json(200, { status: 'deleted' });
        },
      },
    ];
  };
  http.routes(kinds.flatMap(routesOf));

  // Of the session that looks, as the presenter's frame is; kept, so that who comes later sees it.
  server.handleAtomic('frame_selection:set', (tx, { input: { roomId, indices }, session }) => {
    const { docs, metadata, publish } = rooms.within(tx).inside(session, roomId);
    const wrong = indices.find((index) => index >= metadata.frameCount);
    if (wrong !== undefined) throw new RoomwireError('invalid_data', `there is no frame ${wrong}`);
    docs.set('frame_selection', 'all', indices);
    publish('frame_selection:update', { indices });
    return { indices };
  });
  http.routes([
    {
      method: 'GET',
      path: '/api/rooms/:roomId/frame_selection',
      async handle(context) {
        const read = rooms.read(
          roomOf(context),
          ({ docs }) => docs.get<number[]>('frame_selection', 'all') ?? [],
          context.caller,
        );
        return json(200, { indices: await read });
      },
    },
  ]);
}
