/** Replies of the rooms plugin, as short as a test wants them. */
import { Op } from '../../src/protocol/frames.js';
import type { LockInfo, Member, RoomMetadata } from '../../src/protocol/rooms-contract.js';
import type { Peer } from './fake-server.js';

export function metadata(id: string, version: number, parts: Partial<RoomMetadata> = {}): RoomMetadata {
  return {
    id,
    description: null,
    frameCount: 0,
    locked: false,
    hidden: false,
    isDefault: false,
    metadataLocked: null,
    presenterSid: null,
    group: null,
    version,
    ...parts,
  };
}

export function member(userId: string, order = 1): Member {
  return { userId, name: userId, order, online: 1 };
}

export function lockInfo(target: string, sid: string, expiresAt: number): LockInfo {
  return { target, userId: 'u', userName: 'U', sid, msg: null, timestamp: 1, expiresAt };
}

export interface JoinParts {
  readonly id?: string;
  readonly epoch?: string;
  readonly offset?: number;
  readonly version?: number;
  readonly members?: readonly Member[];
  readonly locks?: readonly LockInfo[];
  /** False: the subscription is there already. */
  readonly subscribed?: boolean;
}

/** SUBSCRIBED and ACK, as frames of one message. */
export function joinFrames(call: number, parts: JoinParts = {}): (readonly unknown[])[] {
  const { id = 'demo', epoch = 'e', offset = 0, version = 1, members = [], locks = [], subscribed = true } = parts;
  const topic = `room:${id}`;
  const reply = {
    status: 'joined',
    room: topic,
    roomId: id,
    created: false,
    metadata: metadata(id, version),
    members,
    memberCount: members.length,
    complete: true,
    holders: { locks, presenter: null, host: null },
    positions: { [topic]: [epoch, offset] },
  };
  return [...(subscribed ? [[Op.SUBSCRIBED, topic, epoch, offset, false]] : []), [Op.ACK, call, reply]];
}

/** Waits for join:room and lets the client in. */
export async function letIn(peer: Peer, parts?: JoinParts): Promise<void> {
  const { id } = await peer.call('join:room');
  peer.send(...joinFrames(id, parts));
}
