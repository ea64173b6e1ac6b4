/** `useLock` in a real browser, against a real server: one lease for all components, and never `mine` without it. */
import t from 'tap';
import { eventually, skipBrowser as skip } from '../support/browser.js';
import { scene, well } from './scene.js';

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
