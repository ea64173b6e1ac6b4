/**
 * Servers and clients that are wrong in one way each: an operator over frames of one kind, applied to all of them or to the
 * first of each connection that it changes. A seed says which ones are taken, in which order, and with what numbers.
 */
import { Op } from '../../src/protocol/frames.js';
import { random as seeded, type Random } from '../random.js';
import type { Frame, Spoil } from './spoiler.js';

export interface Mutation {
  /** `server: EVENTS come twice (all)`. */
  readonly title: string;
  readonly op: keyof typeof Op;
  /** Whose frames are changed on their way. */
  readonly side: 'server' | 'client';
  readonly spoil: Spoil;
}

/** What becomes of one frame. */
type Change = (frame: Frame, tools: Tools) => Frame[];
interface Tools {
  readonly random: Random;
  /** Goes out after the next frame. */
  readonly held: Frame[];
  /** What there was first, over all connections. */
  readonly seen: Map<unknown, unknown>;
}
interface Operator {
  readonly name: string;
  readonly ops: readonly (keyof typeof Op)[];
  readonly change: Change;
}

const drop: Change = () => [];
const double: Change = (frame) => [frame, frame];
const late: Change = (frame, { held }) => {
  held.push(frame);
  return [];
};
/** Changes one element; one that is not there stays so. */
const element =
  (index: number, change: (value: never, tools: Tools, frame: Frame) => unknown): Change =>
  (frame, tools) => {
    if (frame.length > index) frame[index] = change(frame[index] as never, tools, frame);
    return [frame];
  };
const to =
  (index: number, value: unknown): Change =>
  (frame, tools) =>
    element(index, () => value)(frame, tools);
/** One more, or one less. */
const step = (random: Random): number => (random.chance(0.5) ? 1 : -1);
const beside = (value: unknown, random: Random): unknown => (typeof value === 'number' ? value + step(random) : value);
const besideIt = (index: number): Change => element(index, (value, { random }) => beside(value, random));
type Parts = Record<string, unknown>;
const parts = (index: number, change: (parts: Parts, tools: Tools) => void): Change =>
  element(index, (value: Parts | null, tools) => {
    if (value === null || typeof value !== 'object') return value;
    const copy = structuredClone(value);
    change(copy, tools);
    return copy;
  });
const positions = (of: Parts, key: string): [string, number][] => Object.values((of[key] as object) ?? {});
const statuses = (change: (status: Parts, tools: Tools) => void): Change =>
  parts(2, ({ topics }, tools) =>
    Object.values((topics ?? {}) as Record<string, Parts>).forEach((status) => change(status, tools)),
  );
/** Each item of EVENTS. */
const items =
  (change: (item: Frame) => Frame): Change =>
  (frame) => [[...frame.slice(0, 3), ...frame.slice(3).map((item) => change(item as Frame))]];
/** The value that it had the first time. */
const old = (of: Parts | unknown[], key: string, { seen }: Tools): void => {
  const values = of as Parts;
  const first = seen.get(key) ?? values[key];
  seen.set(key, first);
  values[key] = first;
};
const oldSecret = parts(2, ({ session }, tools) => session && old(session as unknown[], '1', tools));

/** Of a server's frames; a RESET comes only to a client that does not read, and the wrapper reads for it. */
const ofServers: readonly Operator[] = [
  {
    name: 'are forgotten',
    ops: ['WELCOME', 'PONG', 'ACK', 'NACK', 'EVENTS', 'REMOVED', 'SUBSCRIBED', 'LATEST', 'CALL', 'GOAWAY'],
    change: drop,
  },
  {
    name: 'come twice',
    ops: ['WELCOME', 'PONG', 'ACK', 'NACK', 'EVENTS', 'REMOVED', 'SUBSCRIBED', 'LATEST', 'CALL', 'GOAWAY'],
    change: double,
  },
  {
    name: 'come late',
    ops: ['WELCOME', 'ACK', 'NACK', 'EVENTS', 'REMOVED', 'SUBSCRIBED', 'LATEST', 'CALL'],
    change: late,
  },
  { name: 'have another id', ops: ['WELCOME', 'ACK', 'NACK', 'CALL'], change: besideIt(1) },
  { name: 'have another code', ops: ['NACK', 'REMOVED'], change: besideIt(2) },
  { name: 'have another code', ops: ['GOAWAY'], change: besideIt(1) },
  {
    name: 'have another code in topics',
    ops: ['WELCOME'],
    change: statuses((status, { random }) => (status['code'] &&= beside(status['code'], random))),
  },
  {
    name: 'are of another topic',
    ops: ['EVENTS', 'REMOVED', 'SUBSCRIBED', 'LATEST'],
    change: element(1, (topic: string) => `${topic}x`),
  },
  { name: 'have an offset beside', ops: ['EVENTS'], change: besideIt(2) },
  { name: 'have an offset beside', ops: ['SUBSCRIBED'], change: besideIt(3) },
  {
    name: 'have an offset beside',
    ops: ['ACK'],
    change: parts(2, (data, { random }) => {
      data['offset'] &&= beside(data['offset'], random);
      for (const at of positions(data, 'positions')) at[1] += step(random);
    }),
  },
  {
    name: 'have an offset beside in topics',
    ops: ['WELCOME'],
    change: statuses((status, { random }) => (status['offset'] = beside(status['offset'], random))),
  },
  { name: 'are of another epoch', ops: ['SUBSCRIBED'], change: to(2, 'other') },
  {
    name: 'are of another epoch',
    ops: ['ACK'],
    change: parts(2, (data) => {
      data['epoch'] &&= 'other';
      for (const at of positions(data, 'positions')) at[0] = 'other';
    }),
  },
  {
    name: 'are of another epoch in topics',
    ops: ['WELCOME'],
    change: statuses((status) => (status['epoch'] = 'other')),
  },
  {
    name: 'say the opposite of recovered',
    ops: ['WELCOME'],
    change: statuses((status) => (status['recovered'] = !status['recovered'])),
  },
  {
    name: 'say the opposite of recovered',
    ops: ['SUBSCRIBED'],
    change: element(4, (recovered: boolean) => !recovered),
  },
  {
    name: 'say the opposite of recovered',
    ops: ['ACK'],
    change: parts(2, (data) => {
      if (typeof data['recovered'] === 'boolean') data['recovered'] = !data['recovered'];
    }),
  },
  {
    name: 'say the opposite of resumed',
    ops: ['WELCOME'],
    change: parts(2, (welcome) => (welcome['resumed'] = !welcome['resumed'])),
  },
  {
    name: 'have an old secret',
    ops: ['WELCOME'],
    change: oldSecret,
  },
  {
    name: 'have other data',
    ops: ['EVENTS'],
    change: items(([event]) => [event, 'spoiled', null]),
  },
  { name: 'have other data', ops: ['ACK'], change: to(2, 'spoiled') },
  { name: 'have other data', ops: ['LATEST'], change: to(4, 'spoiled') },
  { name: 'have another stamp', ops: ['PONG'], change: to(1, 'spoiled') },
  {
    name: 'are from somebody else',
    ops: ['EVENTS'],
    change: items(([event, data, from]) => [event, data, from === null ? 'sid' : null]),
  },
  { name: 'are from somebody else', ops: ['LATEST'], change: element(5, (from) => (from === null ? 'sid' : null)) },
];

const CLIENTS_OPS: readonly (keyof typeof Op)[] = [
  'HELLO',
  'PING',
  'PONG',
  'AUTH',
  'CALL',
  'ACK',
  'NACK',
  'CANCEL',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'PUBLISH',
  'VOLATILE',
];

/** Of a client's frames. */
const ofClients: readonly Operator[] = [
  {
    name: 'are forgotten',
    ops: CLIENTS_OPS,
    change: drop,
  },
  {
    name: 'come twice',
    ops: CLIENTS_OPS,
    change: double,
  },
  {
    name: 'come late',
    ops: ['HELLO', 'PONG', 'AUTH', 'CALL', 'ACK', 'NACK', 'CANCEL', 'SUBSCRIBE', 'UNSUBSCRIBE', 'PUBLISH', 'VOLATILE'],
    change: late,
  },
  { name: 'have another id', ops: ['HELLO', 'ACK', 'NACK', 'CANCEL'], change: besideIt(1) },
  { name: 'have one id', ops: ['CALL', 'PUBLISH', 'SUBSCRIBE'], change: to(1, 7) },
  { name: 'have an id that is too large', ops: ['CALL', 'AUTH'], change: element(1, (id: number) => id + 2 ** 31) },
  { name: 'have another code', ops: ['NACK'], change: besideIt(2) },
  { name: 'have another stamp', ops: ['PONG'], change: to(1, 'spoiled') },
  { name: 'have other data', ops: ['CALL'], change: to(3, 'spoiled') },
  { name: 'have other data', ops: ['ACK'], change: to(2, 'spoiled') },
  { name: 'have other data', ops: ['PUBLISH'], change: to(5, 'spoiled') },
  { name: 'have other data', ops: ['VOLATILE'], change: to(4, 'spoiled') },
  { name: 'have another slot', ops: ['VOLATILE'], change: to(3, 'other') },
  {
    name: 'are of another topic',
    ops: ['SUBSCRIBE', 'UNSUBSCRIBE', 'PUBLISH'],
    change: element(2, (topic: string) => `${topic}x`),
  },
  {
    name: 'have a new key each time',
    ops: ['CALL'],
    change: parts(4, (options, { random }) => (options['key'] &&= String(random.next()))),
  },
  {
    name: 'have a new key each time',
    ops: ['PUBLISH'],
    change: element(4, (key, { random }) => key && String(random.next())),
  },
  { name: 'have no key', ops: ['CALL'], change: parts(4, (options) => delete options['key']) },
  { name: 'have no key', ops: ['PUBLISH'], change: to(4, null) },
  {
    name: 'resume beside the cursor',
    ops: ['HELLO'],
    change: parts(2, (hello, { random }) => positions(hello, 'resume').forEach((at) => (at[1] += step(random)))),
  },
  {
    name: 'resume another epoch',
    ops: ['HELLO'],
    change: parts(2, (hello) => positions(hello, 'resume').forEach((at) => (at[0] = 'other'))),
  },
  { name: 'resume no topic', ops: ['HELLO'], change: parts(2, (hello) => delete hello['resume']) },
  { name: 'resume no session', ops: ['HELLO'], change: parts(2, (hello) => delete hello['session']) },
  {
    name: 'have an old secret',
    ops: ['HELLO'],
    change: oldSecret,
  },
  {
    name: 'have an old token',
    ops: ['HELLO'],
    change: parts(2, (hello, tools) => old(hello, 'token', tools)),
  },
  { name: 'have no token', ops: ['HELLO'], change: parts(2, (hello) => delete hello['token']) },
  {
    name: 'have another instance each time',
    ops: ['HELLO'],
    change: parts(2, (hello, { random }) => (hello['instance'] = String(random.next()))),
  },
  {
    name: 'have a position beside the cursor',
    ops: ['SUBSCRIBE'],
    change: element(3, (at: [string, number] | null, { random }) => at && [at[0], at[1] + step(random)]),
  },
  { name: 'have no position', ops: ['SUBSCRIBE'], change: to(3, null) },
  {
    name: 'have an old token',
    ops: ['AUTH'],
    change: to(2, 'token-1'),
  },
  {
    name: 'make rooms anew',
    ops: ['CALL'],
    change: element(3, (data: object, _, frame) => (frame[2] === 'join:room' ? { ...data, create: true } : data)),
  },
];

/** A client that does not hear a server's frames. */
const deaf: Operator = {
  name: 'are not heard',
  ops: ['RESET', 'REMOVED', 'LATEST', 'EVENTS', 'GOAWAY', 'SUBSCRIBED', 'CALL', 'NACK', 'ACK', 'PING'],
  change: drop,
};

/** Every one of `subject`, in the order of the seed. */
export function mutations(subject: 'server' | 'client', seed: number): Mutation[] {
  const random = seeded(seed);
  const all = (operators: readonly Operator[], side: Mutation['side']): Mutation[] =>
    operators.flatMap(({ name, ops, change }) =>
      ops.flatMap((op) =>
        // Of these there is one in a connection.
        (op === 'WELCOME' || op === 'HELLO' ? (['all'] as const) : (['all', 'first'] as const)).map((which) => ({
          title: `${subject}: ${op} ${name} (${which})`,
          op,
          side,
          spoil: spoilOf(Op[op], which === 'all', change, seeded(random.below(2 ** 31))),
        })),
      ),
    );
  const list =
    subject === 'server' ? all(ofServers, 'server') : [...all(ofClients, 'client'), ...all([deaf], 'server')];
  return shuffled(list, random);
}

function spoilOf(op: number, always: boolean, change: Change, random: Random): Spoil {
  const seen = new Map<unknown, unknown>();
  const connections = new WeakMap<object, { readonly held: Frame[]; count: number }>();
  return (frames, connection) => {
    let state = connections.get(connection);
    if (!state) connections.set(connection, (state = { held: [], count: 0 }));
    const { held } = state;
    const spoilt: Frame[] = [];
    for (const frame of frames) {
      const before = held.splice(0);
      const wanted = frame[0] === op && (always || state.count === 0);
      const changed = wanted ? change([...frame], { random, held, seen }) : [frame];
      // One that has nothing to change is not the first.
      if (JSON.stringify(changed) !== JSON.stringify([frame])) state.count++;
      spoilt.push(...changed, ...before);
    }
    return spoilt;
  };
}

function shuffled<T>(list: T[], random: Random): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j] as T, list[i] as T];
  }
  return list;
}
