/** examples/tms-chat as its clients meet it: messages that got lost once, produced on purpose, and the cause named each time. */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { WebSocket } from 'ws';
import type { Broadcast, Contract, Message } from '../../examples/tms-chat/contract.js';
import type { ConnectOptions } from '../../src/client/node.js';
import { startExample, type Asked } from '../support/example.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

const API_KEY = 'the-key-of-the-tms-backend';
const ID = '83ddbd78';
const ROOM = `conversation:${ID}`;
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Its socket can be cut as a network would. */
class Cut extends WebSocket {
  static readonly sockets: Cut[] = [];
  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    Cut.sockets.push(this);
  }
}

async function start(t: Parameters<typeof startExample>[0]) {
  const program = await startExample<Contract>(t, 'tms-chat', { env: { JWT_SECRET: SECRET, API_KEY } });
  const asBackend = (path: string, asked: Asked = {}) => program.ask(path, { token: API_KEY, ...asked });
  await asBackend(`/conversations/${ID}`, { method: 'PUT', body: { participants: ['ann', 'bob', 'cara'] } });
  return {
    ...program,
    asBackend,
    async member(name: string, options: ConnectOptions = {}) {
      const client = program.sdk(await tokenFor(name), options);
      const messages: string[] = [];
      client.listen(ROOM).on('new_message', (message: Message) => void messages.push(message.text));
      return { client, messages, join: () => client.call('join_conversation', { conversation_id: ID }) };
    },
    async send(text: string): Promise<Broadcast> {
      const { status, body } = await asBackend(`/conversations/${ID}/messages`, { method: 'POST', body: { text } });
      if (status !== 200) throw new Error(JSON.stringify(body));
      return body as unknown as Broadcast;
    },
    /** What the command prints. */
    async roomwire(...args: string[]): Promise<string> {
      const command = [`${root}dist/cli/main.js`, ...args, '--url', program.url, '--token', API_KEY];
      return new Promise((done, failed) => {
        execFile(process.execPath, command, (error, stdout, stderr) =>
          error === null ? done(stdout) : failed(new Error(stderr)),
        );
      });
    },
  };
}

t.test('a join that is acknowledged is a membership that the next broadcast reaches, every time', async (t) => {
  const { member, send } = await start(t);
  const ann = await member('ann');
  const joined = await ann.join();
  t.match(joined, { room: ROOM, sid: ann.client.state.get().sid, members_in_room: 1 });
  for (let i = 0; i < 25; i++) {
    const bob = await member('bob');
    await bob.join();
    const { matched } = await send(`hello ${i}`);
    await until(() => bob.messages.length > 0);
    t.same([matched, bob.messages], [2, [`hello ${i}`]]);
    bob.client.close();
    await until(() => bob.client.state.get().status === 'closed');
    // The next one counts only if this one is gone.
    while ((await send('still there?')).matched > 1);
  }
  t.equal(ann.messages.filter((text) => text.startsWith('hello')).length, 25);
});

t.test('send_message says whom it reached, by offset and count', async (t) => {
  const { member } = await start(t);
  const [ann, bob, cara] = [await member('ann'), await member('bob'), await member('cara')];
  for (const { join } of [ann, bob, cara]) await join();
  const sent = await ann.client.call('send_message', { conversation_id: ID, text: 'hi' });
  t.same(sent, { room: ROOM, offset: 1, matched: 3, missed: [] });
  await until(() => [ann, bob, cara].every(({ messages }) => messages.length === 1));
});

t.test('a message to a misspelt topic reached nobody, says so, and names what was meant', async (t) => {
  const { member, asBackend, roomwire } = await start(t);
  const bob = await member('bob');
  await bob.join();
  const data = { conversation_id: ID, sender: 'backend', text: 'lost?', sent_at: new Date().toISOString() };
  const publish = (topic: string) =>
    asBackend('/api/publish', { method: 'POST', body: { topic, event: 'new_message', data, diagnose: true } });
  const misspelt = 'conversation:83ddbd87';
  const { body } = await publish(misspelt);
  t.match(body, { matched: 0, offset: 1, diagnosis: { subscriberCount: 0, topics: Number, similar: [ROOM] } });
  t.match(await roomwire('why', misspelt, '1', 'bob'), new RegExp(`never subscribed.*Did you mean ${ROOM}\\?`));
  t.match((await asBackend(`/api/topics/${misspelt}`)).body, { similar: [ROOM], subscribers: [] });
  t.match((await asBackend(`/api/topics/${ROOM}`)).body, { subscribers: [{ user: 'bob', connected: true }] });
  const unknown = await publish(`conversations:${ID}`);
  t.match(unknown, { status: 404, body: { name: 'unknown_topic', detail: /no topic 'conversations:/ } });
  t.match((await asBackend(`/api/topics/conversations:${ID}`)).body, { known: false, similar: [ROOM] });
  t.match((await publish(ROOM)).body, { matched: 1 });
  await until(() => bob.messages.length === 1);
});

t.test(
  'a client that vanished between join and send is named, with the time, and gets the message when it is back',
  async (t) => {
    const { member, send, roomwire } = await start(t);
    const ann = await member('ann');
    const bob = await member('bob', { WebSocket: Cut, backoff: { baseMs: 60_000 }, random: () => 1 });
    await ann.join();
    await bob.join();
    Cut.sockets.at(-1)?.terminate();
    await until(() => bob.client.state.get().status === 'offline');
    let sent = await send('while you were out');
    // The server may hear of the cut a moment later; until then the message went to a socket that was open.
    while (sent.matched === 2) sent = await send('while you were out');
    t.equal(sent.matched, 1);
    t.match(sent.missed, [
      { user: 'bob', verdict: 'away', why: /^Away: its connection was lost at \d{4}-.*its grace runs/ },
      {},
    ]);
    t.match(await roomwire('why', ROOM, String(sent.offset), 'bob'), /^Away: its connection was lost at/);
    bob.client.reconnect();
    await until(() => bob.messages.length === sent.offset);
    t.match(await roomwire('why', ROOM, String(sent.offset), 'bob'), /^(Written|Handled|Received)/);
  },
);

t.test(
  'a join whose ack came but whose session ended is told apart from one that never joined and one that never came',
  async (t) => {
    const { member, send, asBackend, roomwire } = await start(t);
    const [bob, ann] = [await member('bob'), await member('ann')];
    await bob.join();
    await ann.client.call('leave_conversation', { conversation_id: ID }).catch(() => undefined);
    const ended = await asBackend('/api/users/bob/sessions', { method: 'DELETE' });
    t.match(ended.body, { kicked: 1 });
    const { matched, missed, offset } = await send('anybody?');
    t.equal(matched, 0);
    t.match(missed, [
      { user: 'ann', verdict: 'never_subscribed', why: /^ann is connected.*but was never subscribed/ },
      { user: 'bob', verdict: 'left_before', why: /^Left before: its subscription ended at \d{4}-.*\(kicked\)/ },
      { user: 'cara', verdict: 'no_such_session', why: /^Nobody called cara is here/ },
    ]);
    t.match(await roomwire('why', ROOM, String(offset), 'bob'), /^Left before/);
  },
);

t.test('what must be refused is refused, and says why', async (t) => {
  const { member, ask, asBackend, sdk } = await start(t);
  const eve = (await member('eve')).client;
  const refused = (
    call: 'join_conversation' | 'leave_conversation',
    input: unknown,
    wanted: { name: string; message?: RegExp },
  ) => t.rejects(eve.call(call, input as never), wanted);
  await refused('join_conversation', {}, { name: 'invalid_data', message: /conversation_id is missing/ });
  await refused('join_conversation', { conversation_id: ROOM }, { name: 'invalid_data', message: /bare id/ });
  await refused(
    'join_conversation',
    { conversation_id: 'other' },
    { name: 'room_not_found', message: /'other' does not exist/ },
  );
  await refused('join_conversation', { conversation_id: ID }, { name: 'not_member', message: /not a participant/ });
  await refused('leave_conversation', { conversation_id: ID }, { name: 'not_subscribed' });
  await t.rejects(eve.call('send_message', { conversation_id: ID, text: 'hi' }), { name: 'not_member' });
  // No way around the call.
  await t.rejects(eve.subscribe(ROOM).ready, { name: 'join_required' });
  await t.rejects(eve.publish(ROOM, 'new_message', {} as never), { name: /forbidden|not_subscribed|invalid_data/ });

  const token = await tokenFor('eve');
  const messages = `/conversations/${ID}/messages`;
  t.match(await ask(messages, { method: 'POST', token, body: { text: 'hi' } }), { status: 403 });
  t.match(await ask(messages, { method: 'POST', token: 'forged', body: { text: 'hi' } }), { status: 401 });
  t.match(await asBackend(messages, { method: 'POST', body: {} }), {
    status: 422,
    body: { detail: /text is missing/ },
  });
  t.match(await asBackend('/conversations/none/messages', { method: 'POST', body: { text: 'hi' } }), { status: 404 });
  t.match(await ask(`/conversations/${ID}`, { method: 'PUT', token, body: { participants: ['eve'] } }), {
    status: 403,
  });
  t.match(await ask(`/api/topics/${ROOM}`, { token }), { status: 403 }, 'nor may she look');
  const forged = sdk('forged');
  forged.call('join_conversation', { conversation_id: ID }).catch(() => undefined);
  await until(() => forged.state.get().reason !== undefined);
  t.match(forged.state.get().reason, { name: 'unauthenticated' });
});

t.test('who is no participant any more is taken out of the room', async (t) => {
  const { member, asBackend, send } = await start(t);
  const [ann, bob] = [await member('ann'), await member('bob')];
  await ann.join();
  await bob.join();
  const removed: string[] = [];
  bob.client.listen(ROOM).on('removed', ({ reason }) => void removed.push(reason));
  await asBackend(`/conversations/${ID}`, { method: 'PUT', body: { participants: ['ann'] } });
  await until(() => removed.length === 1);
  t.same(removed, ['no longer a participant']);
  t.match(await send('without bob'), { matched: 1, missed: [] });
});

const python = spawnSync('python3', ['--version']).status === 0 || process.env['ROOMWIRE_REQUIRE_PYTHON'] === '1';
t.test(
  'the Python backend logs who was in the room, or what the room may be called',
  { skip: python ? false : 'python3 is not here' },
  async (t) => {
    const { member, url } = await start(t);
    const bob = await member('bob');
    const { sid } = await bob.join();
    const run = (room: string, server = url): Promise<{ code: number; out: string }> =>
      new Promise((done) => {
        const args = [`${root}examples/tms-chat/broadcast.py`, room, 'from the backend'];
        const child = execFile('python3', args, { env: { ...process.env, ROOMWIRE_URL: server, API_KEY } }, (_, out) =>
          done({ code: child.exitCode ?? -1, out }),
        );
      });
    t.match(await run(ROOM), { code: 0, out: `room '${ROOM}' exists; SIDs in target room: ['${sid}']` });
    await until(() => bob.messages.length === 1);
    const lost = await run('conversation:83ddbd87');
    t.match(lost, { code: 1, out: `similar rooms: ['${ROOM}']` });
    t.match(await run('chats:1'), { code: 1, out: /refused: no topic 'chats:1'/ });
    // Away, cut off, or a proxy's page: a line, and no exception.
    const answering: Readonly<Record<string, (socket: Socket) => unknown>> = {
      'cut off': (socket) => socket.destroy(),
      'no HTTP': (socket) => socket.end('hello\r\n\r\n'),
      'no JSON': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>'),
      'half an answer': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{'),
      'a page with 502': (socket) => socket.end('HTTP/1.1 502 Bad\r\nContent-Length: 6\r\n\r\n<html>'),
    };
    const away = createServer().listen(0, '127.0.0.1');
    await once(away, 'listening');
    const at = `http://127.0.0.1:${(away.address() as AddressInfo).port}`;
    for (const [name, answer] of Object.entries(answering)) {
      away.removeAllListeners('connection').on('connection', (socket) => socket.once('data', () => answer(socket)));
      t.match(
        await run(ROOM, at),
        { code: 1, out: /^\[broadcast_new_message\] (no answer from|refused: status 502).*\n$/ },
        name,
      );
    }
    away.close();
    await once(away, 'close');
    t.match(await run(ROOM, at), { code: 1, out: /^.*no answer from.*refused.*\n$/ }, 'nobody listens');
  },
);
