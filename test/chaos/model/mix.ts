/** How often each command of the model test comes, and with what. */
import fc from 'fast-check';
import { Again, Ask, type How } from './asking.js';
import { changes, Connection, Pass, Restart, Tell } from './happenings.js';
import type { Model } from './model.js';
import { clientNames, HISTORY, plainTopics, roomIds, targets, topics } from './plan.js';
import type { Op } from './server-model.js';
import type { World } from './world.js';

type Commands = fc.Arbitrary<fc.AsyncCommand<Model, World>>;

const at = fc.nat(clientNames.length - 1);
const room = fc.constantFrom(...roomIds);
const plain = fc.constantFrom(...plainTopics);
const anyTopic = fc.constantFrom(...topics);
const target = fc.constantFrom(...targets);

function often<T>(weight: number, arbitrary: fc.Arbitrary<T>): fc.WeightedArbitrary<T> {
  return { weight, arbitrary };
}

const op = fc.oneof(
  often<Op>(
    4,
    room.map((id) => ({ do: 'join', room: id })),
  ),
  often<Op>(
    1,
    room.map((id) => ({ do: 'leave', room: id })),
  ),
  often<Op>(
    2,
    plain.map((topic) => ({ do: 'subscribe', topic })),
  ),
  often<Op>(
    1,
    plain.map((topic) => ({ do: 'unsubscribe', topic })),
  ),
  often<Op>(
    4,
    fc
      .tuple(anyTopic, fc.constantFrom('keyed', undefined))
      .map(([topic, key]) => ({ do: 'publish', topic, n: 0, key })),
  ),
  often<Op>(
    1,
    fc.tuple(anyTopic, fc.constantFrom('x', 'y')).map(([topic, slot]) => ({ do: 'volatile', topic, slot, n: 0 })),
  ),
  often<Op>(
    3,
    fc.tuple(room, target).map(([id, name]) => ({ do: 'lock', room: id, target: name })),
  ),
  often<Op>(
    1,
    fc.tuple(room, target).map(([id, name]) => ({ do: 'unlock', room: id, target: name })),
  ),
  often<Op>(
    2,
    room.map((id) => ({ do: 'take', room: id })),
  ),
  often<Op>(
    1,
    room.map((id) => ({ do: 'yield', room: id })),
  ),
);

const how: fc.Arbitrary<How> = fc.oneof(
  often<How>(5, fc.constant('answered')),
  often<How>(1, fc.constant('request lost')),
  often<How>(1, fc.constant('answer lost')),
);

/** Most of what a cut is good for comes after it, so coming back is the commonest. */
const change = fc.oneof(
  often(6, fc.constant('back' as const)),
  often(2, fc.constant('cut' as const)),
  often(3, fc.constantFrom(...changes)),
);

const count = fc.oneof(often(3, fc.constant(1)), often(1, fc.integer({ min: 2, max: 2 * HISTORY })));

/** Weights by repetition: fc.commands draws evenly. */
export const mix: Commands[] = [
  ...Array.from({ length: 8 }, () => fc.tuple(at, op, how).map(([client, what, fate]) => new Ask(client, what, fate))),
  ...Array.from({ length: 5 }, () => fc.tuple(at, change).map(([client, what]) => new Connection(client, what))),
  fc.tuple(at, anyTopic).map(([client, topic]) => new Again(client, topic)),
  fc.tuple(anyTopic, count).map(([topic, many]) => new Tell(topic, many)),
  fc.constantFrom(250, 1_000, 2_500).map((ms) => new Pass(ms)),
  fc.tuple(fc.boolean(), fc.constantFrom(0, 2_000)).map(([gracefully, ms]) => new Restart(gracefully, ms)),
];
