/** The page: one connection, the room in the address or the overview, and the tools below. */
import { connect, RoomwireError } from '../../client/index.js';
import type { Welcome } from '../../protocol/frames.js';
import { Admin } from './admin.js';
import { CallForm } from './call-form.js';
import { showCluster } from './cluster-line.js';
import type { FreeClient, PageContract } from './contract.js';
import { Dock } from './dock.js';
import { byId, setText } from './dom.js';
import { Follower } from './follower.js';
import { HoldersPanel } from './holders-panel.js';
import { HiddenRooms } from './hidden-rooms.js';
import { isolated } from './isolated.js';
import { Names } from './names.js';
import { attempt } from './notices.js';
import { PublishForm } from './publish-form.js';
import { RoomList } from './room-list.js';
import { RoomView } from './room-view.js';
import { hashOf, roomInHash } from './route.js';
import { savedToken, StatusBar } from './status-bar.js';
import { StreamPanel } from './stream-panel.js';
import { tappedWebSocket } from './tap.js';
import { TopicDetail } from './topic-detail.js';
import { TopicsPanel } from './topics-panel.js';
import { WhyPanel } from './why-panel.js';
import { WireView } from './wire-view.js';

const TICK_MS = 250;

const wire = new WireView();
const stream = new StreamPanel();
/** The server's clock minus ours, as WELCOME told it. */
let clockLead = 0;
const token = savedToken();
const client = connect<PageContract>(new URL('.', location.href).href.replace('http', 'ws'), {
  token,
  agent: 'roomwire-page',
  // What the server refuses is said where it was asked for.
  onError: (error) => {
    if (!(error instanceof RoomwireError)) reportError(error);
  },
  WebSocket: tappedWebSocket((frame) => {
    if (frame.op === 'WELCOME') clockLead = (frame.value[2] as unknown as Welcome).time - frame.at;
    wire.add(frame);
    stream.seen(frame);
  }),
});

const free = client as unknown as FreeClient;
const admin = new Admin(token !== undefined);
const names = new Names(admin);
const follower = new Follower(free, admin, stream);
new PublishForm(free, admin, {
  names,
  look(topic) {
    dock.open('topics');
    detail.open(topic);
  },
});
new CallForm(free);
const holders = new HoldersPanel(admin);
const why = new WhyPanel(admin);
const detail = new TopicDetail(admin, {
  follow(topic) {
    dock.open('stream');
    void follower.follow(topic);
  },
  why(question) {
    dock.open('why');
    why.open(question);
  },
});
const dock = new Dock(admin, {
  wire,
  topics: new TopicsPanel(admin, detail),
  stream: {
    show() {
      stream.show();
      void names.refresh();
    },
  },
  send: { show: () => void names.refresh() },
  locks: holders,
  why,
});

/** The list of rooms was asked for. */
let listed = false;
/** What is shown; undefined: nothing yet. */
let shown: { readonly roomId: string | undefined } | undefined;
/** The room that was asked for by its name and may be made; a link alone makes none. */
let creating: string | undefined;

const bar = new StatusBar(client);
showCluster();
const list = new RoomList(client, (roomId) => {
  creating = roomId;
  if (roomInHash(location.hash) === roomId) show();
  else location.hash = hashOf(roomId);
});
new HiddenRooms(client, token);
const view = new RoomView({
  client,
  admin,
  token,
  now: () => Date.now() + clockLead,
  back: () => (location.hash = '#/'),
  missing(roomId) {
    setText(byId('missing-title', HTMLElement), `There is no room ${isolated(roomId)}`);
    reveal('missing');
    watch();
  },
});

const views = {
  overview: byId('welcome', HTMLElement),
  missing: byId('missing', HTMLElement),
  room: byId('room', HTMLElement),
};

function reveal(name: keyof typeof views): void {
  const focused = document.activeElement;
  document.body.dataset['view'] = name;
  for (const [each, section] of Object.entries(views)) section.hidden = each !== name;
  // What had the keyboard is gone with the view before: it goes on at this one's title, not at the top of the page.
  if (focused?.getClientRects().length === 0) views[name].querySelector('h1')?.focus();
}

/** Brings the page to what its address says. */
function show(): void {
  const roomId = roomInHash(location.hash);
  const create = roomId !== undefined && creating === roomId;
  if (shown !== undefined && shown.roomId === roomId && !create) return;
  creating = undefined;
  shown = { roomId };
  document.title = roomId === undefined ? 'roomwire' : `${isolated(roomId)} – roomwire`;
  list.mark(roomId);
  if (roomId === undefined) {
    view.close();
    reveal('overview');
    watch();
  } else {
    reveal('room');
    void open(roomId, create);
  }
}

/** Joining a room leaves the overview: who comes by a link to a room gets the list first. */
async function open(roomId: string, create: boolean): Promise<void> {
  if (!listed) await list.watch().catch(() => undefined);
  listed = true;
  if (shown?.roomId === roomId) await view.open(roomId, create);
}

function watch(): void {
  listed = true;
  attempt(async () => {
    try {
      await list.watch();
    } catch (error) {
      // Opened a room meanwhile, or the bar says why there is no connection.
      if (shown?.roomId === undefined && client.state.get().status === 'live') throw error;
    }
  });
}

byId('missing-create', HTMLButtonElement).addEventListener('click', () => {
  creating = roomInHash(location.hash);
  show();
});
addEventListener('hashchange', show);
// A refusal ends what was joined; after it everything is asked for again.
let refused = false;
client.state.subscribe(({ status }) => {
  if (status === 'refused') refused = true;
  if (status !== 'live' || !refused) return;
  refused = false;
  shown = undefined;
  show();
});
// Tells the server at once that this tab is gone; one that may come back keeps its session.
addEventListener('pagehide', ({ persisted }) => {
  if (!persisted) client.close();
});
setInterval(() => {
  bar.tick();
  view.tick();
  holders.tick();
}, TICK_MS);
show();
