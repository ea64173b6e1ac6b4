/** What a session knows of its topics and a connection of its cursors is as small as they are few, and never another's. */
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import type { CursorOutbox } from '../../src/server/hub/topic.js';
import { Cursors } from '../../src/server/hub/cursors.js';
import { Cursor, Topic } from '../../src/server/hub/topic.js';
import { Members } from '../../src/server/sessions/members.js';
import { ServerSession } from '../../src/server/sessions/session.js';
import { random } from '../random.js';

const names = Array.from({ length: 12 }, (_, i) => `room:${i}`);
const SEEDS = 30;

t.test('sessions that come and go in the same topics each know their own', async (t) => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { below } = random(seed);
    const members = new Members<ServerSession>();
    const record = {
      user: { id: 'u', name: 'u' },
      instance: 'i',
      graceMs: 0,
      expiresAt: null,
      secrets: [],
      guest: true,
    };
    const sessions = Array.from({ length: 4 }, (_, i) => new ServerSession(members, `s${i}`, record));
    const models = sessions.map(() => new Set<string>());
    for (let step = 0; step < 300; step++) {
      const i = below(sessions.length);
      const topic = names[below(4)] as string;
      const [session, model] = [sessions[i] as ServerSession, models[i] as Set<string>];
      if (below(2) === 0) {
        session.enter(topic, 'e');
        model.add(topic);
      } else if (session.leave(topic) !== model.delete(topic)) return void t.fail(`seed ${seed}, step ${step}: left`);
      const known = sessions.map(({ topics }) => [...topics].sort());
      const expected = models.map((topics) => [...topics].sort());
      if (!isDeepStrictEqual(known, expected)) return void t.strictSame(known, expected, `seed ${seed}, step ${step}`);
    }
  }
  t.pass();
});

t.test('a connection finds the cursor of a topic among a few and among many', async (t) => {
  const outbox: CursorOutbox = { clear: true, sendLive: () => undefined, lag: () => undefined };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { below } = random(seed);
    const topics = names.map((name) => new Topic(name, 'e', 0, 1, 0));
    const cursors = new Cursors();
    const model = new Map<string, Cursor>();
    for (let step = 0; step < 300; step++) {
      const topic = topics[below(topics.length)] as Topic;
      const what = below(40);
      if (what === 0) {
        cursors.clear();
        model.clear();
      } else if (what < 25) {
        const cursor = new Cursor(topic, outbox, { start: step, since: 0, via: 'subscribed' });
        cursors.set(cursor);
        model.set(topic.name, cursor);
      } else {
        cursors.delete(topic.name);
        model.delete(topic.name);
      }
      const startsOf = (found: Pick<Cursors, 'get'>, all: Iterable<Cursor>) => [
        names.map((name) => found.get(name)?.start),
        Array.from(all, ({ start }) => start).sort(),
      ];
      const [known, expected] = [startsOf(cursors, cursors.all()), startsOf(model, model.values())];
      if (!isDeepStrictEqual(known, expected)) return void t.strictSame(known, expected, `seed ${seed}, step ${step}`);
    }
  }
  t.pass();
});
