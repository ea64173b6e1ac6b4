import t from 'tap';
import { createServer } from '../../src/server/server.js';
import { openContract, startServer } from '../support/server.js';

const contract = openContract;

t.test('how long an idle HTTP connection stays can be set, and is told', async (t) => {
  const timeouts = [];
  for (const httpIdleMs of [undefined, 60_000]) {
    const { http } = await startServer(t, { engine: 'ws', httpIdleMs });
    const response = await fetch(http);
    await response.text();
    timeouts.push(response.headers.get('keep-alive'));
  }
  t.strictSame(timeouts, ['timeout=10', 'timeout=60']);
});

t.test('where it could not work it is refused with what to do, before anything starts', async (t) => {
  for (const engine of ['auto', 'uws', undefined] as const) {
    const options = engine === undefined ? {} : { engine };
    t.throws(() => createServer({ contract, ...options, httpIdleMs: 60_000 }), {
      name: 'TypeError',
      message: /httpIdleMs needs the engine ws/,
    });
  }
  for (const httpIdleMs of [0, -1, 0.5, NaN, Infinity, 3_600_001]) {
    t.throws(
      () => createServer({ contract, engine: 'ws', httpIdleMs }),
      { message: /httpIdleMs: takes a whole number/ },
      `${httpIdleMs}`,
    );
  }
});
