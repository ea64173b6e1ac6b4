/** The hooks of `@roomwire/client/react` in a real browser, against a real server: what components show, and what others see. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import t, { type Test } from 'tap';
import { connect } from '../../src/client/node.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { FaultProxy } from '../chaos/fault-proxy.js';
import { random } from '../random.js';
import { eventually, skipBrowser as skip, startBrowser } from '../support/browser.js';
import { roomContract } from '../support/rooms.js';
import { startServer } from '../support/server.js';
import type { Shown } from './page.js';

/** Which React the page has: 18, or 19 (hooks-19.test.ts). */
const react19 = process.env['ROOMWIRE_TEST_REACT'] === '19';
const modules = fileURLToPath(new URL('react-19/node_modules/', import.meta.url));

let script: Promise<string> | undefined;

async function bundlePage(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('page.tsx', import.meta.url))],
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: 'es2022',
    jsx: 'automatic',
    // React's development build, which has StrictMode's double mount and complains of unstable snapshots.
    define: { 'process.env.NODE_ENV': '"development"' },
    ...(react19 && { alias: { react: `${modules}react`, 'react-dom': `${modules}react-dom` } }),
    logOverride: { 'ignored-bare-import': 'silent' },
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}

interface SceneOptions {
  readonly mode?:
    'strict' | 'made' | 'strict&made' | 'closed' | 'closed&strict' | `activity${'' | '&made'}${'' | '&strict'}` | '';
  readonly limits?: object;
  readonly leaveOverview?: boolean;
}

/** A server with an onlooker in rooms a and b, and a tab whose connections may be cut. */
async function scene(t: Test, { mode = '', limits = {}, leaveOverview = true }: SceneOptions = {}) {
  const plugins = [rooms({ leaveOverview, access: () => true }), http()] as const;
  const s = await startServer(t, { contract: roomContract, plugins, limits });
  for (const id of ['a', 'b']) await s.server.plugins.rooms.create(id, { description: `this is ${id}` });
  const onlooker = connect(s.url, { instance: 'onlooker' });
  const seen: string[] = [];
  for (const id of ['a', 'b']) {
    const room = onlooker.room(id);
    await room.join();
    const me = room.state.get().members[0]?.userId;
    room.on('*', (data, { event }) => {
      const { userId = '', member } = data as { userId?: string; member?: { userId: string } };
      if (event.startsWith('member:') && (member?.userId ?? userId) !== me) seen.push(`${event} ${id}`);
    });
  }
  const proxy = await FaultProxy.start({ target: s.port, random: random(1) });
  t.teardown(async () => {
    onlooker.close();
    await proxy.close();
  });
  const code = await (script ??= bundlePage());
  const origin = `http://127.0.0.1:${proxy.port}`;
  const address = `${origin}/hooks?server=${encodeURIComponent(origin.replace('http', 'ws'))}&${mode}`;
  const browser = await startBrowser(t);
  const tab = await browser.open(address, { script: code });
  const { page, calls } = tab;
  const shown = (): Promise<Shown[]> => page.evaluate(() => window.app.shown);
  return {
    ...tab,
    ...s,
    rooms: s.server.plugins.rooms,
    onlooker,
    seen,
    proxy,
    shown,
    go: (...widgets: string[]) => page.evaluate((widgets) => window.app.go(widgets), widgets),
    /** All that a widget showed, without repetitions. */
    async story(widget: string): Promise<string[]> {
      const entries = (await shown()).filter((entry) => entry.widget === widget).map(({ status }) => String(status));
      return entries.filter((status, i) => status !== entries[i - 1]);
    },
    /** What a widget shows last. */
    async now(widget: string): Promise<Shown | undefined> {
      return (await shown()).findLast((entry) => entry.widget === widget);
    },
    /** Resolves when a widget shows this. */
    async shows(widget: string, wanted: Record<string, unknown>): Promise<void> {
      const check = ([widget, wanted]: readonly [string, Record<string, unknown>]): boolean => {
        const entry = window.app.shown.findLast((entry) => entry.widget === widget);
        return Object.entries(wanted).every(([key, value]) => JSON.stringify(entry?.[key]) === JSON.stringify(value));
      };
      await page.waitForFunction(check, [widget, wanted] as const).catch(async () => {
        const last = (await shown()).filter((entry) => entry.widget === widget).slice(-3);
        throw new Error(`${widget} shows ${JSON.stringify(last)}, not ${JSON.stringify(wanted)}`);
      });
    },
    sent: (call: string): number => calls.filter((sent) => sent === call).length,
    /** All that was published and seen before is seen by the onlooker from here on. */
    barrier: () => Promise.all(['a', 'b'].map((id) => onlooker.call('room:members', { roomId: id }))),
  };
}

/** Nothing wrong in the tab, and one socket for all of it. */
function well(t: Test, s: { problems: string[]; sockets: string[] }): void {
  t.same(s.problems, [], 'nothing went wrong in the tab');
  t.equal(s.sockets.length, 1, 'one WebSocket');
}

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

t.test('a lock is one lease for all its components, and mine no longer the moment it is lost', { skip }, async (t) => {
  const s = await scene(t, { mode: 'strict' });
  const widgets = ['lock a notes', 'lock a notes 2'];
  await s.go(...widgets, 'connection');
  await s.shows('connection', { status: 'live' });
  const before = Date.now();
  const [first, second] = await s.page.evaluate(async (widgets) => {
    const locks = await Promise.all(
      widgets.map(async (widget) => window.app.locks[widget]?.acquire({ msg: 'writing' })),
    );
    return locks.map((lock) => lock?.token);
  }, widgets);
  t.ok(first);
  t.equal(first, second);
  t.equal(s.sent('lock:acquire a'), 1);
  for (const widget of widgets) {
    await s.shows(widget, { status: 'mine', token: first });
    const deadline = Number((await s.now(widget))?.['deadline']);
    t.ok(deadline > before + 29_000 && deadline < Date.now() + 31_000, 'half a minute from now');
  }
  t.same(await s.story('lock a notes'), ['free', 'waiting', 'mine']);
  await s.page.evaluate(() => {
    const signal = window.app.locks['lock a notes']?.lock?.signal;
    signal?.addEventListener('abort', () => window.app.heard.push((signal.reason as Error).name));
  });
  await s.onlooker.call('lock:force', { roomId: 'a', target: 'notes' });
  for (const widget of widgets) await s.shows(widget, { status: 'free', error: 'lock_lost' });
  t.same(await s.page.evaluate(() => window.app.heard), ['lock_lost'], 'the signal says so too');
  await s.page.evaluate(() => window.app.locks['lock a notes']?.acquire());
  await s.shows('lock a notes', { status: 'mine' });
  t.same(await s.page.evaluate(() => window.app.locks['lock a notes']?.release()), true);
  await s.shows('lock a notes 2', { status: 'free' });
  t.notOk((await s.rooms.locks.list('a')).length);
  well(t, s);
});

t.test('a lease that ends while the connection is away is lost at once', { skip }, async (t) => {
  const s = await scene(t, { limits: { lockMinMs: 100 } });
  await s.go('lock a notes', 'connection');
  await s.page.evaluate(() => window.app.locks['lock a notes']?.acquire({ ttl: 1_500 }));
  await s.shows('lock a notes', { status: 'mine' });
  s.proxy.refusing = true;
  s.proxy.cutAll();
  await s.shows('lock a notes', { status: 'free', error: 'lock_lost' });
  t.equal((await s.now('connection'))?.status, 'offline');
  t.same(await s.story('lock a notes'), ['free', 'waiting', 'mine', 'free']);
});

t.test(
  'a lock that another holds says who and till when, can be waited for, and the wait given up',
  { skip },
  async (t) => {
    const s = await scene(t, { mode: 'strict' });
    const before = Date.now();
    const lock = await s.onlooker.room('a').lock('notes', { ttl: 60_000 });
    const { id } = s.onlooker.state.get().user ?? {};
    await s.go('lock a notes', 'connection');
    await s.shows('lock a notes', { status: 'other', holder: id });
    const deadline = Number((await s.now('lock a notes'))?.['deadline']);
    t.ok(deadline >= before + 59_000 && deadline <= Date.now() + 61_000, `${deadline - Date.now()} ms are left`);
    t.equal(await s.page.evaluate(() => window.app.locks['lock a notes']?.acquire()), null);
    await s.shows('lock a notes', { status: 'other', holder: id, error: 'lock_held' });
    const asked = Date.now();
    const given = s.page.evaluate(() => window.app.locks['lock a notes']?.acquire({ wait: 20_000 }));
    await s.shows('lock a notes', { status: 'waiting', holder: id });
    const till = Number((await s.now('lock a notes'))?.['deadline']);
    t.ok(till >= asked + 19_900 && till <= Date.now() + 20_000, 'the end of the wait');
    await s.page.evaluate(() => window.app.locks['lock a notes']?.release());
    t.equal(await given, null);
    await s.shows('lock a notes', { status: 'other', holder: id });
    const won = s.page.evaluate(() =>
      window.app.locks['lock a notes']?.acquire({ wait: 20_000 }).then((lock) => lock?.token),
    );
    await s.shows('lock a notes', { status: 'waiting' });
    await eventually(() => s.rooms.holders().waiting === 1);
    await lock.release();
    t.ok(Number(await won) > lock.token);
    await s.shows('lock a notes', { status: 'mine' });
    well(t, s);
  },
);

t.test(
  'a lock is given back when the last component that uses it has gone, though the room goes on',
  { skip },
  async (t) => {
    const s = await scene(t, { mode: 'strict' });
    await s.go('room a', 'lock a notes', 'lock a notes 2');
    await s.page.evaluate(() => window.app.locks['lock a notes']?.acquire());
    await s.go('room a', 'lock a notes');
    await s.shows('lock a notes', { status: 'mine' });
    await s.go('room a');
    await eventually(() => s.sent('lock:release a') === 1);
    await s.shows('room a', { locks: [] });
    t.same(s.calls, ['join:room a', 'lock:acquire a', 'lock:release a']);
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

t.test(
  'useLock never says mine without a lock: a lease of this session that it did not get is another’s',
  { skip },
  async (t) => {
    const s = await scene(t);
    await s.go('room a', 'connection', 'lock a notes');
    await s.shows('lock a notes', { status: 'free' });
    await s.page.evaluate(async () => {
      await window.app.client?.room('a').lock('notes');
    });
    await s.shows('lock a notes', { status: 'other' });
    t.notOk((await s.story('lock a notes')).includes('mine'));
    well(t, s);
  },
);

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
