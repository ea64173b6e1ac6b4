/**
 * What the store keeps of a room, and the one way to change its metadata: only real changes, one new
 * version, `room:update` to the room and to the overview that lists it, all in one transaction (rule 7).
 */
import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import type { Position } from '../protocol/frames.js';
import { NewRoomId, type RoomFields, type RoomMetadata } from '../protocol/rooms-contract.js';
import { checked } from '../protocol/validate.js';
import type { Transaction } from '../server/api.js';
import { requireQuota, returnQuota, takeQuota } from './quotas.js';
import { idTaken, noRoom } from './refusals.js';

/** RoomMetadata with the application's own fields. */
export type Metadata = RoomMetadata & { readonly [field: string]: unknown };
export type MetadataChanges = Partial<Omit<Metadata, 'id' | 'version'>>;

export interface RoomRecord {
  readonly metadata: Metadata;
  readonly memberCount: number;
  /** Too many members to name each: see crowd.ts. */
  readonly crowded: boolean;
  /** The user who made it, who has a quota; null: the program or a backend. */
  readonly madeBy: string | null;
  /** What its documents are kept under; rooms of before there were any have none. */
  readonly number?: string;
  /** Where the room's log stood when its version was told. */
  readonly leftAt?: Position;
}

/** Who makes a room, and how many one may. */
export interface Maker {
  readonly userId: string;
  readonly most: number;
}

const ROOMS = 'rooms';
/** `overview\0id`: the rooms that an overview lists, so that a list need not look at the others. */
const LISTED = 'rooms-listed';
const SETTINGS = 'rooms-settings';

export const roomTopic = (roomId: string): string => `room:${roomId}`;
export const overviewTopic = (group: string | null | undefined): string => `overview:${group ?? 'public'}`;

/** The overview that lists a room; null: none, it is hidden. Visibility is a topic: nothing is filtered per receiver. */
export function listedIn({ hidden, group }: Pick<Metadata, 'hidden' | 'group'>): string | null {
  return hidden ? null : overviewTopic(group);
}

/** For the rooms themselves: shared and frozen. */
export function findRoom(tx: Transaction, roomId: string): RoomRecord | undefined {
  return tx.read<RoomRecord>(ROOMS, roomId);
}

/** For programs, which may change what they are given. */
export function findRoomCopy(tx: Transaction, roomId: string): RoomRecord | undefined {
  return tx.get<RoomRecord>(ROOMS, roomId);
}

/** Throws room_not_found. */
export function getRoom(tx: Transaction, roomId: string, find = findRoom): RoomRecord {
  const record = find(tx, roomId);
  if (record === undefined) throw noRoom(roomId);
  return record;
}

/** What the documents of a room are kept under: no other room ever has it. */
export function numberOf({ number, metadata }: RoomRecord): string {
  return number ?? `before ${metadata.id}`;
}

export function listRooms(tx: Transaction, after: string, limit: number): [string, RoomRecord][] {
  return tx.list<RoomRecord>(ROOMS, { after, limit });
}

/** Ids of the rooms that an overview lists, in order. */
export function listedIds(tx: Transaction, overview: string, after: string, limit: number): string[] {
  const prefix = `${overview}\0`;
  return tx.list(LISTED, { prefix, after: prefix + after, limit }).map(([key]) => key.slice(prefix.length));
}

/** Where it was listed, and where it is now; null: nowhere. */
export function list(tx: Transaction, roomId: string, from: string | null, to: string | null): void {
  if (from !== null && from !== to) tx.delete(LISTED, `${from}\0${roomId}`);
  if (to !== null && tx.read(LISTED, `${to}\0${roomId}`) === undefined) tx.set(LISTED, `${to}\0${roomId}`, true);
}

/** Throws invalid_data, room_exists and limit_reached. `defaults`: the application's own fields; no `maker`: the program or a backend. */
export function createRoom(
  tx: Transaction,
  roomId: string,
  fields: RoomFields & Readonly<Record<string, unknown>>,
  defaults: Readonly<Record<string, unknown>>,
  maker?: Maker,
): RoomRecord {
  checked(v.object({ roomId: NewRoomId }), { roomId });
  // First: who may make no more finds nothing out by trying.
  if (maker !== undefined) requireQuota(tx, 'made', maker.userId, maker.most);
  if (findRoom(tx, roomId) !== undefined) throw idTaken();
  if (maker !== undefined) takeQuota(tx, 'made', maker.userId, maker.most);
  const metadata = { ...newMetadata(roomId, fields, defaults), version: tx.nextVersion() };
  announceWhole(tx, metadata, [roomTopic(roomId), listedIn(metadata)]);
  const record = {
    metadata,
    memberCount: 0,
    crowded: false,
    madeBy: maker?.userId ?? null,
    number: String(metadata.version),
    leftAt: tx.position(roomTopic(roomId)),
  };
  tx.set(ROOMS, roomId, record);
  list(tx, roomId, null, listedIn(metadata));
  return record;
}

/** Of a room that has no version yet. */
export function newMetadata(
  roomId: string,
  fields: RoomFields & Readonly<Record<string, unknown>>,
  defaults: Readonly<Record<string, unknown>>,
): Metadata {
  return {
    ...defaults,
    description: null,
    frameCount: 0,
    locked: false,
    hidden: false,
    group: null,
    ...defined(fields),
    id: roomId,
    isDefault: false,
    metadataLocked: null,
    presenterSid: null,
    version: 0,
  };
}

/** What of the changes is one. */
export function realChanges(before: Metadata, changes: MetadataChanges): MetadataChanges {
  return Object.fromEntries(
    Object.entries(changes).filter(([field, value]) => value !== undefined && !isDeepStrictEqual(before[field], value)),
  );
}

/** Applies what really changes and tells it. */
export function updateRoom(tx: Transaction, roomId: string, changes: MetadataChanges): void {
  const record = getRoom(tx, roomId);
  const before = record.metadata;
  const changed = realChanges(before, changes);
  if (Object.keys(changed).length === 0) return;
  const metadata: Metadata = { ...before, ...changed, version: tx.nextVersion() };
  const update = { roomId, version: metadata.version, ...changed };
  tx.publish(roomTopic(roomId), 'room:update', update);
  tx.set(ROOMS, roomId, { ...record, metadata, leftAt: tx.position(roomTopic(roomId)) });
  const from = listedIn(before);
  const to = listedIn(metadata);
  if (from === to) {
    if (to !== null) tx.publish(to, 'room:update', update);
  } else {
    list(tx, roomId, from, to);
    // It moves: for those who lose sight of it, it is gone; for the others it is new.
    if (from !== null) tx.publish(from, 'room:delete', { roomId, version: metadata.version });
    announceWhole(tx, metadata, [to]);
  }
}

/** For programs: returns the metadata as it is then. */
export function changeRoom(tx: Transaction, roomId: string, changes: MetadataChanges): Metadata {
  updateRoom(tx, roomId, changes);
  return getRoom(tx, roomId, findRoomCopy).metadata;
}

/** No change of the metadata, so no version and no event. */
export function setMemberCount(tx: Transaction, roomId: string, memberCount: number, crowded: boolean): void {
  tx.set(ROOMS, roomId, { ...getRoom(tx, roomId), memberCount, crowded });
}

/** Tells the room and its overview, takes everyone out and forgets the room's log. Members and holders are the caller's. */
export function removeRoom(tx: Transaction, { metadata, madeBy }: RoomRecord): void {
  if (madeBy !== null) returnQuota(tx, 'made', madeBy);
  const roomId = metadata.id;
  const deleted = { roomId, version: tx.nextVersion() };
  const overview = listedIn(metadata);
  if (overview !== null) tx.publish(overview, 'room:delete', deleted);
  tx.publish(roomTopic(roomId), 'room:delete', deleted);
  tx.dropTopic(roomTopic(roomId), { code: 'room_not_found', reason: 'deleted' });
  tx.delete(ROOMS, roomId);
  list(tx, roomId, listedIn(metadata), null);
  if (defaultRoom(tx) === roomId) tx.delete(SETTINGS, 'default');
}

export function defaultRoom(tx: Transaction): string | null {
  return tx.read<string>(SETTINGS, 'default') ?? null;
}

/** The old and the new default room are both announced. */
export function setDefaultRoom(tx: Transaction, roomId: string | null): void {
  const old = defaultRoom(tx);
  if (old === roomId) return;
  if (roomId !== null) getRoom(tx, roomId);
  if (old !== null) updateRoom(tx, old, { isDefault: false });
  if (roomId === null) tx.delete(SETTINGS, 'default');
  else {
    tx.set(SETTINGS, 'default', roomId);
    updateRoom(tx, roomId, { isDefault: true });
  }
}

function announceWhole(tx: Transaction, metadata: Metadata, topics: readonly (string | null)[]): void {
  const { id: roomId, ...fields } = metadata;
  for (const topic of topics)
    if (topic !== null) tx.publish(topic, 'room:update', { roomId, created: true, ...fields });
}

function defined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

export function roomsIn(topics: readonly string[]): string[] {
  return topics.filter((topic) => topic.startsWith('room:')).map((topic) => topic.slice('room:'.length));
}
