/** What the scenes of a client's checks are made of: answers of a server, and things that a client is made to do. */
import { Op } from '../protocol/frames.js';
import { shown } from './patterns.js';
import type { Line, Peer, Script } from './script.js';
import { Mismatch } from './wire.js';

export interface Scenario {
  readonly title: string;
  readonly rules: readonly string[];
  readonly play: (script: Script) => Promise<void>;
}
export type Scenarios = Readonly<Record<string, Scenario>>;

export const TOPIC = 'news:one';
export const ROOM = 'room:demo';

export const ann = { userId: 'u1', name: 'Ann', order: 1, online: 1 };

/** What join:room answers. */
export function reply(offset: number, parts: Line = {}, epoch = 'e'): Line {
  return {
    status: 'joined',
    room: ROOM,
    roomId: 'demo',
    created: false,
    metadata: {
      id: 'demo',
      description: null,
      frameCount: 0,
      locked: false,
      hidden: false,
      isDefault: false,
      metadataLocked: null,
      presenterSid: null,
      group: null,
      version: 100 + offset,
    },
    members: [ann],
    memberCount: 1,
    complete: true,
    holders: { locks: [], presenter: null, host: { userId: 'u1', userName: 'Ann' } },
    positions: { [ROOM]: [epoch, offset] },
    ...parts,
  };
}

export async function subscribed(script: Script, peer: Peer, topic = TOPIC): Promise<void> {
  const answer = script.ask('subscribe', { topic });
  const [, id] = await peer.take(Op.SUBSCRIBE);
  peer.send([Op.ACK, id, { epoch: 'e', offset: 0, recovered: true }]);
  await answered(answer);
}

export async function joined(script: Script, peer: Peer, create = false): Promise<void> {
  const answer = script.ask('join', { room: 'demo', ...(create ? { create } : {}) });
  const { id, data } = await peer.call('join:room');
  same('create', data['create'], create ? true : undefined);
  peer.send([Op.SUBSCRIBED, ROOM, 'e', 3, true], [Op.ACK, id, reply(3)]);
  await answered(answer);
}

export async function locked(script: Script, peer: Peer, ttl = 30_000): Promise<void> {
  const answer = script.ask('lock', { room: 'demo', target: 'trajectory:meta', ttl });
  const { id } = await peer.call('lock:acquire');
  peer.send([Op.ACK, id, { target: 'trajectory:meta', token: 7, expiresAt: Date.now() + ttl }]);
  await answered(answer);
}

export async function answered(answer: () => Promise<Line>): Promise<void> {
  const { error } = await answer();
  if (error !== undefined) throw new Mismatch(`the client was refused: ${shown(error)}`);
}

/** The state of the room has this, at last. */
export async function eventually(script: Script, key: string, value: unknown): Promise<void> {
  for (let tries = 0; ; tries++) {
    const state = (await script.done('state', { room: 'demo' })) as Line;
    if (shown(state[key]) === shown(value)) return;
    if (tries > 200) throw new Mismatch(`${key} is ${shown(state[key])}, not ${shown(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** After two answered PINGs no such call has come. */
export async function quiet(peer: Peer, name: string): Promise<void> {
  for (const stamp of ['quiet-1', 'quiet-2']) {
    peer.send([Op.PING, stamp]);
    await peer.take(Op.PONG, ([, answer]) => answer === stamp);
  }
  if (peer.frames.some(([op, , called]) => op === Op.CALL && called === name)) throw new Mismatch(`${name} was called`);
}

export function same(what: string, value: unknown, wanted: unknown): void {
  if (shown(value) !== shown(wanted)) throw new Mismatch(`${what} is ${shown(value)}, not ${shown(wanted)}`);
}
