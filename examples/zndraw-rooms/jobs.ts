/**
 * The job queue of a room: members ask for work, a worker (a script, in any language) takes the oldest job and says when it
 * is done. The whole queue is short, so `queue:update` carries it.
 */
import { HttpError, json, jsonBody, RoomwireError, type OpenRoom, type WritableRoom } from '@roomwire/server';
import * as v from 'valibot';
import type { Job } from './contract.js';
import type { App } from './server.js';

const TABLE = 'jobs';
const MOST = 100;

const missing = 'name is missing';
const Asked = v.object(
  { name: v.pipe(v.string(missing), v.trim(), v.minLength(1, missing), v.maxLength(100)) },
  missing,
);

const queue = ({ docs }: OpenRoom): Job[] => docs.list<Job>(TABLE, { limit: MOST }).map(([, job]) => job);
const tell = (room: WritableRoom): void => room.publish('queue:update', { jobs: queue(room) });

export function jobs({ plugins: { rooms, http } }: App): void {
  // No lock stands in the way of asking for work; whoever does it takes one.
  const conditions = { lock: { target: TABLE } };

  http.routes([
    {
      method: 'GET',
      path: '/api/rooms/:roomId/jobs',
      handle: async ({ params, caller }) =>
        json(200, { jobs: await rooms.read(params['roomId'] as string, queue, caller) }),
    },
    {
      method: 'POST',
      path: '/api/rooms/:roomId/jobs',
      async handle({ request, params, caller }) {
        const { name } = jsonBody(request, Asked);
        const work = (room: WritableRoom): Job => {
          if (queue(room).length === MOST) throw new RoomwireError('limit_reached', `${MOST} jobs wait already`);
          const id = String(room.tx.nextVersion());
          const job: Job = { id, name, userName: caller.user.name, status: 'queued' };
          room.docs.set(TABLE, id.padStart(16, '0'), job);
          tell(room);
          return job;
        };
        return json(201, await rooms.write(params['roomId'] as string, work, conditions, caller));
      },
    },
    {
      /** Takes the oldest job that nobody has; null: there is none. */
      method: 'POST',
      path: '/api/rooms/:roomId/jobs/take',
      async handle({ params, caller }) {
        const work = (room: WritableRoom): Job | null => {
          const next = queue(room).find(({ status }) => status === 'queued');
          if (next === undefined) return null;
          const job: Job = { ...next, status: 'running' };
          room.docs.set(TABLE, job.id.padStart(16, '0'), job);
          tell(room);
          return job;
        };
        return json(200, { job: await rooms.write(params['roomId'] as string, work, conditions, caller) });
      },
    },
    {
      /** Done, or not wanted any more. */
      method: 'DELETE',
      path: '/api/rooms/:roomId/jobs/:jobId',
      async handle({ params, caller }) {
        const id = params['jobId'] as string;
        const work = (room: WritableRoom): void => {
          if (!queue(room).some((job) => job.id === id)) throw new HttpError(404, `there is no job ${id}`);
          room.docs.delete(TABLE, id.padStart(16, '0'));
          tell(room);
        };
        await rooms.write(params['roomId'] as string, work, conditions, caller);
        return json(200, { status: 'done' });
      },
    },
  ]);
}
