/** clients/python: its unittests, the socket client's against a real server. Each of them is a test here, under its own name. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import * as v from 'valibot';
import { http } from '../../src/http/http.js';
import { defineContract } from '../../src/protocol/contract.js';
import { type RoomwireError } from '../../src/protocol/errors.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { rooms } from '../../src/rooms/rooms.js';
import { skipSocketPython as skip, socketPython } from '../support/python.js';
import { startServer } from '../support/server.js';
import { unrated } from '../support/unrated.js';

const folder = fileURLToPath(new URL('../../clients/python', import.meta.url));

const contract = defineContract({
  use: [roomsContract()],
  topics: {
    'room:{id}': {
      events: {
        'chat:message:new': v.object({ text: v.string() }),
        note: { schema: v.unknown(), publish: 'subscribers' },
      },
    },
    'open:{id}': { events: { note: v.unknown() } },
  },
  calls: {
    echo: { input: v.unknown() },
    hang: { input: v.unknown() },
    tell: { input: v.object({ topic: v.string(), data: v.unknown() }) },
    'chat:send': { input: v.object({ roomId: v.string(), text: v.string() }) },
    'ask:me': { input: v.object({ name: v.string(), data: v.unknown() }) },
  },
});

t.test('the Python client does what its own tests promise', { skip, timeout: 240_000 }, async (t) => {
  const { server, url } = await startServer(t, { contract, plugins: [rooms(), http()], limits: unrated });
  server.handle('echo', ({ input }) => input);
  server.handle('hang', () => new Promise(() => undefined));
  server.handle('tell', async ({ input: { topic, data }, publish }) => {
    await publish(topic as 'open:x', 'note', data);
  });
  server.handle('chat:send', async ({ input: { roomId, text }, session, rooms, publish }) => {
    await rooms.requireMember(session, roomId);
    await publish(`room:${roomId}`, 'chat:message:new', { text });
  });
  server.handle('ask:me', async ({ input: { name, data }, session }) => {
    try {
      return { ok: await server.call(session, name, data) };
    } catch (error) {
      return { code: (error as RoomwireError).code };
    }
  });

  const child = spawn(socketPython, ['-m', 'unittest', 'discover', '-v', '-s', 'tests', '-t', '.'], {
    cwd: folder,
    env: {
      ...process.env,
      ROOMWIRE_TEST_URL: url,
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONWARNINGS: 'error::ResourceWarning',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (text += part.toString()));
  const [status] = (await once(child, 'close')) as [number];
  // "test_name (module.Class)", the docstring on a line of its own, then "... ok".
  for (const [, title = '', outcome] of text.matchAll(/^test_\w+ \(.*\)\n(.*) \.\.\. (\w+)/gm)) {
    t.equal(outcome, 'ok', title);
  }
  t.equal(status, 0, 'all of them ran');
  if (status !== 0) t.comment(text);
});
