/** examples/chat-dashboard as its clients and webhooks meet it: join_room is answered, lists are never stale. */
import t from 'tap';
import { WebSocket } from 'ws';
import { DASHBOARDS, type Chat, type CustomerType } from '../../examples/chat-dashboard/contract.js';
import { tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';
import { CHAT, isServed, sign, start, WEBHOOK } from './chat-dashboard.js';

/** Its socket can be cut as a network would. */
class Cut extends WebSocket {
  static readonly sockets: Cut[] = [];
  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    Cut.sockets.push(this);
  }
}

t.test('join_room is answered by join_room_response: with the room, or why not; never by silence', async (t) => {
  const { sdk, tokens, errors } = await start(t);
  const client = sdk(tokens.asha, { onError: () => undefined });
  const responses: unknown[] = [];
  client.handle('join_room_response', (response) => void responses.push(response));
  const wanted: unknown[] = [];
  for (const { room } of Object.values(DASHBOARDS)) {
    const response = await client.call('join_room', { room });
    t.same(response, { status: 1, room });
    wanted.push(response);
  }
  for (const [input, message] of [
    [{ room: 'CustomersApp' }, 'Invalid room: CustomersApp'],
    [{ room: 'customerapp' }, 'Invalid room: customerapp'],
    [{ room: `chat_${CHAT}` }, `Invalid room: chat_${CHAT}`],
    [{ room: '__proto__' }, 'Invalid room: __proto__'],
    [{}, 'Invalid room: '],
  ] as const) {
    const response = await client.call('join_room', input);
    t.same(response, { status: 0, message });
    wanted.push(response);
  }
  await until(() => responses.length === wanted.length);
  t.same(responses, wanted, 'the same by name');
  // What had no handler was ignored; here it is refused.
  await t.rejects(client.call('join_rooms' as never, { room: 'CustomerApp' } as never), {
    name: 'unknown_call',
    code: 102,
  });
  await t.rejects(client.call('join_room', 'CustomerApp' as never), { name: 'invalid_data' });
  await t.rejects(client.call('join_room', { room: 7 } as never), { name: 'invalid_data' });
  await t.rejects(
    sdk(tokens.ravi, { onError: () => undefined }).subscribe('CustomerApp').ready,
    { name: 'join_required' },
    'the call is the way',
  );
  t.ok(
    errors.some((line) => line.includes('join_room')),
    'each join is in the log',
  );
});

t.test(
  'a message that comes in is in its dashboard at once, and in no other, while the client stays in its chat',
  async (t) => {
    const { agent, tokens, incoming } = await start(t);
    type Desk = Awaited<ReturnType<typeof agent>>;
    const desks = new Map<CustomerType, Desk>();
    for (const type of ['Partner', 'Customer', 'Vendor', 'SRDP'] as const)
      desks.set(type, await agent(tokens.asha, type));
    for (const [type, { update }] of Object.entries(DASHBOARDS)) {
      const { status, body } = await incoming(`of_${type}`, `hello from a ${type}`, { customer_type: type });
      t.match({ status, body }, { status: 200, body: { status: 1, watching: 1, repeated: false } });
      const { updates } = desks.get(type as CustomerType) as Desk;
      await until(() => updates.length === 1);
      t.match(updates, [[update, { chat_id: `of_${type}`, last_message: `hello from a ${type}`, unread: 1 }]]);
    }
    const { client, updates } = desks.get('Customer') as Desk;
    const messages: string[] = [];
    client.listen('chat_of_Customer').on('new_message', ({ text }) => void messages.push(text));
    t.match(await client.call('join_chat', { chat_id: 'of_Customer' }), { status: 1, room: 'chat_of_Customer' });
    await incoming('of_Customer', 'in the open chat');
    await incoming('another', 'in another one');
    await until(() => updates.length === 3);
    t.match(
      updates.slice(1).map(([, { chat_id, unread }]) => [chat_id, unread]),
      [
        ['of_Customer', 2],
        ['another', 1],
      ],
    );
    t.same(messages, ['in the open chat']);
    for (const type of ['Partner', 'Vendor', 'SRDP'] as const) t.equal(desks.get(type)?.updates.length, 1);
  },
);

t.test('join_chat and join_chat_customer put both sides into chat_<id>: new_message, tag_updated', async (t) => {
  const { agent, sdk, tokens, incoming } = await start(t);
  await incoming(CHAT, 'first');
  await incoming(CHAT, 'second');
  const { client: asha } = await agent();
  const meera = sdk(tokens.meera);
  const heard: unknown[][] = [];
  for (const [who, client] of [
    ['asha', asha],
    ['meera', meera],
  ] as const) {
    const chat = client.listen(`chat_${CHAT}`);
    chat.on('new_message', ({ from, text }) => void heard.push([who, from, text]));
    chat.on('tag_updated', ({ tags }) => void heard.push([who, tags]));
  }
  const joined = await asha.call('join_chat', { chat_id: CHAT });
  t.match(joined, { status: 1, room: `chat_${CHAT}`, messages: [{ text: 'first' }, { text: 'second' }] });
  t.match(await meera.call('join_chat_customer', { chat_id: CHAT }), { status: 1, room: `chat_${CHAT}` });
  const message = await asha.call('send_message', { chat_id: CHAT, text: ' How can I help? ' });
  t.match(message, { chat_id: CHAT, from: 'agent', name: 'Asha', text: 'How can I help?' });
  await meera.call('send_message', { chat_id: CHAT, text: 'My parcel' });
  await asha.call('update_tags', { chat_id: CHAT, tags: ['parcel'] });
  await until(() => heard.length === 6);
  for (const who of ['asha', 'meera']) {
    t.same(
      heard.filter(([name]) => name === who),
      [
        [who, 'agent', 'How can I help?'],
        [who, 'customer', 'My parcel'],
        [who, ['parcel']],
      ],
      `${who}: in the same order`,
    );
  }
  await asha.call('leave_chat', { chat_id: CHAT });
  await meera.call('send_message', { chat_id: CHAT, text: 'are you there?' });
  t.equal(heard.filter(([name]) => name === 'asha').length, 3);
});

t.test('unread counts what no agent has seen; looking or answering ends it, and the order is by message', async (t) => {
  const { agent, list, incoming } = await start(t);
  const { client, updates } = await agent();
  for (const id of ['one', 'two']) await incoming(id, 'hi', { name: id });
  await incoming('one', 'hello?', { name: 'one' });
  const order = async () => {
    const { body } = await list();
    return (body['chats'] as Chat[]).map(({ chat_id, unread }) => [chat_id, unread]);
  };
  t.same(await order(), [
    ['one', 2],
    ['two', 1],
  ]);
  for (const chat_id of ['one', 'two']) await client.call('join_chat', { chat_id });
  await client.call('mark_read', { chat_id: 'two' });
  t.same(
    await order(),
    [
      ['one', 2],
      ['two', 0],
    ],
    'a look moves nothing',
  );
  await client.call('send_message', { chat_id: 'two', text: 'hello' });
  await client.call('send_message', { chat_id: 'one', text: 'hello' });
  t.same(await order(), [
    ['one', 0],
    ['two', 0],
  ]);
  const count = updates.length;
  await client.call('mark_read', { chat_id: 'one' });
  await client.call('update_tags', { chat_id: 'one', tags: ['vip'] });
  await until(() => updates.length === count + 1);
  t.match(updates.at(-1), ['room_update_customer', { tags: ['vip'], unread: 0 }], 'what was read already is not told');
});

t.test('dashboard_stats comes when a count changed, and to agents only', async (t) => {
  const { agent, sdk, tokens, incoming, list } = await start(t);
  const { client } = await agent();
  const stats: unknown[] = [];
  const dashboard = client.subscribe('dashboard');
  dashboard.on('dashboard_stats', (told) => void stats.push(told));
  await dashboard.ready;
  await incoming(CHAT, 'one');
  await incoming('of_a_vendor', 'two', { customer_type: 'Vendor' });
  await client.call('join_chat', { chat_id: CHAT });
  await client.call('update_tags', { chat_id: CHAT, tags: ['no count'] });
  await client.call('send_message', { chat_id: CHAT, text: 'an answer' });
  await client.call('send_message', { chat_id: CHAT, text: 'nothing is unread any more' });
  await until(() => stats.length === 3);
  t.match(stats, [
    { chats: 1, unread: 1, rooms: { CustomerApp: { chats: 1, unread: 1 } } },
    { chats: 2, unread: 2, rooms: { VendorApp: { chats: 1, unread: 1 } } },
    { chats: 2, unread: 1, rooms: { CustomerApp: { chats: 1, unread: 0 } } },
  ]);
  t.same((await list()).body['stats'], stats[2]);
  await t.rejects(sdk(tokens.meera, { onError: () => undefined }).subscribe('dashboard').ready, { name: 'forbidden' });
});

t.test('what came while the connection was lost is there after it, once and in order', async (t) => {
  const { agent, tokens, incoming } = await start(t);
  const { client, updates } = await agent(tokens.asha, 'Customer', {
    WebSocket: Cut,
    backoff: { baseMs: 60_000 },
    random: () => 1,
  });
  await incoming(CHAT, 'before');
  await until(() => updates.length === 1);
  Cut.sockets.at(-1)?.terminate();
  await until(() => client.state.get().status === 'offline');
  for (const text of ['during 1', 'during 2']) await incoming(CHAT, text);
  client.reconnect();
  await until(() => updates.length === 3);
  await incoming(CHAT, 'after');
  await until(() => updates.length === 4);
  t.same(
    updates.map(([, { last_message }]) => last_message),
    ['before', 'during 1', 'during 2', 'after'],
    'nothing was joined again, nothing asked for',
  );
});

t.test('what must be refused is refused, and says why', async (t) => {
  const { agent, sdk, ask, list, tokens, incoming, webhook } = await start(t);
  await incoming(CHAT, 'hello');
  await incoming('other', 'hello', { name: 'Other' });
  const { client: asha } = await agent();
  const meera = sdk(tokens.meera, { onError: () => undefined });

  t.same(await meera.call('join_room', { room: 'CustomerApp' }), { status: 0, message: 'Not allowed: CustomerApp' });
  t.same(await meera.call('join_chat_customer', { chat_id: 'other' }), { status: 0, message: 'Invalid chat: other' });
  t.same(await meera.call('join_chat', { chat_id: CHAT }), { status: 0, message: `Invalid chat: ${CHAT}` });
  t.same(await asha.call('join_chat', { chat_id: 'nobodys' }), { status: 0, message: 'Invalid chat: nobodys' });
  await t.rejects(asha.call('join_chat', {} as never), { name: 'invalid_data', message: /chat_id/ });
  await t.rejects(asha.subscribe(`chat_${CHAT}`).ready, { name: 'join_required' });

  for (const client of [asha, meera]) {
    await t.rejects(client.call('send_message', { chat_id: CHAT, text: 'not in it' }), {
      name: 'not_member',
      message: `You are not in chat_${CHAT}: join_chat first`,
    });
    await t.rejects(client.call('leave_chat', { chat_id: CHAT }), { name: 'not_member' });
  }
  await meera.call('join_chat_customer', { chat_id: CHAT });
  await t.rejects(meera.call('mark_read', { chat_id: CHAT }), { name: 'forbidden', message: 'This is for agents' });
  await t.rejects(meera.call('update_tags', { chat_id: CHAT, tags: [] }), { name: 'forbidden' });
  await t.rejects(meera.call('send_message', { chat_id: CHAT, text: '  ' }), {
    name: 'invalid_data',
    message: /text is missing/,
  });
  await t.rejects(meera.publish(`chat_${CHAT}`, 'new_message', {} as never), { name: /forbidden|invalid_data/ });

  for (const token of ['forged', await tokenFor('nobody')]) {
    const stranger = sdk(token);
    await until(() => stranger.state.get().status === 'offline' || stranger.state.get().status === 'refused');
    // Who is a stranger with a good token is the backend's to say on `roomwire serve`.
    const name = isServed && token !== 'forged' ? 'forbidden' : 'unauthenticated';
    t.match(stranger.state.get().reason, { name });
  }

  const good = { message_id: 'm', chat_id: CHAT, customer_type: 'Customer', name: 'Meera', text: 'hi' };
  const without = (field: string) => JSON.stringify({ ...good, [field]: undefined });
  for (const [answer, status, message] of [
    [list({ token: '' }), 401, 'Invalid token'],
    [list({ token: 'forged' }), 401, 'Invalid token'],
    [list({ token: tokens.meera }), 403, 'This is for agents'],
    [list({}, 'Customers'), 400, 'customer_type: Partner, Customer, Vendor, SRDP'],
    [list({}, 'constructor'), 400, /customer_type/],
    [webhook(JSON.stringify(good), ''), 401, 'Invalid signature'],
    [webhook(JSON.stringify(good), sign(JSON.stringify(good), 'another secret')), 401, 'Invalid signature'],
    [webhook(JSON.stringify({ ...good, text: 'bye' }), sign(JSON.stringify(good))), 401, 'Invalid signature'],
    [ask(WEBHOOK, { method: 'POST', body: good, token: tokens.asha }), 401, 'Invalid signature'],
    [webhook('{"message_id":'), 400, 'the body is not valid JSON'],
    [webhook('[]'), 400, /message_id/],
    [webhook('null'), 400, /./],
    ...Object.keys(good).map((field) => [webhook(without(field)), 400, new RegExp(field)] as const),
    [webhook(JSON.stringify({ ...good, chat_id: 'a b' })), 400, 'chat_id has letters, digits and _'],
    [webhook(JSON.stringify({ ...good, customer_type: 'Admin' })), 400, /customer_type/],
    [webhook(JSON.stringify({ ...good, customer_type: 'Vendor' })), 409, `chat ${CHAT} is a Customer's`],
    [ask(WEBHOOK), 405, /POST/],
  ] as const) {
    t.match(await answer, { status, body: { status: 0, message } });
  }
  t.match((await list()).body, { stats: { chats: 2, unread: 2 } }, 'and nothing of it was kept');
});

t.test('a message that the webhook brings twice is one message', async (t) => {
  const { agent, incoming, list } = await start(t);
  const { updates } = await agent();
  const again = { message_id: 'wamid.same' };
  t.match((await incoming(CHAT, 'once', again)).body, { status: 1, repeated: false });
  t.match((await incoming(CHAT, 'once', again)).body, { status: 1, repeated: true });
  await Promise.all([incoming(CHAT, 'next', { message_id: 'n' }), incoming(CHAT, 'next', { message_id: 'n' })]);
  await until(() => updates.length === 2);
  t.match((await list()).body['chats'], [{ last_message: 'next', unread: 2 }]);
});

t.test('with --data chats, order and unread counts outlive the program', async (t) => {
  const data = t.testdir();
  const first = await start(t, { data });
  for (const id of ['one', 'two', 'one']) await first.incoming(id, `to ${id}`, { name: id });
  const before = (await first.list()).body;
  await first.stop();
  const second = await start(t, { data });
  t.same((await second.list()).body, before);
  t.match(before['chats'], [{ chat_id: 'one', unread: 2 }, { chat_id: 'two' }]);
  await second.incoming('two', 'later', { message_id: 'later' });
  t.match((await second.list()).body['chats'], [{ chat_id: 'two', unread: 2 }, { chat_id: 'one' }]);
});
