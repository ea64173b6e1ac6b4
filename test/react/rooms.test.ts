/** Rooms, lists of rooms and clients in a real browser, against a real server: what components show, and what others see. */
import t from 'tap';
import { eventually, skipBrowser as skip } from '../support/browser.js';
import { react19, scene, well } from './scene.js';

for (const mode of ['', 'strict', 'made', 'strict&made'] as const) {
  t.test(
    `two components of one room join it once, and it is left with the last (${mode || 'plain'})`,
    { skip },
    async (t) => {
      const s = await scene(t, { mode });
      await s.go('room a', 'lock a notes', 'room a create', 'connection');
      for (const widget of ['room a', 'room a create']) await s.shows(widget, { status: 'joined', id: 'a' });
      t.same(await s.story('room a'), ['joining', 'joined']);
      await s.go('room a');
      await s.go();
      await eventually(() => s.seen.length === 2 && s.calls.length >= 2);
      t.same(s.seen, ['member:joined a', 'member:left a']);
      t.same(s.calls, ['join:room a', 'leave:room a']);
      well(t, s);
    },
  );
}

t.test(
  'pages that change at once between two rooms show nobody as gone, and never one room under the name of another',
  { skip },
  async (t) => {
    const s = await scene(t, { mode: 'strict' });
    await s.go('room a');
    await s.shows('room a', { status: 'joined' });
    await s.go('room b');
    await s.go('room a');
    await s.go('room b');
    await s.shows('room b', { status: 'joined', id: 'b' });
    await s.go('room a');
    t.match(
      await s.now('room a'),
      { status: 'joined', id: 'a', description: 'this is a' },
      'still there, so shown at once',
    );
    await eventually(() => s.seen.includes('member:left b') && s.sent('leave:room b') > 0);
    t.same(s.seen, ['member:joined a', 'member:joined b', 'member:left b']);
    t.same(s.calls, ['join:room a', 'join:room b', 'leave:room b']);
    for (const { asked, id } of await s.shown())
      t.ok(id === null || id === asked, `${String(asked)} shows ${String(id)}`);
    well(t, s);
  },
);

t.test('who comes back to a room after leaving it is shown nothing of the earlier stay', { skip }, async (t) => {
  const s = await scene(t);
  await s.go('room a');
  await s.shows('room a', { status: 'joined' });
  await s.go();
  await eventually(() => s.seen.includes('member:left a'));
  await s.rooms.update('a', { description: 'another' });
  const before = (await s.shown()).length;
  await s.go('room a');
  await s.shows('room a', { status: 'joined' });
  const descriptions = (await s.shown()).slice(before).map(({ description }) => description ?? null);
  t.same([...new Set(descriptions)], [null, 'another']);
  well(t, s);
});

t.test('a connection that is cut and comes back renders nothing, and is seen by nobody', { skip }, async (t) => {
  const s = await scene(t, { mode: 'strict' });
  await s.go('room a', 'lock a notes', 'rooms', 'chat a', 'connection');
  await s.shows('room a', { status: 'joined' });
  await s.shows('rooms', { watching: true, loading: false, rooms: ['a', 'b'] });
  const renders = async (): Promise<string[]> =>
    (await s.shown()).map(({ widget }) => widget).filter((widget) => widget !== 'connection');
  const before = await renders();
  s.proxy.refusing = true;
  s.proxy.cutAll();
  await s.shows('connection', { status: 'offline' });
  await s.server.publish('room:a', 'chat:message:new', { text: 'meanwhile' });
  s.proxy.refusing = false;
  await s.shows('connection', { status: 'live' });
  await eventually(async () => (await s.page.evaluate(() => window.app.heard)).length === 1);
  t.same(
    (await renders()).slice(before.length),
    ['chat a', 'chat a'],
    'only who heard the message, twice in StrictMode',
  );
  await s.rooms.update('a', { description: 'new' });
  await s.shows('room a', { description: 'new' });
  t.same(
    (await renders()).slice(before.length + 2).filter((widget) => widget === 'lock a notes'),
    [],
    'the lock is what it was',
  );
  await s.barrier();
  t.same(s.seen, ['member:joined a']);
});

t.test('after missed events the room is shown as it is now, and the event reset is heard', { skip }, async (t) => {
  const s = await scene(t, { limits: { historyEvents: 20 } });
  await s.go('room a', 'chat a', 'connection');
  await s.shows('room a', { status: 'joined' });
  s.proxy.refusing = true;
  s.proxy.cutAll();
  await s.shows('connection', { status: 'offline' });
  for (let i = 1; i <= 300; i++) await s.server.publish('room:a', 'chat:message:new', { text: String(i) });
  await s.rooms.update('a', { description: 'changed meanwhile' });
  s.proxy.refusing = false;
  await s.shows('room a', { status: 'joined', loading: false, description: 'changed meanwhile' });
  t.same(await s.page.evaluate(() => window.app.heard), ['reset']);
  t.same(await s.story('room a'), ['joining', 'joined'], 'nothing under it was mounted anew');
  const loading = (await s.shown()).flatMap(({ widget, loading }) => (widget === 'room a' ? [loading] : []));
  t.same(
    loading.filter((now, i) => now !== loading[i - 1]),
    [true, false, true, false],
  );
  t.same(s.seen, ['member:joined a']);
});

t.test('what is published after the join is heard, by the handler of the latest render', { skip }, async (t) => {
  const s = await scene(t, { mode: 'strict' });
  // Published as soon as the member is in: before the tab knows.
  s.onlooker
    .room('a')
    .on('member:joined', () => void s.server.publish('room:a', 'chat:message:new', { text: 'first' }));
  await s.go('chat a');
  await eventually(async () => (await s.page.evaluate(() => window.app.heard)).length === 1);
  await s.server.publish('room:a', 'chat:message:new', { text: 'second' });
  await eventually(async () => (await s.page.evaluate(() => window.app.heard)).length === 2);
  t.same(await s.page.evaluate(() => window.app.heard), ['0 first', '1 second']);
  well(t, s);
});

t.test(
  'a join that is refused is a state, until it is tried again or a component would create the room',
  { skip },
  async (t) => {
    const s = await scene(t, { mode: 'strict' });
    await s.go('room c');
    await s.shows('room c', { status: 'refused', error: 'room_not_found' });
    await s.rooms.create('c');
    await s.page.evaluate(() => window.app.retry());
    await s.shows('room c', { status: 'joined', id: 'c' });
    t.same(await s.story('room c'), ['joining', 'refused', 'joining', 'joined']);
    await s.go('room d');
    await s.shows('room d', { status: 'refused' });
    await s.go('room d', 'room d create');
    await s.shows('room d', { status: 'joined', id: 'd' });
    well(t, s);
  },
);

t.test(
  'a room that is deleted and a member who is kicked are shown as such, and nobody comes back unasked',
  { skip },
  async (t) => {
    const s = await scene(t);
    await s.go('room a', 'room b', 'connection');
    await s.shows('room a', { status: 'joined' });
    await s.shows('room b', { status: 'joined' });
    await s.rooms.delete('a');
    await s.shows('room a', { status: 'deleted', error: 'room_not_found' });
    const me = await s.page.evaluate(() => window.app.client?.state.get().user?.id);
    await s.rooms.kick('b', String(me));
    await s.shows('room b', { status: 'removed' });
    await s.go('room a', 'room b', 'connection', 'lock b notes', 'chat b');
    await s.rooms.create('e');
    await s.go('room a', 'room b', 'connection', 'lock b notes', 'room e');
    await s.shows('room e', { status: 'joined' });
    t.equal(s.sent('join:room b'), 1);
    t.equal((await s.now('room b'))?.status, 'removed');
    await s.go('connection');
    await eventually(() => s.sent('leave:room e') === 1);
    await s.go('room b');
    await s.shows('room b', { status: 'joined' });
    t.equal(s.sent('leave:room b'), 0, 'there was nothing to leave');
    well(t, s);
  },
);

t.test(
  'the list of rooms is kept while it is shown, beside a room too, though joining one ends the watch',
  { skip },
  async (t) => {
    const s = await scene(t, { mode: 'strict' });
    await s.go('rooms', 'connection');
    await s.shows('rooms', { rooms: ['a', 'b'], watching: true, loading: false });
    await s.rooms.create('c');
    await s.shows('rooms', { rooms: ['a', 'b', 'c'] });
    t.equal(s.sent('join:overview'), 1);
    await s.go('rooms', 'room a');
    await s.shows('room a', { status: 'joined' });
    await eventually(() => s.sent('join:overview') === 2);
    await s.shows('rooms', { watching: true, loading: false });
    await s.rooms.delete('b');
    await s.shows('rooms', { rooms: ['a', 'c'] });
    // To the room alone and back at once: the watch may end on the way, and is there in the end.
    await s.go('room c');
    await s.go('rooms');
    await s.rooms.create('d');
    await s.shows('rooms', { rooms: ['a', 'c', 'd'], watching: true, loading: false });
    await s.go();
    await eventually(() => s.sent('leave:overview') === 1);
    well(t, s);
  },
);

t.test('the list of one group is never shown as that of another', { skip }, async (t) => {
  const s = await scene(t);
  await s.rooms.create('team', { group: 'team' });
  await s.go('rooms');
  await s.shows('rooms', { rooms: ['a', 'b'], watching: true });
  await s.go('rooms team');
  await s.shows('rooms team', { loading: false });
  await s.go('rooms');
  await s.shows('rooms', { rooms: ['a', 'b'], watching: true, loading: false });
  for (const { widget, rooms } of await s.shown()) {
    const ids = (rooms as string[]).join();
    t.ok(['', widget === 'rooms' ? 'a,b' : 'team'].includes(ids), `${widget} shows ${ids}`);
  }
  t.equal(s.sockets.length, 1);
});

for (const mode of ['closed', 'closed&strict'] as const) {
  t.test(`a closed client in the provider threw in render: it is an error to show (${mode})`, { skip }, async (t) => {
    const s = await scene(t, { mode });
    await s.go('room a', 'lock a notes', 'rooms', 'chat a', 'connection');
    await s.shows('room a', { status: 'refused', loading: false, error: 'disconnected' });
    await s.shows('lock a notes', { status: 'free', error: 'disconnected' });
    await s.shows('rooms', { loading: false, error: 'disconnected' });
    await s.shows('connection', { status: 'closed' });
    await s.go('room b');
    await s.shows('room b', { status: 'refused', error: 'disconnected' });
    t.same(s.problems, []);
  });
}

t.test('a client that is closed while it is shown is an error in all that shows it', { skip }, async (t) => {
  const s = await scene(t, { mode: 'strict&made' });
  await s.go('room a', 'connection', 'lock a notes');
  await s.shows('room a', { status: 'joined' });
  await s.page.evaluate(() => window.app.client?.close());
  await s.shows('connection', { status: 'closed' });
  await s.go('room a', 'connection', 'lock a notes', 'room b', 'lock b notes', 'chat a');
  await s.shows('room b', { status: 'refused', error: 'disconnected' });
  await s.shows('lock b notes', { status: 'free', error: 'disconnected' });
  t.same(s.problems, []);
});

for (const mode of ['activity', 'activity&strict', 'activity&made', 'activity&made&strict'] as const) {
  t.test(
    `what is hidden gives up its room, and its client, and shown again it is in the room (${mode})`,
    { skip: skip || (!react19 && 'React 18 has no <Activity>') },
    async (t) => {
      const s = await scene(t, { mode });
      await s.go('room a', 'connection');
      await s.shows('room a', { status: 'joined' });
      for (let times = 1; times <= 2; times++) {
        await s.page.evaluate(() => window.app.hide(true));
        await eventually(() => s.seen.filter((event) => event === 'member:left a').length === times);
        const before = (await s.shown()).length;
        await s.page.evaluate(() => window.app.hide(false));
        await eventually(() => s.seen.filter((event) => event === 'member:joined a').length === times + 1);
        await s.page.waitForFunction(
          (before) => window.app.shown.slice(before).findLast(({ widget }) => widget === 'room a')?.status === 'joined',
          before,
        );
        await s.shows('connection', { status: 'live' });
      }
      t.same(s.problems, []);
      t.equal(s.sockets.length, mode.includes('made') ? 3 : 1, 'a client of its own is made anew');
    },
  );
}

t.test(
  'a client that was closed is made anew where its provider is hidden and shown at once',
  { skip: skip || (!react19 && 'React 18 has no <Activity>') },
  async (t) => {
    const s = await scene(t, { mode: 'activity&made' });
    await s.go('room a', 'connection');
    await s.shows('room a', { status: 'joined' });
    // In one task, so that the moment for which a client outlives its provider is not over.
    await s.page.evaluate(() => {
      window.app.client?.close();
      window.app.hide(true);
      window.app.hide(false);
    });
    await s.shows('connection', { status: 'live' });
    await s.shows('room a', { status: 'joined' });
    t.same(s.problems, []);
    t.equal(s.sockets.length, 2);
  },
);
