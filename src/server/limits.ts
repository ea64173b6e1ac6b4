/**
 * The limits in force, checked once: each within what both engines and all clients can do, and none that another one
 * keeps from ever being reached.
 */
import { defaultLimits, type Limits } from '../protocol/limits.js';
import { knownNames, LONGEST_MS, MOST_BYTES, wholeNumber } from '../protocol/setting.js';

/** Below these nobody could do anything at all; the others may be 0. */
const LEAST: Readonly<Partial<Record<keyof Limits, number>>> = {
  messageBytes: 256,
  helloBytes: 128,
  helloMs: 1,
  nameBytes: 16,
  dataBytes: 16,
  pendingCalls: 1,
  pendingFrames: 1,
  pendingBytes: 1,
  callMaxMs: 1,
  controlBytes: 1,
  keyTtlMs: 1,
  roomsPerUser: 1,
  roomMembers: 1,
  lockMinMs: 1,
  lockMaxMs: 1,
};

/** The first is never reached above the second. */
const WITHIN: readonly (readonly [keyof Limits, keyof Limits])[] = [
  ['helloBytes', 'messageBytes'],
  ['dataBytes', 'messageBytes'],
  ['graceMs', 'graceMaxMs'],
  ['lockMinMs', 'lockMaxMs'],
];

/** A default gives way to a limit that was set. Throws a TypeError that names the one that cannot work. */
export function limitsOf(given: Partial<Limits>): Readonly<Limits> {
  const names = Object.keys(defaultLimits) as (keyof Limits)[];
  knownNames('limits', given, names);
  const limits: Limits = { ...defaultLimits };
  for (const name of names) {
    const most = name.endsWith('Ms') ? LONGEST_MS : name.endsWith('Bytes') ? MOST_BYTES : undefined;
    if (given[name] !== undefined) limits[name] = wholeNumber(`limits.${name}`, given[name], LEAST[name] ?? 0, most);
  }
  for (const [inner, outer] of WITHIN) {
    if (limits[inner] <= limits[outer]) continue;
    if (limits[inner] === defaultLimits[inner]) limits[inner] = limits[outer];
    else
      throw new TypeError(`limits.${inner}: ${limits[inner]} is more than limits.${outer} (${limits[outer]}) lets be`);
  }
  return limits;
}
