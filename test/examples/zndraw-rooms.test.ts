/** examples/zndraw-rooms as its clients meet it: over the SDK and over HTTP, and its Python script. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { ChatMessage, Contract, Frame } from '../../examples/zndraw-rooms/contract.js';
import { startExample, type Answer } from '../support/example.js';
import { until } from '../support/until.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const LOCK = 'trajectory:meta';
const atom = (x: number): Frame => ({ positions: [[x, 0, 0]], numbers: [6] });
const atoms = (...xs: number[]): { frames: Frame[] } => ({ frames: xs.map(atom) });

async function start(t: Parameters<typeof startExample>[0], args: readonly string[] = []) {
  const program = await startExample<Contract>(t, 'zndraw-rooms', { args });
  const login = async (userName: string) => {
    const { status, body } = await program.ask('/api/login', { method: 'POST', body: { userName } });
    if (status !== 201) throw new Error(`login: ${status}`);
    return body as { userId: string; token: string };
  };
  return {
    ...program,
    login,
    /** Somebody with a page open: an SDK client, and requests with the same token. */
    async person(name: string) {
      const { token, userId } = await login(name);
      const client = program.sdk(token);
      const asks =
        (method: string) =>
        (path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
          program.ask(path, { method, token, body, headers });
      return {
        client,
        userId,
        get: asks('GET'),
        post: asks('POST'),
        put: asks('PUT'),
        patch: asks('PATCH'),
        remove: asks('DELETE'),
        /** In a room, with all it hears there. */
        async enter(roomId: string) {
          const room = client.room(roomId);
          const heard: [event: string, data: unknown][] = [];
          room.on('*', (data, { event }) => void heard.push([event, data]));
          await room.join({ create: true });
          const of = (event: string): unknown[] => heard.filter(([name]) => name === event).map(([, data]) => data);
          return { room, heard: of };
        },
      };
    },
  };
}
const guarded = ({ token }: { readonly token: number }) => ({ 'lock-token': String(token) });

t.test('the rooms page and the room page: listed once, live from then on, one connection for both', async (t) => {
  const { person, errors } = await start(t);
  const [ann, bob] = [await person('ann'), await person('bob')];
  await bob.post('/api/rooms/first', { description: 'First' });
  await ann.client.rooms.watch();
  const sid = ann.client.state.get().sid;
  const updates: unknown[] = [];
  ann.client.listen('overview:public').on('room:update', (data) => updates.push(data));

  t.equal((await bob.post('/api/rooms/new-room', { description: 'New Room' })).status, 201);
  await bob.post('/api/rooms/new-room/frames', atoms(1, 2, 3));
  await bob.patch('/api/rooms/new-room', { description: 'Updated desc', locked: true });
  await until(() => ann.client.rooms.get('new-room')?.locked === true);
  t.match(updates, [
    { roomId: 'new-room', created: true, description: 'New Room', frameCount: 0, locked: false, isDefault: false },
    { roomId: 'new-room', frameCount: 3 },
    { roomId: 'new-room', description: 'Updated desc', locked: true },
  ]);
  t.same(Object.keys(updates[1] as object).sort(), ['frameCount', 'roomId', 'version'], 'only what changed');

  const { room } = await ann.enter('first');
  await until(() => !ann.client.rooms.status.get().watching);
  t.match((await ann.get('/api/rooms/first')).body, { room: { id: 'first', frameCount: 0, metadataLocked: null } });
  await bob.remove('/api/rooms/first');
  await until(() => room.state.get().status === 'deleted');
  await ann.client.rooms.watch();
  t.same(
    ann.client.rooms.list().map(({ id }) => id),
    ['new-room'],
  );
  t.equal(ann.client.state.get().sid, sid, 'the same session');
  t.equal(ann.client.state.get().attempt, 0);
  t.same(errors, []);
});

t.test(
  'an upload under the lock: all see who and how far, nobody else writes, an old token opens nothing',
  async (t) => {
    const { person } = await start(t);
    const [ann, bob, watcher] = [await person('ann'), await person('bob'), await person('watcher')];
    await watcher.client.rooms.watch();
    const [a, b] = [await ann.enter('r'), await bob.enter('r')];
    const frames = '/api/rooms/r/frames';

    const lock = await a.room.lock(LOCK, { msg: 'Uploading' });
    await until(() => watcher.client.rooms.get('r')?.metadataLocked?.msg === 'Uploading');
    t.match(b.room.state.get().metadata?.metadataLocked, { userName: 'ann', msg: 'Uploading', timestamp: Number });
    t.match(await bob.post(frames, atoms(9)), {
      status: 423,
      body: { name: 'lock_held', details: { userName: 'ann' } },
    });
    await t.rejects(b.room.lock(LOCK), { name: 'lock_held', details: { userName: 'ann', msg: 'Uploading' } });
    t.match(await ann.post(frames, atoms(1, 2), guarded(lock)), { status: 201, body: { frameCount: 2 } });
    await lock.message('Uploading: 2 of 4');
    await until(() => watcher.client.rooms.get('r')?.metadataLocked?.msg === 'Uploading: 2 of 4');
    await ann.post(frames, atoms(3, 4), guarded(lock));
    await lock.release();
    await until(() => watcher.client.rooms.get('r')?.metadataLocked === null);
    t.equal(watcher.client.rooms.get('r')?.frameCount, 4);

    const next = await b.room.lock(LOCK);
    t.match(await ann.post(frames, atoms(5), guarded(lock)), { status: 409, body: { name: 'lock_lost' } });
    t.match(await bob.post(frames, atoms(5), guarded(next)), { status: 201, body: { frameCount: 5 } });
    const { body } = await ann.get(`${frames}?from=3`);
    t.same(body, { frameCount: 5, from: 3, frames: [atom(4), atom(5)] });
    t.match(b.heard('room:update').at(-1), { roomId: 'r', frameCount: 5 });
  },
);

t.test('an answer has a hundred frames, or fewer where they are large', async (t) => {
  const { person } = await start(t);
  const ann = await person('ann');
  await ann.post('/api/rooms/small');
  for (let i = 0; i < 2; i++)
    await ann.post('/api/rooms/small/frames', atoms(...Array.from({ length: 75 }, (_, x) => x)));
  const length = async (path: string): Promise<unknown> => ((await ann.get(path)).body['frames'] as unknown[]).length;
  t.equal(await length('/api/rooms/small/frames'), 100);
  t.equal(await length('/api/rooms/small/frames?from=100'), 50);
  t.equal(await length('/api/rooms/small/frames?from=150'), 0);
  await ann.post('/api/rooms/large');
  const large = { positions: Array.from({ length: 5_000 }, () => [0, 0, 0]), numbers: Array(5_000).fill(1) };
  for (let i = 0; i < 3; i++) await ann.post('/api/rooms/large/frames', { frames: Array(5).fill(large) });
  t.equal(await length('/api/rooms/large/frames'), 10);
  t.equal(await length('/api/rooms/large/frames?from=10'), 5);
  const tooLarge = await ann.post('/api/rooms/large/frames', { frames: Array(100).fill(large) });
  t.equal(tooLarge.status, 413);
});

t.test('a permanently locked room takes no more, until that is lifted', async (t) => {
  const { person } = await start(t);
  const ann = await person('ann');
  await ann.post('/api/rooms/r');
  await ann.post('/api/rooms/r/frames', atoms(1));
  await ann.patch('/api/rooms/r', { locked: true });
  const refused = { status: 423, body: { name: 'room_locked' } };
  t.match(await ann.post('/api/rooms/r/frames', atoms(2)), refused);
  t.match(await ann.put('/api/rooms/r/geometry/box', { size: 1 }), refused);
  t.match(await ann.post(`/api/rooms/r/locks/${LOCK}`), refused);
  t.equal((await ann.patch('/api/rooms/r', { locked: false })).status, 200);
  t.equal((await ann.post('/api/rooms/r/frames', atoms(2))).status, 201);
});

t.test('the presenter moves the view of all, and nobody else does', async (t) => {
  const { person } = await start(t);
  const [ann, bob] = [await person('ann'), await person('bob')];
  const [a, b] = [await ann.enter('r'), await bob.enter('r')];
  await t.rejects(b.room.publish('frame_update', { frame: 3 }), { name: 'forbidden' });
  await a.room.presenter.take();
  await until(() => b.room.state.get().metadata?.presenterSid === ann.client.state.get().sid);
  for (const frame of [1, 2, 3]) a.room.volatile('frame_update', 'frame', { frame });
  await until(() => (b.heard('frame_update').at(-1) as { frame?: number } | undefined)?.frame === 3);
  // Who comes later sees where the presenter is.
  const late = await (await person('cara')).enter('r');
  await until(() => late.heard('frame_update').length === 1);
  t.same(late.heard('frame_update'), [{ frame: 3 }]);
  b.room.volatile('frame_update', 'frame', { frame: 9 });
  await t.rejects(b.room.presenter.take(), { name: 'lock_held' });
  await a.room.presenter.release();
  await until(() => b.room.state.get().metadata?.presenterSid === null);
  await t.rejects(a.room.publish('frame_update', { frame: 4 }), { name: 'forbidden' });
  t.notOk(b.heard('frame_update').some((data) => (data as { frame: number }).frame > 3));
});

t.test('chat: new, edited by its author, kept for those who come later', async (t) => {
  const { person } = await start(t);
  const [ann, bob] = [await person('ann'), await person('bob')];
  const [, b] = [await ann.enter('r'), await bob.enter('r')];
  const create = (content: string): Promise<ChatMessage> =>
    ann.client.call('chat:message:create', { roomId: 'r', content });
  const first = await create('Frame 7 looks wrong');
  t.match(first, {
    roomId: 'r',
    author: { id: ann.userId, name: 'ann' },
    content: 'Frame 7 looks wrong',
    isEdited: false,
  });
  const edited = await ann.client.call('chat:message:edit', { roomId: 'r', messageId: first.id, content: 'Frame 8' });
  t.match(edited, { id: first.id, content: 'Frame 8', isEdited: true });
  t.ok(edited.version > first.version);
  await t.rejects(bob.client.call('chat:message:edit', { roomId: 'r', messageId: first.id, content: 'mine' }), {
    name: 'forbidden',
    message: /only its author/,
  });
  await until(() => b.heard('chat:message:updated').length === 1);
  t.same(b.heard('chat:message:new'), [first]);
  t.same(b.heard('chat:message:updated'), [edited]);
  for (let i = 0; i < 50; i++) await create(`message ${i}`);
  const page = (await bob.get('/api/rooms/r/chat/messages')).body as { messages: ChatMessage[]; hasMore: boolean };
  t.match([page.messages.length, page.messages.at(-1)?.content, page.hasMore], [50, 'message 49', true]);
  const [oldest] = page.messages;
  const before = await bob.get(`/api/rooms/r/chat/messages?before=${oldest?.id}`);
  t.same(before.body, { messages: [edited], hasMore: false });
});

t.test('what pages cache is told by name: scene, bookmarks, frames, selection, queue', async (t) => {
  const { person } = await start(t);
  const [ann, bob] = [await person('ann'), await person('bob')];
  const { heard } = await bob.enter('r');
  await ann.enter('r');
  await ann.post('/api/rooms/r/frames', atoms(1, 2, 3, 4));
  for (const kind of ['geometry', 'figure', 'settings', 'selection']) {
    t.equal((await ann.put(`/api/rooms/r/${kind}/main`, { size: 3 })).status, 200);
    t.same((await bob.get(`/api/rooms/r/${kind}`)).body, { main: { size: 3 } });
  }
  await ann.remove('/api/rooms/r/geometry/main');
  await ann.put('/api/rooms/r/bookmarks/2', { label: 'melted' });
  t.same((await bob.get('/api/rooms/r/bookmarks')).body, { 2: { label: 'melted' } });
  t.match(await ann.client.call('frame_selection:set', { roomId: 'r', indices: [1, 2] }), { indices: [1, 2] });
  t.same((await bob.get('/api/rooms/r/frame_selection')).body, { indices: [1, 2] });
  t.same((await ann.put('/api/rooms/r/frames/1', atom(20))).body, { index: 1 });
  t.same((await ann.remove('/api/rooms/r/frames/3')).body, { frameCount: 3 });
  const job = (await ann.post('/api/rooms/r/jobs', { name: 'relax' })).body;
  t.match(job, { name: 'relax', userName: 'ann', status: 'queued' });
  t.match((await bob.post('/api/rooms/r/jobs/take')).body, { job: { id: job['id'], status: 'running' } });
  t.same((await bob.post('/api/rooms/r/jobs/take')).body, { job: null });
  await bob.remove(`/api/rooms/r/jobs/${String(job['id'])}`);

  await until(() => heard('queue:update').length === 3);
  t.same(heard('invalidate:geometry'), [
    { key: 'main', operation: 'set' },
    { key: 'main', operation: 'delete' },
  ]);
  for (const kind of ['figure', 'settings', 'selection']) {
    t.same(heard(`invalidate:${kind}`), [{ key: 'main', operation: 'set' }]);
  }
  t.same(heard('bookmarks:invalidate'), [{ index: 2, operation: 'set' }]);
  t.same(heard('frame_selection:update'), [{ indices: [1, 2] }]);
  t.same(heard('frames:invalidate'), [
    { operation: 'replace', affectedFrom: 1 },
    { operation: 'delete', affectedFrom: 3 },
  ]);
  t.match(heard('queue:update'), [{ jobs: [{ status: 'queued' }] }, { jobs: [{ status: 'running' }] }, { jobs: [] }]);
  t.same((await bob.get('/api/rooms/r/frames')).body['frames'], [atom(1), atom(20), atom(3)]);
});

t.test('a room is deleted with all it had: the next one of that name is empty', async (t) => {
  const { person } = await start(t);
  const ann = await person('ann');
  await ann.enter('r');
  await ann.post('/api/rooms/r/frames', atoms(1, 2));
  await ann.put('/api/rooms/r/bookmarks/1', { label: 'here' });
  await ann.client.call('chat:message:create', { roomId: 'r', content: 'hello' });
  t.equal((await ann.remove('/api/rooms/r')).status, 204);
  t.match(await ann.get('/api/rooms/r/frames'), { status: 404, body: { name: 'room_not_found' } });
  await ann.post('/api/rooms/r');
  t.same((await ann.get('/api/rooms/r/frames')).body, { frameCount: 0, from: 0, frames: [] });
  t.same((await ann.get('/api/rooms/r/bookmarks')).body, {});
  t.same((await ann.get('/api/rooms/r/chat/messages')).body, { messages: [], hasMore: false });
});

t.test('the default room is announced for the old and the new one', async (t) => {
  const { person } = await start(t);
  const ann = await person('ann');
  for (const id of ['one', 'two']) await ann.post(`/api/rooms/${id}`);
  await ann.put('/api/default-room', { roomId: 'one' });
  await ann.client.rooms.watch();
  const updates: unknown[] = [];
  ann.client.listen('overview:public').on('room:update', (data) => updates.push(data));
  await ann.put('/api/default-room', { roomId: 'two' });
  await until(() => updates.length === 2);
  t.match(updates, [
    { roomId: 'one', isDefault: false },
    { roomId: 'two', isDefault: true },
  ]);
});

t.test('what must be refused is refused, and says why', async (t) => {
  const { person, ask, sdk } = await start(t);
  const [ann, eve] = [await person('ann'), await person('eve')];
  await ann.enter('r');
  await ann.post('/api/rooms/r/frames', atoms(1));
  const refusals: [what: Promise<Answer>, status: number, detail: RegExp][] = [
    [ask('/api/login', { method: 'POST', body: {} }), 422, /userName is missing/],
    [ask('/api/login', { method: 'POST', text: '{' }), 400, /not valid JSON/],
    [ask('/api/rooms'), 401, /./],
    [ask('/api/rooms/r/frames', { token: 'forged' }), 401, /./],
    [ann.post('/api/rooms/none/frames', atoms(1)), 404, /no room 'none'/],
    [ann.post('/api/rooms/r/frames', {}), 422, /frames are missing/],
    [ann.post('/api/rooms/r/frames', { frames: [{ numbers: [1] }] }), 422, /a frame has positions and numbers/],
    [ann.post('/api/rooms/r/frames', { frames: [{ ...atom(1), numbers: [] }] }), 422, /each atom has a position/],
    [ann.post('/api/rooms/r/frames', atoms(...Array.from({ length: 101 }, (_, i) => i))), 422, /at most 100 frames/],
    [ann.post('/api/rooms/r/frames', atoms(1), { 'lock-token': 'x' }), 400, /lock-token.*whole number/],
    [ann.post('/api/rooms/r/frames', atoms(1), { 'lock-token': '1' }), 409, /./],
    [ann.put('/api/rooms/r/frames/7', atom(1)), 404, /no frame 7: the room has 1/],
    [ann.get('/api/rooms/r/frames?from=-1'), 422, /from is the number of a frame/],
    [ann.patch('/api/rooms/r', { frameCount: 7 }), 403, /frameCount is set by the server alone/],
    [ann.post('/api/rooms/s', { frameCount: 7 }), 403, /frameCount is set by the server alone/],
    [ann.put('/api/rooms/r/bookmarks/7', { label: 'x' }), 404, /no frame 7/],
    [ann.put('/api/rooms/r/bookmarks/0', {}), 422, /label is missing/],
    [ann.remove('/api/rooms/r/bookmarks/0'), 404, /no bookmarks '0'/],
    [ann.put('/api/rooms/r/geometry/a%20b', {}), 400, /a key has letters/],
    [ann.put('/api/rooms/r/geometry/box', []), 422, /must be a JSON object/],
    [ann.post('/api/rooms/r/jobs', {}), 422, /name is missing/],
    [ann.remove('/api/rooms/r/jobs/7'), 404, /no job 7/],
    [ann.put('/api/default-room', { roomId: 'none' }), 404, /no room 'none'/],
    [eve.remove(`/api/rooms/r/members/${ann.userId}`), 403, /./],
  ];
  for (const [what, status, detail] of refusals) {
    const answer = await what;
    t.match({ status: answer.status, detail: answer.body['detail'] }, { status, detail }, String(detail));
  }
  const inside = (input: object) => ({ roomId: 'r', ...input });
  await t.rejects(eve.client.room('none').join(), { name: 'room_not_found' });
  await t.rejects(eve.client.call('chat:message:create', { roomId: 'r', content: 'hi' }), { name: 'not_member' });
  await t.rejects(eve.client.call('frame_selection:set', { roomId: 'r', indices: [] }), { name: 'not_member' });
  await t.rejects(eve.client.call('lock:acquire', { roomId: 'r' }), { name: 'not_member' });
  await t.rejects(ann.client.call('chat:message:create', inside({}) as never), { message: /content is missing/ });
  await t.rejects(ann.client.call('chat:message:edit', { roomId: 'r', messageId: '7', content: 'x' }), {
    message: /there is no message 7/,
  });
  await t.rejects(ann.client.call('frame_selection:set', { roomId: 'r', indices: [7] }), { message: /no frame 7/ });
  await t.rejects(ann.client.call('lock:release', { roomId: 'r', token: 7 }), { name: 'lock_lost' });
  // What the room tells only the server may say.
  await t.rejects(ann.client.publish('room:r', 'room:update', {} as never), { name: 'forbidden' });
  await t.rejects(ann.client.publish('room:r', 'chat:message:new', {} as never), { name: 'forbidden' });
  const forged = sdk('forged');
  forged.rooms.watch().catch(() => undefined);
  await until(() => forged.state.get().reason !== undefined);
  t.match(forged.state.get().reason, { name: 'unauthenticated' });
});

t.test('with --data the rooms, their frames and messages are there after a restart', async (t) => {
  const args = ['--data', t.testdir()];
  const first = await start(t, args);
  const ann = await first.person('ann');
  await ann.enter('r');
  await ann.post('/api/rooms/r/frames', atoms(1, 2));
  await ann.client.call('chat:message:create', { roomId: 'r', content: 'kept' });
  await ann.post('/api/rooms/gone');
  await ann.post('/api/rooms/gone/frames', atoms(1));
  first.child.kill('SIGTERM');
  await first.gone;
  const second = await start(t, args);
  const bob = await second.person('bob');
  t.match((await bob.get('/api/rooms/r/frames')).body, { frameCount: 2, frames: [atom(1), atom(2)] });
  t.match((await bob.get('/api/rooms/r/chat/messages')).body, { messages: [{ content: 'kept' }] });
});

const python = spawnSync('python3', ['--version']).status === 0 || process.env['ROOMWIRE_REQUIRE_PYTHON'] === '1';
t.test(
  'the Python script makes a room, appends frames under its lock, and is refused while another has it',
  { skip: python ? false : 'python3 is not here' },
  async (t) => {
    const { person, url } = await start(t);
    const run = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
      new Promise((done) => {
        const script = `${root}examples/zndraw-rooms/trajectory.py`;
        const child = execFile(
          'python3',
          [script, ...args],
          { env: { ...process.env, ROOMWIRE_URL: url } },
          (_, out, err) => done({ code: child.exitCode ?? -1, out, err }),
        );
      });
    const ann = await person('ann');
    await ann.client.rooms.watch();
    const updates: { metadataLocked?: { msg: string | null; userName: string } | null; frameCount?: number }[] = [];
    ann.client.listen('overview:public').on('room:update', (data) => updates.push(data));
    t.match(await run('box', '--frames', '50', '--user', 'ada'), { code: 0, out: 'box has 50 frames' });
    await until(() => updates.at(-1)?.metadataLocked === null);
    t.same(
      updates.flatMap(({ frameCount }) => frameCount ?? []),
      [0, 20, 40, 50],
    );
    t.same(
      updates.flatMap(({ metadataLocked }) => metadataLocked?.msg ?? []),
      ['appends frames', ...[20, 40, 50].map((done) => `appends frames: ${done} of 50`)],
    );
    t.equal(updates.find(({ metadataLocked }) => metadataLocked)?.metadataLocked?.userName, 'ada');

    const { room } = await ann.enter('box');
    t.equal((await ann.get('/api/rooms/box/frames?from=49')).body['frameCount'], 50);
    const lock = await room.lock(LOCK, { msg: 'Uploading' });
    const refused = await run('box');
    t.match(refused, { code: 1, err: /refused \(lock_held\): .*ann.*Uploading/ });
    await lock.release();
    t.match(await run('box', '--work'), { code: 0, out: 'there is no job' });
    await ann.post('/api/rooms/box/jobs', { name: 'relax' });
    t.match(await run('box', '--work', '--frames', '10'), { code: 0, out: 'box has 60 frames' });
    t.same((await ann.get('/api/rooms/box/jobs')).body, { jobs: [] });
  },
);
