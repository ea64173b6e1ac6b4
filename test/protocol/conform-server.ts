/** A server that offers all that the vectors need, and what only its side can do. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { defineContract } from '../../src/protocol/contract.js';
import { http } from '../../src/http/http.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { rooms } from '../../src/rooms/rooms.js';
import { RoomwireError } from '../../src/protocol/errors.js';
import type { Limits } from '../../src/protocol/limits.js';
import type { AdmissionOptions } from '../../src/server/gate/doorkeeper.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { edgesHere } from '../support/edge.js';
import { ManualTime } from '../support/manual-time.js';
import { SECRET } from '../support/tokens.js';
import { token } from '../support/jwt.js';
import { engine, startServer, testStore, type Test } from '../support/server.js';
import type { Host, PlayOptions } from '../../src/conform/play.js';

const anything = v.unknown();

export const conformContract = defineContract({
  use: [roomsContract()],
  topics: {
    'room:{id}': {
      events: {
        'chat:message:new': { schema: v.object({ text: v.string() }), publish: 'subscribers' },
        frame_update: v.object({ frame: v.number() }),
      },
    },
    'conform:{id}': {
      events: {
        note: { schema: anything, publish: 'subscribers' },
        strict: { schema: v.object({ n: v.number() }), publish: 'subscribers' },
        notice: anything,
      },
    },
    'kept:{id}': { subscribe: 'by-call', events: { notice: anything } },
  },
  calls: {
    'conform:echo': { input: anything },
    'conform:strict': { input: v.object({ n: v.number() }) },
    'conform:fail': { input: anything },
    'conform:hang': { input: anything },
  },
});

interface Needs {
  readonly needs?: readonly string[] | undefined;
  readonly limits?: Readonly<Partial<Limits>> | undefined;
  readonly admission?: AdmissionOptions | undefined;
}

/** What the server runs on; by default what the suite does. */
export type Made = 'portable and durable' | 'behind an edge' | undefined;

/** `needs` as the vectors have them: tokens, restart. */
export async function startConform(
  t: Test,
  { needs = [], limits = {}, admission = {} }: Needs = {},
  made?: Made,
): Promise<Required<Pick<PlayOptions, 'url' | 'host'>>> {
  const time = new ManualTime();
  const path = needs.includes('restart') || made === 'portable and durable' ? folder(t) : undefined;
  const start = () =>
    startServer(t, {
      contract: conformContract,
      plugins: [rooms(), http()] as const,
      store: path === undefined ? testStore(t) : lmdbStore({ path }),
      ...(made === 'portable and durable' ? { engine: 'ws' as const } : {}),
      ...(made === 'behind an edge' ? { transport: edgesHere({ engine, time }).transport } : {}),
      time,
      limits,
      admission,
      ...(needs.includes('tokens') ? { auth: { secret: SECRET } } : {}),
      setup(server) {
        server.handle('conform:echo' as never, ({ input }: { input: unknown }) => input);
        server.handle('conform:strict' as never, ({ input }: { input: unknown }) => input);
        server.handle('conform:fail' as never, () => {
          throw new Error('as it should');
        });
        server.handle(
          'conform:hang' as never,
          ({ signal }: { signal: AbortSignal }) =>
            new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
        );
      },
    });
  let s = await start();
  const host: Host = {
    publish: (topic, event, data) => s.server.publish(topic as never, event as never, data as never),
    delete: (room) => s.server.plugins.rooms.delete(room),
    kick: (user) => Promise.all(s.server.sessionsOf(user).map((session) => s.server.kick(session))),
    async call(sid, name, data, timeoutMs) {
      const session = s.server.session(sid);
      if (session === undefined) throw new RoomwireError('disconnected');
      return s.server.call(session, name, data, timeoutMs === undefined ? {} : { timeoutMs });
    },
    token: (user, { seconds = 3_600, groups }) =>
      token(user, {
        exp: Math.ceil(time.wall() / 1_000) + seconds,
        claims: { name: user.toUpperCase(), ...(groups === undefined ? {} : { groups }) },
      }),
    drain: () => s.server.close({ spreadMs: 5_000 }),
    async restart() {
      await s.server.close();
      s = await start();
      return s.url;
    },
    async pass(ms) {
      // What was sent, or cut, is read first; and what comes of one step is done before the next.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      for (let left = ms; left > 0; left -= 250) {
        time.advance(Math.min(left, 250));
        await s.server.transact((tx) => tx.now).catch(() => undefined);
      }
    },
  };
  return { url: s.url, host };
}

/** Of one server: the test's own is emptied for each that asks for it. */
function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'roomwire-conform-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
