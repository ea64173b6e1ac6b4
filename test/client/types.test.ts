/** The contract's names and data hold at compile time; `tsc` is the test. */
import t from 'tap';
import * as v from 'valibot';
import type { Client, Lock, RoomMetadata } from '../../src/client/index.js';
import { defineContract, type Contract, type ShapeOf } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';

const Message = v.object({ user: v.string(), text: v.string() });
export const contract = defineContract({
  use: [roomsContract({ metadata: { color: v.string() } })],
  topics: {
    'room:{id}': { events: { 'chat:message:new': Message, 'invalidate:*': v.object({ key: v.string() }) } },
    news: { events: { headline: v.string() } },
  },
  calls: { 'chat:send': { input: v.object({ text: v.string() }), output: v.object({ id: v.number() }) } },
});

/** Compiled, never run. */
export async function typed(client: Client<ShapeOf<typeof contract>>): Promise<void> {
  const reply = await client.call('chat:send', { text: 'hi' });
  reply.id satisfies number;
  // @ts-expect-error there is no such call
  await client.call('chat:sent', { text: 'hi' });
  // @ts-expect-error the input has a text
  await client.call('chat:send', { txt: 'hi' });
  // @ts-expect-error the output has no name
  void reply.name;
  client.handle('chat:send', ({ text }) => ({ id: text.length }));
  // @ts-expect-error the output is an object with an id
  client.handle('chat:send', () => 'no');

  const news = client.subscribe('news');
  news.on('headline', (text, { offset }) => {
    text satisfies string;
    offset satisfies number | null;
  });
  // @ts-expect-error there is no such topic
  client.subscribe('olds');
  // @ts-expect-error there is no such event
  news.on('footline', () => undefined);
  // @ts-expect-error a headline is a string
  news.on('headline', (text: number) => text);
  // @ts-expect-error a headline is a string
  await news.publish('headline', 1);
  await client.publish('news', 'headline', 'x');
  // @ts-expect-error a headline is a string
  await client.publish('news', 'headline', { text: 'x' });
  // @ts-expect-error there is no such event
  client.volatile('news', 'pointer', 'me', 'x');

  const room = client.room('demo');
  room.on('chat:message:new', ({ user, text }) => void (user + text));
  room.on('invalidate:settings', ({ key }) => key satisfies string);
  room.on('room:update', ({ version, frameCount, color }) => {
    version satisfies number;
    frameCount satisfies number | undefined;
    color satisfies string | undefined;
  });
  room.on('reset', ({ reason, position }) => void (reason + position[0]));
  room.on('removed', ({ code }) => code satisfies number);
  // @ts-expect-error no such event in rooms
  room.on('headline', () => undefined);
  // @ts-expect-error a message has no title
  room.on('chat:message:new', ({ title }) => void title);
  // @ts-expect-error a message has a text
  await room.publish('chat:message:new', { user: 'x' });
  const state = await room.join({ create: { description: 'x' } });
  state.metadata?.color satisfies string | undefined;
  // @ts-expect-error a snapshot cannot be changed
  state.members.push(1);
  // @ts-expect-error what is created has no such field
  await room.join({ create: { colour: 1 } });
  (await room.withLock('meta', {}, ({ token }: Lock) => token)) satisfies number;
  client.rooms.get('demo')?.color satisfies string | undefined;
  client.rooms.get().map(({ id }) => id satisfies string);
}

/** Without a contract. */
export async function loose(client: Client<ShapeOf<Contract>>): Promise<void> {
  const news = client.subscribe('anything');
  news.on('whatever', (data: { user: string }) => data.user);
  news.on('whatever', (data) => data satisfies unknown);
  await news.publish('whatever', { a: 1 });
  (await client.call('any', { a: 1 })) satisfies unknown;
  client.handle('any', () => 1);
  const room = client.room('demo');
  room.on('reset', ({ position }) => position[1]);
  (await room.join()).metadata satisfies RoomMetadata | null;
}

t.test('the contract’s names and data are checked by the compiler', async (t) => {
  t.type(typed, 'function');
  t.type(loose, 'function');
});
