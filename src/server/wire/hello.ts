/** HELLO's map, checked part by part. */
import { RoomwireError } from '../../protocol/errors.js';
import type { Hello, Position, Positions, SessionTicket, Value } from '../../protocol/frames.js';
import type { Limits } from '../../protocol/limits.js';
import { isMap, isPosition } from './shapes.js';

/** Throws bad_request naming the part that is wrong. */
export function helloOf(data: Value, limits: Limits): Hello {
  if (!isMap(data)) badHello('element 2 must be a map');
  const instance = optionalString(data['instance'], 'instance', 100);
  if (instance === undefined || instance === '') {
    badHello('instance must be a random string of this page or process');
  }
  const grace = data['grace'] ?? undefined;
  if (grace !== undefined && !(typeof grace === 'number' && grace >= 0)) {
    badHello('grace must be a number of milliseconds');
  }
  const features = data['features'] ?? undefined;
  if (features !== undefined && !isNames(features)) badHello('features must be an array of names');
  return {
    instance,
    token: optionalString(data['token'], 'token', limits.helloBytes),
    session: ticket(data['session'] ?? undefined),
    resume: positions(data['resume'] ?? undefined, limits),
    grace,
    features,
    agent: optionalString(data['agent'], 'agent', 200),
  };
}

function badHello(what: string): never {
  throw new RoomwireError('bad_request', `HELLO: ${what}`);
}

function optionalString(value: Value | undefined, name: string, most: number): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' && value.length <= most) return value;
  return badHello(`${name} must be a string of at most ${most} characters`);
}

function isNames(value: Value): value is readonly string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

function ticket(value: Value | undefined): SessionTicket | undefined {
  if (value === undefined) return undefined;
  if (Array.isArray(value) && typeof value[0] === 'string' && typeof value[1] === 'string') return [value[0], value[1]];
  return badHello('session must be [sid, secret]');
}

function positions(value: Value | undefined, { topics, nameBytes }: Limits): Positions | undefined {
  if (value === undefined) return undefined;
  if (!isMap(value)) badHello('resume must be a map of topic to [epoch, offset]');
  // No prototype: a topic may be called `__proto__`.
  const found = Object.create(null) as Record<string, Position>;
  const entries = Object.entries(value);
  if (entries.length > topics) badHello(`resume takes ${topics} topics`);
  for (const [topic, position] of entries) {
    if (topic === '' || Buffer.byteLength(topic) > nameBytes) {
      badHello('resume names a topic that is empty or too long');
    }
    if (!isPosition(position)) badHello('a position is [epoch, offset]');
    found[topic] = [position[0], position[1]];
  }
  return found;
}
