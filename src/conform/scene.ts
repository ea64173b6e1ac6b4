/** What the scenes of a client's checks are made of: answers of a server, and things that a client is made to do. */
import { Op } from '../protocol/frames.js';
import type { Line } from './driver.js';
import { shown } from './patterns.js';
import type { Peer } from './peer.js';
import type { Met, Script } from './script.js';
import { Mismatch } from './wire.js';

export interface Scenario {
  readonly title: string;
  readonly rules: readonly string[];
  /** What the command `connect` has beside the address and the token. */
  readonly connect?: Line;
  /** Stands in for the client's random numbers. */
  readonly random?: number;
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

export const TARGET = 'trajectory:meta';

export async function locked(script: Script, peer: Peer, ttl = 30_000): Promise<void> {
  const answer = script.ask('lock', { room: 'demo', target: TARGET, ttl });
  const { id } = await peer.call('lock:acquire');
  peer.send([Op.ACK, id, { target: TARGET, token: 7, expiresAt: Date.now() + ttl }]);
  await answered(answer);
}

export async function answered(answer: () => Promise<Line>): Promise<void> {
  const { error } = await answer();
  if (error !== undefined) throw new Mismatch(`the client was refused: ${shown(error)}`);
}

export async function stateOf(script: Script): Promise<Line> {
  return (await script.done('state', { room: 'demo' })) as Line;
}

/** The state of the room has this, at last. */
export function eventually(script: Script, key: string, value: unknown): Promise<void> {
  return atLast(key, value, async () => (await stateOf(script))[key]);
}

export async function atLast(what: string, wanted: unknown, look: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries++) {
    const value = await look();
    if (shown(value) === shown(wanted)) return;
    if (tries > 200) throw new Mismatch(`${what} is ${shown(value)}, not ${shown(wanted)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** After two answered PINGs no such call has come. */
export async function quiet(peer: Peer, name: string): Promise<void> {
  await peer.settled();
  if (peer.frames.some(([op, , called]) => op === Op.CALL && called === name)) throw new Mismatch(`${name} was called`);
}

/** A cut, and the next connection of the same session, which was missed by nobody. */
export async function resumed(script: Script, topics: Line = {}): Promise<Met & { readonly secret: string }> {
  await script.fault({ do: 'cut' });
  return script.welcome({ resumed: true, topics });
}

/** The client came back no earlier than so many ms after `from`. */
export function waited(from: number, { openedAt }: Peer, ms: number): void {
  const took = openedAt - from;
  // Timers of many platforms are a little early.
  if (took < 0.9 * ms) throw new Mismatch(`the client came back after ${Math.round(took)} ms, not ${ms}`);
}

export function same(what: string, value: unknown, wanted: unknown): void {
  if (shown(value) !== shown(wanted)) throw new Mismatch(`${what} is ${shown(value)}, not ${shown(wanted)}`);
}

/** An EVENTS frame with one event of the server. */
export function news(topic: string, offset: number, event: string, data: unknown): readonly unknown[] {
  return [Op.EVENTS, topic, offset, [event, data, null]];
}

export function refusal(answer: Line): unknown {
  return (answer['error'] as Line | undefined)?.['code'];
}
