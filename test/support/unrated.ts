/** For tests that flood a server and do not test its rates: as often as they like. */
import type { Limits } from '../../src/protocol/limits.js';

export const unrated = {
  callsPerSecond: 0,
  publishesPerSecond: 0,
  joinsPerSecond: 0,
  straysPerSecond: 0,
  userCallsPerSecond: 0,
  userPublishesPerSecond: 0,
  userJoinsPerSecond: 0,
  userStraysPerSecond: 0,
  entriesPerSecond: 0,
} as const satisfies Partial<Limits>;
