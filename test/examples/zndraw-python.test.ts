/** examples/zndraw-rooms with clients in Python on its socket: upload.py and viewer.py. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Contract } from '../../examples/zndraw-rooms/contract.js';
import { startExample } from '../support/example.js';
import { skipSocketPython, socketPython } from '../support/python.js';
import { until } from '../support/until.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

t.test(
  'in Python over the socket: a viewer hears a script that uploads under the lock, and nobody else may',
  { skip: skipSocketPython },
  async (t) => {
    const { url, ask, sdk } = await startExample<Contract>(t, 'zndraw-rooms');
    const program = (script: string, ...args: string[]) => {
      const child = spawn(socketPython, [`${root}examples/zndraw-rooms/${script}`, 'r', ...args], {
        env: { ...process.env, ROOMWIRE_URL: url, PYTHONPATH: `${root}clients/python`, PYTHONDONTWRITEBYTECODE: '1' },
      });
      const lines: string[] = [];
      for (const stream of [child.stdout, child.stderr])
        createInterface(stream).on('line', (line) => void lines.push(line));
      const code = once(child, 'close').then(([status]) => status as number);
      t.teardown(() => child.kill('SIGKILL'));
      return { child, lines, code };
    };
    const viewer = program('viewer.py', '--user', 'bob');
    await until(() => viewer.lines.length > 0);
    t.same(viewer.lines, ['watching r, with 0 frames']);

    const upload = program('upload.py', '--user', 'ada', '--frames', '50');
    t.equal(await upload.code, 0);
    t.same(upload.lines, ['r has 50 frames']);
    await until(() => viewer.lines.some((line) => line.startsWith('ada: ')));
    t.same(viewer.lines.slice(1), [
      'ada is here',
      'ada holds the lock: Uploading',
      '20 frames',
      'ada holds the lock: Uploading: 20 of 50',
      '40 frames',
      'ada holds the lock: Uploading: 40 of 50',
      '50 frames',
      'ada holds the lock: Uploading: 50 of 50',
      'the lock is free',
      'ada: 50 frames are there',
    ]);

    const { body } = await ask('/api/login', { method: 'POST', body: { userName: 'ann' } });
    const room = sdk(body['token'] as string).room('r');
    await room.join();
    await room.presenter.take();
    room.volatile('frame_update', 'frame', { frame: 7 });
    await until(() => viewer.lines.at(-1) === 'the presenter looks at frame 7');
    const lock = await room.lock('trajectory:meta', { msg: 'Mine' });
    const refused = program('upload.py');
    t.equal(await refused.code, 1);
    t.match(refused.lines.at(-1), /^refused \(lock_held\): .*ann.*Mine/);
    await lock.release();

    viewer.child.kill('SIGINT');
    t.equal(await viewer.code, 0);
    await until(() => room.state.get().members.every(({ name }) => name !== 'bob'));
  },
);
