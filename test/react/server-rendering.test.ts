/** The hooks where there is no browser: a server renders what is not known yet, and opens nothing. */
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import t from 'tap';
import { connect } from '../../src/client/node.js';
import {
  RoomwireProvider,
  useClient,
  useConnection,
  useEvent,
  useLock,
  useRoom,
  useRooms,
  type ClientSource,
} from '../../src/react/index.js';
import { startRooms } from '../support/rooms.js';

const shown: unknown[] = [];

function Page() {
  const { status, metadata, room } = useRoom('a', { create: true });
  const { rooms, loading } = useRooms();
  const lock = useLock('a');
  useEvent(room, '*', () => undefined);
  shown.push({ status, metadata, rooms, loading, lock: lock.status, connection: useConnection(), client: useClient() });
  return createElement('p', null, status);
}

const render = (client: ClientSource): string =>
  renderToString(createElement(RoomwireProvider, { client }, createElement(Page)));

const nothing = {
  status: 'joining',
  metadata: null,
  rooms: [],
  loading: true,
  lock: 'free',
  connection: { status: 'connecting', attempt: 0 },
};

t.test('a page is rendered on a server without a client being made', async (t) => {
  const html = render(() => {
    throw new Error('made on the server');
  });
  t.equal(html, '<p>joining</p>');
  t.match(shown.pop(), { ...nothing, client: null });
});

t.test('with a client that is there already a server renders the same, and joins nothing', async (t) => {
  const s = await startRooms(t);
  await s.server.plugins.rooms.create('a');
  const client = connect(s.url);
  t.teardown(() => client.close());
  await client.room('a').join();
  t.equal(render(client), '<p>joining</p>', 'as the browser renders first, or hydration would not match');
  t.match(shown.pop(), nothing);
  await client.room('a').leave();
  render(client);
  await client.call('room:members', { roomId: 'a' }).then(
    () => t.fail('it was joined'),
    ({ name }: Error) => t.equal(name, 'not_member'),
  );
});

t.test('outside of a provider the hooks say what is missing', async (t) => {
  t.throws(() => renderToString(createElement(Page)), { message: /RoomwireProvider/ });
});
