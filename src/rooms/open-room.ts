/** A room in a transaction, for programs and plugins: what is kept of it, and what may be changed. */
import type { Transaction } from '../server/api.js';
import type { OpenRoom, WritableRoom } from './api.js';
import { docsOf } from './docs.js';
import { changeRoom, findRoomCopy, getRoom, numberOf, roomTopic, type Metadata } from './records.js';

/** Throws room_not_found. */
export function opened(tx: Transaction, roomId: string): OpenRoom {
  const record = getRoom(tx, roomId, findRoomCopy);
  return { tx, metadata: record.metadata, docs: docsOf(tx, numberOf(record)) };
}

export function writable(room: OpenRoom): WritableRoom {
  const { tx, metadata } = room;
  return {
    ...room,
    change: (changes) => changeRoom(tx, metadata.id, changes),
    publish: (event, data) => tx.publish(roomTopic(metadata.id), event, data),
  };
}

/** What a program is told of a room is its own to change. */
export function own<T extends { readonly roomId: string; readonly metadata: Metadata }>(tx: Transaction, told: T): T {
  return { ...told, metadata: getRoom(tx, told.roomId, findRoomCopy).metadata };
}
