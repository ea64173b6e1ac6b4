/**
 * The chats in roomwire's own store. Every change is one transaction: the chat, its place in the list, the counts, and the
 * events that tell of it are all there or none of them.
 */
import type { Transaction } from '@roomwire/server';
import { DASHBOARDS, type Chat, type CustomerType, type Message, type Stats } from './contract.js';

const LISTED = 100;
const HISTORY = 50;
export const roomOf = (chatId: string): `chat_${string}` => `chat_${chatId}`;

/** Newest first in a table that is ordered by its keys. */
const rank = (order: number): string => String(2 ** 53 - order).padStart(16, '0');
const place = ({ customer_type, order }: Chat): string => `${customer_type}/${rank(order)}`;

export function chatOf(tx: Transaction, chatId: string): Chat | undefined {
  return tx.get<Chat>('chats', chatId);
}

/** The chats of one dashboard that had a message last, newest first. */
export function latest(tx: Transaction, type: CustomerType): Chat[] {
  const places = tx.list<string>('places', { prefix: `${type}/`, limit: LISTED });
  return places.map(([, chatId]) => chatOf(tx, chatId) as Chat);
}

/** The latest messages of a chat, oldest first. */
export function history(tx: Transaction, chatId: string): Message[] {
  const messages = tx.list<Message>('messages', { prefix: `${chatId}/`, limit: HISTORY });
  return messages.map(([, message]) => message).reverse();
}

export function stats(tx: Transaction): Stats {
  const rooms = Object.fromEntries(
    Object.values(DASHBOARDS).map(({ room }) => [
      room,
      tx.get<{ chats: number; unread: number }>('counts', room) ?? { chats: 0, unread: 0 },
    ]),
  );
  const sum = (of: 'chats' | 'unread'): number => Object.values(rooms).reduce((all, count) => all + count[of], 0);
  return { chats: sum('chats'), unread: sum('unread'), rooms };
}

/** Keeps a chat and tells its dashboard; `dashboard_stats` only when a count changed. */
export function save(tx: Transaction, before: Chat | undefined, changed: Omit<Chat, 'version'>): Chat {
  const chat = { ...changed, version: tx.nextVersion() };
  const { room, update } = DASHBOARDS[chat.customer_type];
  if (before !== undefined) tx.delete('places', place(before));
  tx.set('places', place(chat), chat.chat_id);
  tx.set('chats', chat.chat_id, chat);
  tx.publish(room, update, chat);
  const more = { chats: before === undefined ? 1 : 0, unread: chat.unread - (before?.unread ?? 0) };
  if (more.chats !== 0 || more.unread !== 0) {
    const { chats, unread } = stats(tx).rooms[room] as { chats: number; unread: number };
    tx.set('counts', room, { chats: chats + more.chats, unread: unread + more.unread });
    tx.publish('dashboard', 'dashboard_stats', stats(tx));
  }
  return chat;
}

/** One more message: to who is in the chat, and the chat moves to the top of its dashboard. An agent's answer is also a look at it. */
export function addMessage(tx: Transaction, chat: Omit<Chat, 'version'>, message: Message): Chat {
  const order = tx.nextVersion();
  tx.set('messages', `${chat.chat_id}/${rank(order)}`, message);
  tx.publish(roomOf(chat.chat_id), 'new_message', message);
  return save(tx, chatOf(tx, chat.chat_id), {
    ...chat,
    last_message: message.text,
    last_at: message.sent_at,
    unread: message.from === 'customer' ? chat.unread + 1 : 0,
    order,
  });
}
