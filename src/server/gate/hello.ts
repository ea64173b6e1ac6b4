/** HELLO's data, checked part by part: it comes from someone nobody knows yet. */
import { RoomwireError } from '../../protocol/errors.js';
import type { Hello, Position, Value } from '../../protocol/frames.js';
import type { Limits } from '../../protocol/limits.js';

function bad(what: string): never {
  throw new RoomwireError('bad_request', `HELLO: ${what}`);
}

function optionalString(value: Value | undefined, name: string, most: number): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string' || value.length > most) bad(`${name} must be a string of at most ${most} characters`);
  return value;
}

function isMap(value: Value | undefined): value is { readonly [key: string]: Value } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

function isNames(value: Value): value is readonly string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

/** Throws bad_request naming the part that is wrong. */
export function parseHello(data: Value, limits: Limits): Hello {
  if (!isMap(data)) bad('element 2 must be a map');
  const instance = optionalString(data['instance'], 'instance', 100);
  if (instance === undefined || instance === '') bad('instance must be a random string of this page or process');
  const grace = data['grace'] ?? undefined;
  if (grace !== undefined && !(typeof grace === 'number' && grace >= 0)) bad('grace must be a number of milliseconds');
  const features = data['features'] ?? undefined;
  if (features !== undefined && !isNames(features)) bad('features must be an array of names');
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

function ticket(value: Value | undefined): readonly [string, string] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || typeof value[0] !== 'string' || typeof value[1] !== 'string')
    bad('session must be [sid, secret]');
  return [value[0], value[1]];
}

function positions(value: Value | undefined, limits: Limits): Record<string, Position> | undefined {
  if (value === undefined) return undefined;
  if (!isMap(value)) bad('resume must be a map of topic to [epoch, offset]');
  // No prototype: a topic may be called `__proto__`.
  const found = Object.create(null) as Record<string, Position>;
  const entries = Object.entries(value);
  if (entries.length > limits.topics) bad(`resume takes ${limits.topics} topics`);
  for (const [topic, position] of entries) {
    if (topic === '' || Buffer.byteLength(topic) > limits.nameBytes)
      bad('resume names a topic that is empty or too long');
    if (
      !Array.isArray(position) ||
      typeof position[0] !== 'string' ||
      !Number.isSafeInteger(position[1]) ||
      (position[1] as number) < 0
    ) {
      bad('a position is [epoch, offset]');
    }
    found[topic] = [position[0], position[1] as number];
  }
  return found;
}
