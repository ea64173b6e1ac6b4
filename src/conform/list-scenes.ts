/** Scenes of the list of rooms: the overview that is joined, the pages that are read, and which of both is newer. */
import { Op } from '../protocol/frames.js';
import type { Line } from './driver.js';
import type { Peer } from './peer.js';
import { answered, atLast, joined, news, quiet, reply, same, type Scenarios } from './scene.js';
import type { Script } from './script.js';

const LIST = 'overview:public';
const PATH = '/api/rooms';

interface Listed {
  readonly watching: boolean;
  readonly rooms: readonly { readonly id: string; readonly version: number }[];
}

export const listScenes: Scenarios = {
  overview: {
    title: 'The list is all its pages and the events meanwhile, by version; what was deleted stays so',
    rules: ['RW-ROM-10', 'RW-ROM-4', 'RW-ROM-5'],
    async play(script) {
      const { peer } = await script.welcome();
      const watching = script.ask('watch');
      await overviewJoined(script, peer);
      const first = await script.request(PATH);
      same('the token', first.headers.authorization, 'Bearer token-1');
      // While the pages are read: b is changed, c deleted, d made.
      peer.send(
        news(LIST, 1, 'room:update', { roomId: 'b', version: 20, description: 'new' }),
        news(LIST, 2, 'room:delete', { roomId: 'c', version: 21 }),
        news(LIST, 3, 'room:update', made('d', 22)),
      );
      await peer.settled();
      first.answer({ rooms: [room('a', 10), room('b', 11)], next: 'more', positions: { [LIST]: ['e', 0] } });
      const second = await script.request(PATH);
      same('the cursor', second.query.get('cursor'), 'more');
      second.answer({ rooms: [room('c', 12)], next: null, positions: { [LIST]: ['e', 3] } });
      await answered(watching);
      await lists(script, { a: 10, b: 20, d: 22 });
      // Older than what there is, and than the end of c.
      peer.send(
        news(LIST, 4, 'room:update', { roomId: 'a', version: 9, description: 'old' }),
        news(LIST, 5, 'room:update', made('c', 20)),
        news(LIST, 6, 'room:delete', { roomId: 'd', version: 19 }),
        news(LIST, 7, 'room:update', { roomId: 'a', version: 30, description: 'last' }),
      );
      await lists(script, { a: 30, b: 20, d: 22 });
      peer.send(news(LIST, 8, 'room:delete', { roomId: 'b', version: 31 }));
      await lists(script, { a: 30, d: 22 });
    },
  },
  'overview-again': {
    title: 'After RESET the list is read again: a room that is no longer on it is gone',
    rules: ['RW-ROM-10', 'RW-RST-2'],
    async play(script) {
      const { peer } = await script.welcome();
      await watched(script, peer);
      await script.fault({ do: 'reset', topic: LIST });
      await answerList(script, [room('b', 40)]);
      await lists(script, { b: 40 });
    },
  },
  'overview-not-recovered': {
    title: 'recovered: false has the list read again',
    rules: ['RW-ROM-10', 'RW-HEL-5'],
    async play(script) {
      const { peer } = await script.welcome();
      await watched(script, peer);
      await script.fault({ do: 'cut' });
      const next = await script.hello();
      overviewAnswers(script, next.peer);
      script.greet(next.peer, {
        resumed: true,
        topics: { [LIST]: { epoch: 'e2', offset: 7, recovered: false } },
      });
      await answerList(script, [room('a', 50)], ['e2', 7]);
      await lists(script, { a: 50 });
    },
  },
  'overview-session-gone': {
    title: 'A new session joins the overview again, and reads the list',
    rules: ['RW-HEL-5', 'RW-SES-7'],
    async play(script) {
      const { peer } = await script.welcome();
      await watched(script, peer);
      await script.fault({ do: 'restart' });
      const next = await script.welcome({
        session: ['sid-2', 'other'],
        topics: { [LIST]: { epoch: 'e', offset: 0, recovered: false, code: 107 } },
      });
      await overviewJoined(script, next.peer);
      await answerList(script, [room('a', 60)]);
      await lists(script, { a: 60 });
    },
  },
  'overview-unlisted': {
    title: 'An update of a room that is not listed has only some fields: the room, or the list, is read',
    rules: ['RW-ROM-10'],
    async play(script) {
      const { peer } = await script.welcome();
      await watched(script, peer);
      peer.send(news(LIST, 1, 'room:update', { roomId: 'x', version: 70, description: 'shown again' }));
      const asked = await script.request(PATH);
      const rooms = [room('a', 10), room('b', 11), room('x', 70)];
      if (asked.path === PATH) asked.answer({ rooms, next: null, positions: { [LIST]: ['e', 1] } });
      else asked.answer({ room: rooms.at(-1), memberCount: 0, holders: reply(0)['holders'], positions: {} });
      await lists(script, { a: 10, b: 11, x: 70 });
    },
  },
  'overview-left': {
    title: 'A join that leaves the overview ends the watching: it is told, and not undone',
    rules: ['RW-ROM-3', 'RW-SUB-9'],
    async play(script) {
      const { peer } = await script.welcome();
      await watched(script, peer);
      peer.answers.clear();
      peer.send([Op.REMOVED, LIST, 0, 'joined a room']);
      await joined(script, peer);
      await atLast('watching', false, async () => (await listOf(script)).watching);
      await quiet(peer, 'join:overview');
    },
  },
  unwatch: {
    title: 'Who watches no more leaves the overview',
    rules: ['RW-ROM-3', 'RW-ORD-4'],
    async play(script) {
      const { peer } = await script.welcome();
      await watched(script, peer);
      const answer = script.ask('unwatch');
      const { id } = await peer.call('leave:overview');
      peer.send([Op.REMOVED, LIST, 0, 'left'], [Op.ACK, id, { status: 'left', room: LIST }]);
      await answered(answer);
      same('watching', (await listOf(script)).watching, false);
      await script.fault({ do: 'cut' });
      const { hello } = await script.hello();
      same('resume', Object.keys(hello['resume'] ?? {}), []);
    },
  },
};

function room(id: string, version: number): Line & { readonly id: string } {
  return { ...(reply(0)['metadata'] as Line), id, version };
}

/** What tells of a room that came into view, with all its fields. */
function made(roomId: string, version: number): Line {
  const { id: _id, ...fields } = room(roomId, version);
  return { ...fields, roomId, created: true };
}

async function listOf(script: Script): Promise<Listed> {
  return (await script.done('rooms')) as Listed;
}

/** The list is this, at last: versions by id. */
function lists(script: Script, wanted: Readonly<Record<string, number>>): Promise<void> {
  return atLast('the list', Object.entries(wanted), async () => {
    const { rooms } = await listOf(script);
    return rooms.map(({ id, version }) => [id, version]).sort();
  });
}

function joinReply(script: Script): Line {
  return { status: 'joined', room: LIST, positions: { [LIST]: script.server.position(LIST) } };
}

async function overviewJoined(script: Script, peer: Peer): Promise<void> {
  const { id, data } = await peer.call('join:overview');
  if (data['group'] !== undefined) same('the group', data['group'], 'public');
  peer.send([Op.SUBSCRIBED, LIST, 'e', 0, true], [Op.ACK, id, joinReply(script)]);
  overviewAnswers(script, peer);
}

/** Some clients join again before they read again. */
function overviewAnswers(script: Script, peer: Peer): void {
  peer.answers.set('join:overview', () => joinReply(script));
}

async function answerList(script: Script, rooms: readonly Line[], at = script.server.position(LIST)): Promise<void> {
  (await script.request(PATH)).answer({ rooms, next: null, positions: { [LIST]: at } });
}

/** A list of two rooms. */
async function watched(script: Script, peer: Peer): Promise<void> {
  const watching = script.ask('watch');
  await overviewJoined(script, peer);
  await answerList(script, [room('a', 10), room('b', 11)]);
  await answered(watching);
  await lists(script, { a: 10, b: 11 });
}
